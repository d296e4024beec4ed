"""Precision-recall curves as figures."""

import io

import numpy as np

from keras_fpn.files import printable
from keras_fpn.metrics import Metrics
from keras_fpn.report.extra import from_extra
from keras_fpn.report.text import percent, shown_classes
from keras_fpn.visualize import class_color

SHOWN_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
MOST_COLORED = 8  # classes; more colors cannot be told apart
_SIZE = (5.2, 4.0)  # inches
_DARK, _GRAY, _LIGHT = "#1f2933", "#7b8794", "#dde2e8"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _GRAY,
    "axes.labelcolor": _DARK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": _LIGHT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "keras_fpn",  # equal curves give equal files
    "text.color": _DARK,
    "xtick.color": _GRAY,
    "ytick.color": _GRAY,
}


def mean_curves(metrics: Metrics):
    """Returns the precision at each recall, averaged over the classes with objects.

    Args:
        metrics: `Metrics`.

    Returns:
        dict of IoU threshold -> float (101,), 0..1; NaN if no class has objects.
    """
    counted = ~np.isnan(metrics.precision)
    totals, counts = metrics.precision.sum(axis=2, where=counted), counted.sum(axis=2)
    means = np.where(counts, totals / np.maximum(counts, 1), np.nan)
    return dict(zip(metrics.iou_thresholds.round(2).tolist(), means, strict=True))


def draw_mean_curves(metrics: Metrics):
    """Returns the mean curves at five IoU thresholds as SVG, str.

    Raises:
        ImportError: matplotlib is not installed.
    """
    curves = mean_curves(metrics)
    with _Figure("Mean over classes, by required overlap (IoU)") as figure:
        for index, iou in enumerate(SHOWN_IOUS):
            # From dark to light blue: the stricter, the lighter.
            shade = index / (len(SHOWN_IOUS) - 1)
            color = (0.03 + 0.55 * shade, 0.25 + 0.48 * shade, 0.48 + 0.42 * shade)
            label = f"IoU {iou:.2f}   {percent(np.mean(curves[iou]))}"
            figure.line(metrics.recall_points, curves[iou], color, label)
        figure.legend("area under it, %")
    return figure.svg


def draw_class_curves(metrics: Metrics):
    """Returns the curves of the classes at IoU 0.5 as SVG, str.

    Up to `MOST_COLORED` classes have the same colors as on photos. If there are more,
    their curves are gray, behind their mean.

    Raises:
        ImportError: matplotlib is not installed.
    """
    at_half, shown = metrics.precision[0], shown_classes(metrics)  # (101, K)
    recall = metrics.recall_points
    with _Figure("Classes, at IoU 0.50") as figure:
        if len(shown) <= MOST_COLORED:
            for label, one in shown:
                color = tuple(value / 255 for value in class_color(label))
                name = printable(one.name[:24])
                name = f"{name}   {percent(one.values['AP50'])}"
                figure.line(recall, at_half[:, label], color, name)
            figure.legend("class and its AP50, %")
        else:
            for curve in at_half.T:
                figure.line(recall, curve, _GRAY, None, 0.6, 0.45)
            figure.line(recall, mean_curves(metrics)[0.5], _DARK, "mean", 2.2)
            figure.line([], [], _GRAY, f"{len(shown)} classes", 0.6)
            figure.legend(None)
    return figure.svg


class _Figure:
    """A context in which one figure is drawn; afterwards `svg` holds it as str."""

    def __init__(self, title):
        self.title = title
        self.svg = ""

    def __enter__(self):
        self._style = from_extra("matplotlib").rc_context(_STYLE)
        self._style.__enter__()
        figure = from_extra("matplotlib.figure").Figure(_SIZE, layout="constrained")
        self._axes = figure.subplots()
        self._axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        self._axes.set_title(self.title)
        self._axes.grid(True)
        return self

    def line(self, x, y, color, label, width=1.8, alpha=1.0):
        """Draws one curve with gaps where it is NaN."""
        self._axes.plot(
            x, y, color=color, label=label, lw=width, alpha=alpha, clip_on=False
        )

    def legend(self, title):
        """Adds the legend where the curves leave most room."""
        self._axes.legend(title=title, alignment="left", title_fontsize=9)

    def __exit__(self, *error):
        try:
            if error[0] is None:
                stream = io.StringIO()
                figure = self._axes.figure
                figure.savefig(stream, format="svg", metadata={"Date": None})
                self.svg = stream.getvalue()
        finally:
            self._style.__exit__(*error)
