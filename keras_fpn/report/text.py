"""Numbers as text, for the terminal and the page."""

import math

from keras_fpn.metrics import Evaluation, Metrics, ProposalRecall
from keras_fpn.metrics.proposals import LIMITS

NO_VALUE = "-"
SCALES = ("", "_small", "_medium", "_large")  # suffixes of the numbers' names


def percent(value: float):
    """Returns 0.3704 as "37.0", and NaN, the mean over no objects, as "-"."""
    return NO_VALUE if math.isnan(value) else f"{100 * value:.1f}"


def counted(metrics: Metrics | ProposalRecall | None):
    """Returns the numbers of photos, objects and, if counted, detections as text."""
    if metrics is None:
        return ""
    counts = [(metrics.images, "photo"), (metrics.objects, "object")]
    if isinstance(metrics, Metrics):
        counts.append((metrics.detections, "detection"))
    return ", ".join(f"{n:,} {noun}{'' if n == 1 else 's'}" for n, noun in counts)


def shown_classes(metrics: Metrics):
    """Returns (label, `ClassMetrics`) of the classes with objects or detections."""
    return [
        (label, one)
        for label, one in enumerate(metrics.per_class)
        if one.objects or one.detections
    ]


def evaluation_text(evaluation: Evaluation):
    """Returns an evaluation as text for a terminal: its numbers in percent, its notes.

    Args:
        evaluation: what `keras_fpn.metrics.evaluate_photos` returned.
    """
    metrics = evaluation.metrics
    counts = counted(metrics or evaluation.proposals)
    head = f"{evaluation.dataset.name}: {evaluation.model_name}, {counts}"
    table = metrics_table(metrics, evaluation.proposals)
    tables = [table]
    if isinstance(evaluation.masks, ProposalRecall):
        tables += ["masks:", metrics_table(None, evaluation.masks)]
    elif evaluation.masks is not None:
        tables += ["masks:", metrics_table(evaluation.masks)]
    if evaluation.keypoints is not None:
        tables += ["keypoints:", metrics_table(evaluation.keypoints)]
    notes = [f"Note: {note}" for note in evaluation.notes]
    return "\n\n".join([f"{head}; in %", *tables, *notes])


def metrics_table(metrics: Metrics | None, proposals: ProposalRecall | None = None):
    """Returns a table, str: all numbers in percent, then those of each class."""
    blocks, classes = [], []
    if metrics is not None:
        names = list(metrics.values)
        half = len(names) // 2
        for row in (names[:half], names[half:]):
            blocks.append([row, [percent(metrics.values[name]) for name in row]])
        classes.append(["class", "objects", "found", *names[:half]])
        for _, one in shown_classes(metrics):
            values = [percent(one.values[name]) for name in names[:half]]
            classes.append([one.name, str(one.objects), str(one.detections), *values])
    if proposals is not None:
        rows = [["proposals", *(f"AR{scale}" for scale in SCALES)]]
        for limit in LIMITS:
            values = [percent(proposals.values[f"AR{limit}{s}"]) for s in SCALES]
            rows.append([str(limit), *values])
        blocks.append(rows)
    return "\n\n".join(map(_aligned, filter(None, [*blocks, classes])))


def _aligned(rows):
    """Returns rows of cells in columns, str; first cells that are names align left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    named = rows[0][0] in ("class", "proposals")
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0]) if named else cells[0]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
