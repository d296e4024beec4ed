"""Evaluates a detector on a data set, photo by photo, and writes what came out."""

import dataclasses
import json
import warnings
from typing import Any

from keras_fpn.cli.detect_photos import write_json
from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.files import printable, write_text

METRICS, DETECTIONS, PAGE = "metrics.json", "detections.json", "index.html"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        dataset: `keras_fpn.data.Dataset`.
        subject: str, the detector's name.
        notes: list of str, what a reader must know about the numbers.
        results: list of dict, the detections in COCO's form.
        metrics: `keras_fpn.metrics.Metrics` of the boxes.
        proposals: `keras_fpn.metrics.ProposalRecall` or None.
    """

    dataset: Any
    subject: str
    notes: list[str]
    results: list[dict]
    metrics: Any
    proposals: Any

    def text(self):
        """Returns what the terminal shows, str."""
        from keras_fpn.report.text import counted, metrics_table

        head = f"{self.dataset.name}: {self.subject}, {counted(self.metrics)}; in %"
        table = metrics_table(self.metrics, self.proposals)
        return "\n\n".join([head, table, *(f"Note: {note}" for note in self.notes)])


def evaluate_photos(model, dataset, subject, title=None, with_proposals=False):
    """Detects in each photo alone, as `detect` does, and compares.

    A progress bar shows on stderr if that is a terminal.

    Args:
        model: detector with `detect`, `class_names` and `category_ids`.
        dataset: `keras_fpn.data.Dataset`.
        subject: str, the detector's name.
        title: str, what must be said of the detector, or None.
        with_proposals: bool, whether to measure the first stage, too.

    Returns:
        Evaluation.

    Raises:
        CommandError: model and data set share no class, the model has no proposals, or
            a photo cannot be read.
    """
    from keras_fpn import metrics
    from keras_fpn.metrics.classes import shared_categories

    try:
        categories = shared_categories(model.class_names, dataset)
        propose = metrics.proposing(model) if with_proposals else None
        truth = metrics.coco_ground_truth(dataset)
    except ValueError as error:
        raise CommandError(one_line(error)) from error
    results, proposals, count = [], [], 0
    for photo in _shown(dataset.photos):
        found, proposed = _found(model, photo, propose)
        count += len(found["labels"])
        results += metrics.detections_to_coco(found, photo.image_id, categories)
        if propose:
            proposals.append((photo.image_id, *proposed))
    return Evaluation(
        dataset=dataset,
        subject=subject,
        notes=_notes(title, model, dataset, count - len(results)),
        results=results,
        metrics=metrics.evaluate_boxes(truth, results),
        proposals=metrics.evaluate_proposals(truth, proposals) if propose else None,
    )


def write_evaluation(evaluation, folder, with_page):
    """Writes an evaluation's files into a folder; returns their names, list of str.

    Raises:
        CommandError: a file cannot be written.
    """
    measured, recall = evaluation.metrics, evaluation.proposals
    summary = {
        "dataset": evaluation.dataset.name,
        "model": evaluation.subject,
        "notes": evaluation.notes,
        "boxes": measured.to_dict(),
        "proposals": recall and recall.to_dict(),
    }
    write_json(evaluation.results, folder / DETECTIONS)
    texts = {METRICS: json.dumps(summary, indent=2, ensure_ascii=False) + "\n"}
    if with_page:
        from keras_fpn.report.page import evaluation_page

        texts[PAGE] = evaluation_page(
            evaluation.dataset,
            measured,
            evaluation.results,
            evaluation.subject,
            recall,
            evaluation.notes,
        )
    for name, text in texts.items():
        try:
            write_text(folder / name, printable(text))
        except OSError as error:
            raise CommandError(
                f"{folder / name} could not be written: {one_line(error)}", code=1
            ) from error
    return [DETECTIONS, *texts]


def _shown(photos):
    """Yields the photos; a progress bar shows on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    console = Console(stderr=True)
    columns = *Progress.get_default_columns(), MofNCompleteColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield from bar.track(photos, description="Detecting")


def _found(model, photo, propose):
    """Returns a photo's detections, and its proposals if they are asked for."""
    from keras_fpn.preprocessing import read_photo

    with warnings.catch_warnings():
        # They tell of damaged metadata; damaged pixels raise.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        try:
            pixels = read_photo(photo.path)
            if pixels.shape[:2] != (photo.height, photo.width):
                raise ValueError(
                    "A photo must have the size that its objects are annotated in, "
                    f"{photo.height, photo.width}; received {pixels.shape[:2]}."
                )
            found = model.detect([pixels])[0]
            return found, propose and propose(pixels)
        except (ValueError, OSError) as error:
            raise CommandError(f"{photo.path}: {one_line(error)}", code=1) from error


def _notes(title, model, dataset, left_out):
    """Returns what a reader must know about the numbers, list of str."""
    notes = [f"{title[0].upper()}{title[1:]}."] if title else []
    lacking = [name for name in dataset.class_names if name not in model.class_names]
    if lacking:
        notes.append(f"The model does not know {', '.join(lacking)}: their AP is 0.")
    if left_out:
        notes.append(
            f"Left out: {left_out} detections of classes that the data set lacks."
        )
    return notes
