"""Which class was taken for which, as a table."""

import numpy as np

from keras_fpn.metrics import Metrics, OperatingPoint
from keras_fpn.report.text import shown_classes

MOST_CLASSES = 12  # of a matrix; more are a list of what was confused most
_LISTED = 20
_MISSED, _NOTHING = "not found", "nothing"


def confusion_table(metrics: Metrics, point: OperatingPoint):
    """Returns the confusions at a threshold, a dict of "title", "text" and "rows".

    Args:
        metrics: the numbers for boxes, in the order of the operating point's classes.
        point: `OperatingPoint`.
    """
    shown = [label for label, _ in shown_classes(metrics)]
    names = [one.name for one in metrics.per_class]
    few = len(shown) <= MOST_CLASSES
    return {
        "title": f"Confusion, above a score of {point.threshold:.2f}",
        "text": "Objects (rows) by the class of the detection (columns) that is "
        "matched with them at IoU 0.50. "
        + ("" if few else "The most frequent confusions of different classes. ")
        + f"“{_MISSED}”: objects without a detection. “{_NOTHING}”: detections "
        "without an object.",
        "rows": _matrix(names, shown, point) if few else _list(names, point),
    }


def _matrix(names, shown, point):
    rows = [["object", _MISSED, *(names[label] for label in shown)]]
    for label in [*shown, -1]:
        counts = point.confusion[label][[-1, *shown]]
        cells = [f"{count:,}" if count else "" for count in counts]
        rows.append([_NOTHING if label == -1 else names[label], *cells])
    return rows


def _list(names, point):
    rows = [["object", "taken for", "times"]]
    apart = point.confusion.copy()
    np.fill_diagonal(apart, 0)
    for place in np.argsort(-apart, axis=None, kind="stable")[:_LISTED]:
        row, column = np.unravel_index(place, apart.shape)
        if apart[row, column]:
            one, other = [*names, _NOTHING][row], [*names, _MISSED][column]
            rows.append([one, other, f"{apart[row, column]:,}"])
    return rows
