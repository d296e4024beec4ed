"""Precision-recall curves as figures."""

import io

import numpy as np

from keras_fpn.files import printable
from keras_fpn.metrics import Metrics, OperatingPoint
from keras_fpn.metrics.best_threshold import THRESHOLDS
from keras_fpn.report.extra import from_extra
from keras_fpn.report.text import percent, shown_classes
from keras_fpn.visualize import class_color
from keras_fpn.visualize.colors import on_white

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
    "legend.edgecolor": "none",
    "legend.facecolor": "white",  # hides lines that would run through the text
    "legend.framealpha": 0.9,
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
        curves.append((metrics.recall_points, means[iou], line(color, label)))
    title = "Mean over classes, by required overlap (IoU)"
    return svg_of(curves, title, legend_title="area under it, %")


def draw_class_curves(metrics: Metrics):
    """Returns the curves of the classes at IoU 0.5 as SVG, str.

    Up to `MOST_COLORED` classes have the same colors as on photos, those that would be
    faint on white darker. If there are more, their curves are gray, behind their mean.

    Raises:
        ImportError: matplotlib is not installed.
    """
    title = "Classes, at IoU 0.50"
    at_half, shown = metrics.precision[0], shown_classes(metrics)  # (101, K)
    recall = metrics.recall_points
    if len(shown) <= MOST_COLORED:
        curves = []
        for label, one in shown:
            color = tuple(value / 255 for value in on_white(class_color(label)))
            name = f"{printable(one.name[:24])}   {percent(one.values['AP50'])}"
            curves.append((recall, at_half[:, label], line(color, name)))
        return svg_of(curves, title, legend_title="class and its AP50, %")
    thin = {"lw": 0.6, "alpha": 0.45}
    curves = [(recall, curve, line(_GRAY, None, **thin)) for curve in at_half.T]
    mean = mean_curves(metrics)[0.5]
    named = (
        (recall, mean, line(_DARK, "mean", lw=2.2)),
        ([], [], line(_GRAY, f"{len(shown)} classes", lw=0.6)),
    )
    return svg_of([*curves, *named], title)


def draw_threshold_curves(point: OperatingPoint):
    """Returns precision, recall and F1 by the score threshold as SVG, str.

    Raises:
        ImportError: matplotlib is not installed.
    """
    best = point.threshold
    shown = (
        ("F1", point.f1s, _DARK, 2.2),
        ("precision", point.precisions, "#0b5394", 1.4),
        ("recall", point.recalls, "#b45f06", 1.4),
    )
    curves = [
        (THRESHOLDS, values, line(color, f"{name}   {percent(point.values[name])}", lw))
        for name, values, color, lw in shown
    ]
    mark = ([best, best], [0, 1], line(_GRAY, None, 0.8))
    labels = "score threshold", "all classes, at IoU 0.50", f"above {best:.2f}, %"
    return svg_of([*curves, mark], "By score threshold", *labels)


def line(color, label, lw=1.8, alpha=1.0):
    """Returns a curve's options of `Axes.plot`, dict; None as label names it not."""
    return {"color": color, "label": label, "lw": lw, "alpha": alpha}


def svg_of(
    curves,
    title: str,
    x_label: str = "recall",
    y_label: str = "precision",
    legend_title: str | None = None,
    xlim: tuple[float, float] = (0, 1),
    ylim: tuple[float, float] = (0, 1.02),
    whole: bool = False,
):
    """Returns curves as SVG, str, with gaps at NaN.

    Args:
        curves: list of (x, y, what `line` returns).
        title, x_label, y_label, legend_title: texts.
        xlim, ylim: of the axes.
        whole: whether only whole numbers are marked below.

    Raises:
        ImportError: matplotlib is not installed.
    """
    with from_extra("matplotlib").rc_context(_STYLE):
        figure = from_extra("matplotlib.figure").Figure(_SIZE, layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=xlim, ylim=ylim, xlabel=x_label, ylabel=y_label)
        axes.xaxis.get_major_locator().set_params(integer=whole)
        axes.set_title(title)
        axes.grid(True)
        for x, y, options in curves:
            axes.plot(x, y, clip_on=False, **options)
        axes.legend(title=legend_title, alignment="left", title_fontsize=9)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
