"""Writes an evaluation into a folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from keras_fpn.data import write_coco_results
from keras_fpn.files import printable, write_text
from keras_fpn.metrics import Evaluation, Metrics
from keras_fpn.report.page import evaluation_page

METRICS, DETECTIONS, PAGE = "metrics.json", "detections.json", "index.html"


def write_evaluation(
    evaluation: Evaluation,
    folder: str | Path,
    with_page: bool = True,
    epochs: Sequence[dict] = (),
):
    """Writes metrics.json, detections.json and index.html into a folder.

    Args:
        evaluation: what `keras_fpn.metrics.evaluate_photos` returned.
        folder: created if needed; existing files are replaced.
        with_page: whether to write index.html, which needs the extra "report"; a
            class-agnostic detector has none.
        epochs: logs of each epoch of the training, whose losses the page shows.

    Returns:
        list of str, the names of the files.

    Raises:
        ImportError: Jinja2 or matplotlib is not installed, which the page needs.
        OSError: a file cannot be written.
    """
    folder = Path(folder)
    recall, masks = evaluation.proposals, evaluation.masks
    point = evaluation.operating_point
    summary = {
        "dataset": evaluation.dataset.name,
        "model": evaluation.model_name,
        "notes": evaluation.notes,
        "boxes": evaluation.metrics and evaluation.metrics.to_dict(),
        "proposals": recall and recall.to_dict(),
        "masks": masks and masks.to_dict(),
        "keypoints": evaluation.keypoints and evaluation.keypoints.to_dict(),
        "semantic": evaluation.semantic and evaluation.semantic.to_dict(),
        "panoptic": evaluation.panoptic and evaluation.panoptic.to_dict(),
        "operating_point": point and point.to_dict(),
    }
    write_coco_results(evaluation.results, folder / DETECTIONS)
    texts = {METRICS: json.dumps(summary, indent=2, ensure_ascii=False) + "\n"}
    compared = evaluation.metrics, evaluation.semantic
    if with_page and any(one is not None for one in compared):
        texts[PAGE] = evaluation_page(
            evaluation.dataset,
            evaluation.metrics,
            evaluation.results,
            evaluation.model_name,
            recall,
            evaluation.notes,
            masks if isinstance(masks, Metrics) else None,
            evaluation.semantic,
            evaluation.panoptic,
            point,
            epochs,
        )
    for name, text in texts.items():
        write_text(folder / name, printable(text))
    return [DETECTIONS, *texts]
