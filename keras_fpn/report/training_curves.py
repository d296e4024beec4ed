"""How a training went: its losses and what was measured, by epoch."""

import math
from collections.abc import Sequence

from keras_fpn.report.curves import line, svg_of

_COLORS = "#1f2933 #0b5394 #b45f06 #38761d #a64d79 #741b47 #7f6000 #45818e".split()
_MEASURED = "val_AP val_AP50 val_mask_AP val_keypoint_AP val_AR1000 val_mIoU val_PQ"


def draw_training(epochs: Sequence[dict]):
    """Returns the curves of a training, list of (SVG, what it shows), both str.

    Args:
        epochs: logs of each epoch, with "epoch" counted from 0, as in `history.json`;
            what is None or absent leaves a gap.

    Raises:
        ImportError: matplotlib is not installed.
    """
    names = list(dict.fromkeys(name for entry in epochs for name in entry))
    losses = [*(name for name in names if name == "loss"), *filter(_is_part, names)]
    measured = [n for n in _MEASURED.split() if n in names]
    pictures = []
    if shown := _curves(epochs, losses):
        pictures.append((_drawn("Losses", "loss", shown), "Losses by epoch"))
    if shown := _curves(epochs, measured, 100):
        title = "Measured on the validation photos"
        pictures.append((_drawn(title, "%", shown), f"{title}, by epoch"))
    return pictures


def _curves(epochs, names, factor=1):
    """Returns (epochs from 1, values, options) of each name that has values."""
    curves = []
    for name, color in zip(names, _COLORS, strict=False):
        values = [_number(entry.get(name)) * factor for entry in epochs]
        if any(map(math.isfinite, values)):
            label = name.removeprefix("val_").removesuffix("_loss").replace("_", " ")
            steps = [entry["epoch"] + 1 for entry in epochs]
            curves.append((steps, values, {**line(color, label), "marker": "."}))
    return curves


def _drawn(title, y_label, curves):
    steps = [step for x, _, _ in curves for step in x]
    values = [v for _, y, _ in curves for v in y if math.isfinite(v)]
    xlim = min(steps) - 0.5, max(steps) + 0.5
    ylim = 0.0, 1.05 * max(values) or 1.0
    return svg_of(curves, title, "epoch", y_label, xlim=xlim, ylim=ylim, whole=True)


def _is_part(name):
    return name.endswith("_loss") and not name.startswith("val_")


def _number(value):
    return math.nan if value is None else float(value)
