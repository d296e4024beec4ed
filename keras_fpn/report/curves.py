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
    means, curves = mean_curves(metrics), []
    for index, iou in enumerate(SHOWN_IOUS):
        # From dark to light blue: the stricter, the lighter.
        shade = index / (len(SHOWN_IOUS) - 1)
        color = (0.03 + 0.55 * shade, 0.25 + 0.48 * shade, 0.48 + 0.42 * shade)
        label = f"IoU {iou:.2f}   {percent(np.mean(means[iou]))}"
        curves.append((metrics.recall_points, means[iou], _line(color, label)))
    return _svg(
        "Mean over classes, by required overlap (IoU)", curves, "area under it, %"
    )


def draw_class_curves(metrics: Metrics):
    """Returns the curves of the classes at IoU 0.5 as SVG, str.

    Up to `MOST_COLORED` classes have the same colors as on photos. If there are more,
    their curves are gray, behind their mean.

    Raises:
        ImportError: matplotlib is not installed.
    """
    title = "Classes, at IoU 0.50"
    at_half, shown = metrics.precision[0], shown_classes(metrics)  # (101, K)
    recall = metrics.recall_points
    if len(shown) <= MOST_COLORED:
        curves = []
        for label, one in shown:
            color = tuple(value / 255 for value in class_color(label))
            name = f"{printable(one.name[:24])}   {percent(one.values['AP50'])}"
            curves.append((recall, at_half[:, label], _line(color, name)))
        return _svg(title, curves, "class and its AP50, %")
    thin = {"lw": 0.6, "alpha": 0.45}
    curves = [(recall, curve, _line(_GRAY, None, **thin)) for curve in at_half.T]
    mean = mean_curves(metrics)[0.5]
    named = (
        (recall, mean, _line(_DARK, "mean", lw=2.2)),
        ([], [], _line(_GRAY, f"{len(shown)} classes", lw=0.6)),
    )
    return _svg(title, [*curves, *named], None)


def _line(color, label, lw=1.8, alpha=1.0):
    """Returns a curve's options of `Axes.plot`."""
    return {"color": color, "label": label, "lw": lw, "alpha": alpha}


def _svg(title, curves, legend_title):
    """Returns curves as SVG, str; each is x, y and its options, with gaps at NaN."""
    with from_extra("matplotlib").rc_context(_STYLE):
        figure = from_extra("matplotlib.figure").Figure(_SIZE, layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.set_title(title)
        axes.grid(True)
        for x, y, options in curves:
            axes.plot(x, y, clip_on=False, **options)
        axes.legend(title=legend_title, alignment="left", title_fontsize=9)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
