"""Numbers as text, for the terminal and the page."""

import math

from keras_fpn.metrics.proposals import LIMITS

NO_VALUE = "-"
SCALES = ("", "_small", "_medium", "_large")  # ends of the numbers' names


def percent(value):
    """Returns 0.3704 as "37.0"; NaN, what there is no object for, as "-"."""
    return NO_VALUE if math.isnan(value) else f"{100 * value:.1f}"


def counted(metrics):
    """Returns how many photos, objects and detections there were, as text."""
    counts = (
        (metrics.images, "photo"),
        (metrics.objects, "object"),
        (metrics.detections, "detection"),
    )
    return ", ".join(f"{n:,} {noun}{'' if n == 1 else 's'}" for n, noun in counts)


def shown_classes(metrics):
    """Returns (label, `ClassMetrics`) of the classes with objects or detections."""
    return [
        (label, one)
        for label, one in enumerate(metrics.per_class)
        if one.objects or one.detections
    ]


def metrics_table(metrics, proposals=None):
    """Returns what the terminal shows, str: all numbers in percent, then each class's.

    Args:
        metrics: `Metrics`.
        proposals: `ProposalRecall` or None.
    """
    names = list(metrics.values)
    half = len(names) // 2
    blocks = [
        [row, [percent(metrics.values[name]) for name in row]]
        for row in (names[:half], names[half:])
    ]
    if proposals is not None:
        rows = [["proposals", *(f"AR{scale}" for scale in SCALES)]]
        for limit in LIMITS:
            values = [percent(proposals.values[f"AR{limit}{s}"]) for s in SCALES]
            rows.append([str(limit), *values])
        blocks.append(rows)
    rows = [["class", "objects", "found", *names[:half]]]
    for _, one in shown_classes(metrics):
        values = [percent(one.values[name]) for name in names[:half]]
        rows.append([one.name, str(one.objects), str(one.detections), *values])
    blocks.append(rows)
    return "\n\n".join(map(_aligned, blocks))


def _aligned(rows):
    """Returns rows of cells under each other, str; names, in the first, at left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    named = rows[0][0] in ("class", "proposals")
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0]) if named else cells[0]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
