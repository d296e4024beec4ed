"""An evaluation as one HTML page: numbers, curves and the worst mistakes."""

import base64
import importlib.resources
import io
import math
from collections.abc import Sequence

from keras_fpn.data import Dataset
from keras_fpn.metrics import (
    Metrics,
    OperatingPoint,
    PanopticMetrics,
    ProposalRecall,
    SemanticMetrics,
    coco_ground_truth,
)
from keras_fpn.metrics.proposals import LIMITS
from keras_fpn.report.confusion import confusion_table
from keras_fpn.report.crops import draw_mistake
from keras_fpn.report.curves import (
    draw_class_curves,
    draw_mean_curves,
    draw_threshold_curves,
)
from keras_fpn.report.extra import from_extra
from keras_fpn.report.mistakes import find_mistakes
from keras_fpn.report.text import (
    SCALES,
    counted,
    found_counts,
    lost_classes,
    panoptic_rows,
    percent,
    semantic_rows,
    shown_classes,
)
from keras_fpn.report.training_curves import draw_training
from keras_fpn.visualize import class_color

TEMPLATE = "evaluation.html"
_QUALITY = 85  # of the JPEG pictures
_MISTAKES = 24  # of each kind
# COCO's name of a number -> the page's.
_NAMES = {
    "AP": "AP",
    "AP50": "AP at IoU 0.50",
    "AP75": "AP at IoU 0.75",
    "AP_small": "AP, small",
    "AP_medium": "AP, medium",
    "AP_large": "AP, large",
    "AR1": "recall, 1 per photo",
    "AR10": "recall, 10 per photo",
    "AR100": "recall, 100 per photo",
    "AR": "recall",
    "AR50": "recall at IoU 0.50",
    "AR75": "recall at IoU 0.75",
    "AR_small": "recall, small",
    "AR_medium": "recall, medium",
    "AR_large": "recall, large",
}
_TITLES = {
    "bbox": "Average precision and recall, %",
    "segm": "Average precision and recall of masks, %",
}
_COLUMNS = "AP AP50 AP75 AP_small AP_medium AP_large AR100".split()


def evaluation_page(
    dataset: Dataset,
    metrics: Metrics | None,
    results: Sequence[dict],
    model: str,
    proposals: ProposalRecall | None = None,
    notes: Sequence[str] = (),
    masks: Metrics | None = None,
    semantic: SemanticMetrics | None = None,
    panoptic: PanopticMetrics | None = None,
    point: OperatingPoint | None = None,
    epochs: Sequence[dict] = (),
):
    """Returns an evaluation as HTML, str, which needs no other file.

    Args:
        dataset: the evaluated data set; its photos are read for the pictures.
        metrics: the numbers for boxes; None for a detector that finds none.
        results: the detections, in the form of COCO's results.
        model: the detector's name.
        proposals: recall of the first stage, or None.
        notes: remarks at the top of the page.
        masks: the numbers for masks, or None.
        semantic, panoptic: the numbers for maps, or None.
        point: the best threshold; None, none is recommended.
        epochs: logs of each epoch of the training, see `draw_training`.

    Raises:
        ImportError: Jinja2 or matplotlib is not installed.
    """
    environment = from_extra("jinja2").Environment(
        autoescape=True,
        trim_blocks=False,
        undefined=from_extra("jinja2").StrictUndefined,
    )
    source = importlib.resources.files(__package__).joinpath(TEMPLATE)
    template = environment.from_string(source.read_text("utf-8"))
    return template.render(
        title=f"Evaluation on {dataset.name or 'a data set'}",
        subtitle=f"{model} · {counted(metrics or semantic)}",
        notes=notes,
        numbers=[_numbers(one) for one in (metrics, masks) if one is not None],
        curves=[] if metrics is None else _curves(metrics),
        threshold=_threshold(metrics, point),
        training=_pictures(draw_training(epochs)),
        columns=[] if metrics is None else _columns(metrics, point),
        classes=[] if metrics is None else _class_rows(metrics, point),
        absent=0
        if metrics is None
        else len(metrics.per_class) - len(shown_classes(metrics)),
        tables=[
            *_confusion_tables(metrics, point),
            *_pixel_tables(semantic, panoptic),
        ],
        proposals=_proposal_rows(proposals),
        mistakes=[] if metrics is None else _mistake_groups(dataset, results),
        footer=""
        if metrics is None
        else "Computed by pycocotools. Pictures show parts of photos.",
    )


def _numbers(metrics):
    """Returns COCO's numbers in two rows, with their title."""
    half = len(metrics.values) // 2
    cells = [
        {"name": _NAMES[name], "value": percent(value)}
        for name, value in metrics.values.items()
    ]
    return {"title": _TITLES[metrics.kind], "rows": [cells[:half], cells[half:]]}


def _curves(metrics):
    pictures = (
        (draw_mean_curves(metrics), "Mean precision-recall curves at five IoUs"),
        (draw_class_curves(metrics), "Precision-recall curves of the classes"),
    )
    return _pictures(pictures)


def _pictures(pictures):
    """Returns what the template needs about pictures, (SVG, what it shows) each."""
    return [
        {"uri": _uri(svg.encode(), "image/svg+xml"), "text": text}
        for svg, text in pictures
    ]


def _threshold(metrics, point):
    """Returns the recommended threshold and what is said of it; None for None."""
    if metrics is None or point is None:
        return None
    text = "Precision, recall and F1 by the score threshold"
    return {
        "value": f"{point.threshold:.2f}",
        "numbers": [
            {"name": name, "value": percent(value)}
            for name, value in point.values.items()
        ],
        "lost": lost_classes(metrics, point),
        "curves": _pictures([(draw_threshold_curves(point), text)]),
    }


def _columns(metrics, point):
    heading, _ = found_counts(metrics, point)
    names = [name.removeprefix("AP_") for name in _COLUMNS]
    return ["class", "objects", heading, *names]


def _class_rows(metrics, point):
    rows = []
    _, found = found_counts(metrics, point)
    for label, one in shown_classes(metrics):
        cells = [
            {"text": f"{number:,}", "order": number, "share": None}
            for number in (one.objects, found[label])
        ]
        for name in _COLUMNS:
            value = one.values[name]
            known = not math.isnan(value)
            cells.append(
                {
                    "text": percent(value),
                    "order": round(value, 6) if known else -1,
                    "share": round(100 * value, 1) if name == "AP" and known else None,
                }
            )
        rows.append({"name": one.name, "color": _hex(label), "cells": cells})
    return rows


def _confusion_tables(metrics, point):
    return [] if point is None else [confusion_table(metrics, point)]


def _pixel_tables(semantic, panoptic):
    """Returns the tables of semantic and of panoptic maps, each with its title."""
    tables = []
    if panoptic is not None:
        tables.append(
            {
                "title": "Panoptic quality, %",
                "text": "PQ is the product of SQ, the mean IoU of matched segments, "
                "and RQ, how many match. A segment matches one of its class at an IoU "
                "above 0.50.",
                "rows": panoptic_rows(panoptic),
            }
        )
    if semantic is not None:
        means = ", ".join(f"{n} {percent(v)}" for n, v in semantic.values.items())
        tables.append(
            {
                "title": "Semantic maps, %",
                "text": f"{means}. Pixels of all photos are counted together.",
                "rows": semantic_rows(semantic),
            }
        )
    return tables


def _proposal_rows(proposals):
    if proposals is None:
        return []
    return [
        {
            "limit": limit,
            "cells": [percent(proposals.values[f"AR{limit}{s}"]) for s in SCALES],
        }
        for limit in LIMITS
    ]


def _mistake_groups(dataset, results):
    """Returns the page's two lists of pictures."""
    truth = coco_ground_truth(dataset)
    false_positives, misses = find_mistakes(truth, results, _MISTAKES)
    return [
        {
            "title": "Worst false positives",
            "text": "The detections with the highest scores that match no object at "
            "IoU 0.50, at most two per photo. Solid: the detection. Dashed: the object "
            "that it overlaps.",
            "pictures": [_picture(mistake, dataset) for mistake in false_positives],
        },
        {
            "title": "Worst misses",
            "text": "The largest objects that match no detection at IoU 0.50, at most "
            "two per photo. Dashed: the object. Solid: the detection that overlaps it "
            "most. Dotted: another object, which that detection is matched with.",
            "pictures": [_picture(mistake, dataset) for mistake in misses],
        },
    ]


def _picture(mistake, dataset):
    """Returns what the template needs about one mistake."""
    labels = {number: label for label, number in enumerate(dataset.category_ids)}
    names = dict(zip(dataset.category_ids, dataset.class_names, strict=True))
    photo = next(p for p in dataset.photos if p.image_id == mistake.image_id)
    head = names[mistake.category_id]
    reason = mistake.reason
    if mistake.score is not None:
        head = f"{head} {mistake.score:.2f}"
    if mistake.other_category_id is not None:
        reason += f": {names[mistake.other_category_id]}"
    if mistake.other_score is not None:
        reason += f" {mistake.other_score:.2f}"
    return {
        "head": head,
        "reason": reason,
        "photo": photo.path.name,
        "color": _hex(labels[mistake.category_id]),
        "uri": _jpeg(mistake, photo, labels),
    }


def _jpeg(mistake, photo, labels):
    """Returns the picture as a data URI; None if the photo cannot be read."""
    try:
        picture = draw_mistake(mistake, photo.path, labels)
    except ValueError:
        return None
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return _uri(stream.getvalue(), "image/jpeg")


def _uri(content, media_type):
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _hex(label):
    return "#{:02x}{:02x}{:02x}".format(*class_color(label))
