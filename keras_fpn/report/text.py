"""Numbers as text, for the terminal and the page."""

import math

import numpy as np

from keras_fpn.metrics import (
    Evaluation,
    Metrics,
    OperatingPoint,
    PanopticMetrics,
    ProposalRecall,
    SemanticMetrics,
)
from keras_fpn.metrics.proposals import LIMITS

NO_VALUE = "-"
_MOST_LOST = 5  # classes that are listed
SCALES = ("", "_small", "_medium", "_large")  # suffixes of the numbers' names


def percent(value: float):
    """Returns 0.3704 as "37.0", and NaN, the mean over no objects, as "-"."""
    return NO_VALUE if math.isnan(value) else f"{100 * value:.1f}"


def counted(metrics: Metrics | ProposalRecall | SemanticMetrics | None):
    """Returns the numbers of photos, objects and, if counted, detections as text."""
    if metrics is None:
        return ""
    counts = [(metrics.images, "photo")]
    if not isinstance(metrics, SemanticMetrics):
        counts.append((metrics.objects, "object"))
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
    counts = counted(metrics or evaluation.proposals or evaluation.semantic)
    head = f"{evaluation.model_name} on {evaluation.dataset.name}: {counts}"
    point = evaluation.operating_point
    tables = [metrics_table(metrics, evaluation.proposals, point)]
    if metrics is not None and point is not None:
        tables.append("\n".join([recommendation(point), *lost_classes(metrics, point)]))
    if isinstance(evaluation.masks, ProposalRecall):
        tables += ["masks:", metrics_table(None, evaluation.masks)]
    elif evaluation.masks is not None:
        tables += ["masks:", metrics_table(evaluation.masks, point=point)]
    if evaluation.keypoints is not None:
        tables += ["keypoints:", metrics_table(evaluation.keypoints, point=point)]
    if evaluation.semantic is not None:
        tables += ["semantic maps:", semantic_table(evaluation.semantic)]
    if evaluation.panoptic is not None:
        tables += ["panoptic maps:", panoptic_table(evaluation.panoptic)]
    notes = [f"Note: {note}" for note in evaluation.notes]
    return "\n\n".join([f"{head}; values in %", *filter(None, tables), *notes])


def recommendation(point: OperatingPoint):
    """Returns which threshold is the best one, and what it gives, as one line."""
    values = ", ".join(f"{name} {percent(one)}" for name, one in point.values.items())
    return f"Best threshold: {point.threshold:.2f} ({values} at IoU 0.50)"


def lost_classes(metrics: Metrics, point: OperatingPoint):
    """Returns a line, str, on each class that the best threshold hardly finds; a list.

    These are the classes of which it finds less than half as many objects as the best
    threshold of the class alone. Those that lose most come first.

    Args:
        metrics: the numbers for boxes, in the order of the operating point's classes.
        point: `OperatingPoint`.
    """
    found = np.diag(point.confusion)[:-1]
    objects = point.confusion[:-1].sum(axis=1)
    alone = np.rint(np.nan_to_num(point.class_recalls) * objects).astype(int)
    lost = [
        label
        for label in np.argsort(found - alone, kind="stable")
        if 2 * found[label] < alone[label]
    ]
    lines = [
        f"{metrics.per_class[label].name}: {found[label]} of {objects[label]} objects "
        f"are found above {point.threshold:.2f}, {alone[label]} above "
        f"{point.class_thresholds[label]:.2f}, the best threshold of this class alone."
        for label in lost[:_MOST_LOST]
    ]
    if more := len(lost) - len(lines):
        lines.append(
            f"The same is true of {more} more {'class' if more == 1 else 'classes'}."
        )
    return lines


def found_counts(metrics: Metrics, point: OperatingPoint | None):
    """Returns the heading of a column and its number of detections for each class.

    With an operating point those above its threshold are counted, otherwise all.
    """
    if point is None:
        return "detections", [one.detections for one in metrics.per_class]
    return f"found > {point.threshold:.2f}", point.found.tolist()


def semantic_rows(metrics: SemanticMetrics):
    """Returns the rows of the classes that are in the truth or were predicted."""
    rows = [["class", "IoU", "accuracy"]]
    for one in metrics.per_class:
        if one.pixels or one.found:
            rows.append([one.name, *map(percent, one.values.values())])
    return rows


def panoptic_rows(metrics: PanopticMetrics):
    """Returns the rows of means, and those of the classes with segments."""
    rows = [["class", "PQ", "SQ", "RQ", "matched", "wrong", "missed"]]
    for suffix in ("", "_things", "_stuff"):
        values = [percent(metrics.values[f"{n}{suffix}"]) for n in rows[0][1:4]]
        kind = suffix in ("", "_things"), suffix in ("", "_stuff")
        counted = [one for one in metrics.per_class if kind[0 if one.isthing else 1]]
        counts = [sum(getattr(one, name) for one in counted) for name in rows[0][4:]]
        name = f"all {suffix[1:]}".strip()
        rows.append([name, *values, *map(str, counts)])
    for one in metrics.per_class:
        counts = [one.matched, one.wrong, one.missed]
        if any(counts):
            values = [percent(value) for value in one.values.values()]
            rows.append([one.name, *values, *map(str, counts)])
    return rows


def semantic_table(metrics: SemanticMetrics):
    """Returns the numbers of semantic maps as a table, str, in percent."""
    names = list(metrics.values)
    means = [names, [percent(metrics.values[name]) for name in names]]
    return "\n\n".join(map(_aligned, [means, semantic_rows(metrics)]))


def panoptic_table(metrics: PanopticMetrics):
    """Returns the numbers of panoptic maps as a table, str, in percent."""
    return _aligned(panoptic_rows(metrics))


def metrics_table(
    metrics: Metrics | None,
    proposals: ProposalRecall | None = None,
    point: OperatingPoint | None = None,
):
    """Returns a table, str: all numbers in percent, then those of each class.

    Args:
        point: at whose threshold detections are counted; None counts all.
    """
    blocks, classes = [], []
    if metrics is not None:
        names = list(metrics.values)
        half = len(names) // 2
        for row in (names[:half], names[half:]):
            blocks.append([row, [percent(metrics.values[name]) for name in row]])
        heading, counts = found_counts(metrics, point)
        classes.append(["class", "objects", heading, *names[:half]])
        for label, one in shown_classes(metrics):
            values = [percent(one.values[name]) for name in names[:half]]
            classes.append([one.name, str(one.objects), str(counts[label]), *values])
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
