import itertools
import re

import numpy as np
import pytest
from metrics.made import ground_truth, random_case, result

from keras_fpn.metrics import evaluate_boxes, operating_point
from keras_fpn.report.curves import (
    MOST_COLORED,
    draw_class_curves,
    draw_mean_curves,
    draw_threshold_curves,
    mean_curves,
)
from keras_fpn.visualize import class_color


def curves_in(svg):
    """Places x, y of each drawn line's points, list of float (n, 2)."""
    axes = svg[svg.index('<g id="axes_1">') : svg.index('<g id="legend_1">')]
    lines = re.findall(r'<g id="line2d_\d+">\s*<path d="([^"]+)" clip', axes)
    lines += re.findall(r'<g id="line2d_\d+">\s*<path d="([^"]+)" style="fill', axes)
    points = [re.findall(r"([\d.-]+) ([\d.-]+)", line) for line in lines]
    return [np.array(line, float) for line in points if len(line) > 3]


def test_mean_curves_leave_out_classes_without_objects():
    # Class 3 is found wholly, class 17 not at all, class 90 has no object.
    truth = ground_truth([(1, 3, (0, 0, 40, 40)), (1, 17, (0, 0, 40, 40))])
    metrics = evaluate_boxes(truth, [result(1, 3, (0, 0, 40, 40), 0.5)])
    curves = mean_curves(metrics)
    assert list(curves) == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    for curve in curves.values():
        np.testing.assert_allclose(curve, np.full(101, 0.5))


def test_the_mean_curve_has_the_ap_under_it():
    metrics = evaluate_boxes(*random_case(0))
    assert mean_curves(metrics)[0.5].mean() == pytest.approx(metrics.values["AP50"])


def two_of_three_found():
    """Numbers in which every class, and both halves of the thresholds, differ.

    Class 3 is found wholly, of class 17 the better one of two detections is wrong, and
    IoU 0.8 is all the overlap of class 90's.
    """
    box = (0, 0, 40, 40)
    truth = ground_truth([(1, 3, box), (1, 17, box), (1, 90, box)])
    found = [
        result(1, 3, box, 0.5),
        result(2, 17, box, 0.9),
        result(1, 17, box, 0.5),
        result(1, 90, (0, 0, 40, 50), 0.5),
    ]
    return evaluate_boxes(truth, found)


def frame(svg):
    """Left, right, bottom and top of the square that curves are drawn in."""
    path = re.search(r'<g id="patch_2">\s*<path d="([^"]+)"', svg)[1]
    corners = np.array(re.findall(r"([\d.-]+) ([\d.-]+)", path), float)
    return *np.sort(corners[:, 0])[[0, -1]], *np.sort(corners[:, 1])[[-1, 0]]


def heights(svg):
    """The share of the frame's height at which each curve runs, all of them level."""
    left, right, bottom, top = frame(svg)
    levels = []
    for curve in curves_in(svg):
        assert curve[:, 0].min() == pytest.approx(left, abs=0.01)
        assert curve[:, 0].max() == pytest.approx(right, abs=0.01)
        assert np.ptp(curve[:, 1]) < 0.01
        levels.append((bottom - curve[0, 1]) / (bottom - top))
    return levels


def test_mean_curves_run_at_their_precision_from_recall_0_to_1():
    svg = draw_mean_curves(two_of_three_found())
    # (1 + 1/2 + 1) / 3 up to IoU 0.8, and then (1 + 1/2) / 3; 1 is a little below the
    # frame's top.
    expected = np.array([5 / 6] * 4 + [1 / 2]) / 1.02
    np.testing.assert_allclose(heights(svg), expected, atol=1e-3)
    labels = re.findall(r"IoU (0\.\d\d)   ([\d.]+)", svg)
    means = [("0.50", "83.3"), ("0.60", "83.3"), ("0.70", "83.3"), ("0.80", "83.3")]
    assert labels == [*means, ("0.90", "50.0")]


def test_class_curves_run_at_their_precision_at_iou_one_half():
    svg = draw_class_curves(two_of_three_found())
    expected = np.array([1, 1, 1 / 2]) / 1.02  # 90, 3, 17
    np.testing.assert_allclose(heights(svg), expected, atol=1e-3)


def line_colors(svg):
    """Colors of the curves, list of three shares of 255."""
    axes = svg[svg.index('<g id="axes_1">') : svg.index('<g id="legend_1">')]
    found = re.findall(r"stroke: #([0-9a-f]{6}); stroke-width: 1\.8", axes)
    return [tuple(bytes.fromhex(color)) for color in found]


def test_curves_are_the_lighter_the_stricter_and_classes_have_their_colors():
    colors = line_colors(draw_mean_curves(two_of_three_found()))
    assert len(colors) == 5
    for dark, light in itertools.pairwise(colors):
        steps = np.subtract(light, dark)
        np.testing.assert_allclose(steps, [35, 30.6, 26.8], atol=1)  # equal steps
    assert colors[0] == (8, 64, 122)
    assert colors[-1] == (148, 186, 229)
    colors = line_colors(draw_class_curves(two_of_three_found()))
    assert colors[:2] == [class_color(0), class_color(1)]
    faint = np.array(class_color(2))  # a light green is not seen on white
    np.testing.assert_allclose(colors[2] / faint, colors[2][0] / faint[0], atol=0.02)
    assert colors[2][0] < 0.7 * faint[0]


def test_the_legend_hides_the_line_of_the_threshold_below_it():
    truth = ground_truth([(1, 3, (0, 0, 40, 40))])
    found = [result(1, 3, (0, 0, 40, 40), 0.5)]
    svg = draw_threshold_curves(operating_point(truth, found))
    legend = svg[svg.index('<g id="legend_1">') :]
    assert "fill: #ffffff; opacity: 0.9" in legend[: legend.index("text_")]


def test_pictures_are_wider_than_high():
    svg = draw_mean_curves(two_of_three_found())
    # 72 points to the inch; the page shows two beside each other.
    assert 'width="374.4pt" height="288pt"' in svg
    # The ground and two lines, below and at the left.
    axes = svg[svg.index('<g id="axes_1">') : svg.index('<g id="legend_1">')]
    assert axes.count('<g id="patch_') == 3


def test_names_are_cut_after_24_letters():
    truth = ground_truth([(1, 3, (0, 0, 40, 40))])
    truth["categories"][1]["name"] = "abcdefghijklmnopqrstuvwxyz"
    svg = draw_class_curves(evaluate_boxes(truth, []))
    assert "abcdefghijklmnopqrstuvwx   0.0" in svg


def test_five_mean_curves_are_drawn_and_named():
    metrics = evaluate_boxes(*random_case(0))
    svg = draw_mean_curves(metrics)
    assert len(curves_in(svg)) == 5
    assert f"IoU 0.50   {100 * metrics.values['AP50']:.1f}" in svg
    assert draw_mean_curves(metrics) == svg


def test_few_classes_are_drawn_in_their_colors_and_named():
    metrics = evaluate_boxes(*random_case(0))
    svg = draw_class_curves(metrics)
    assert len(curves_in(svg)) == 3
    for one in metrics.per_class:
        assert f"{one.name}   {100 * one.values['AP50']:.1f}" in svg


def test_up_to_eight_classes_are_told_apart_by_color():
    ids = tuple(range(1, 9))
    truth = ground_truth([(1, i, (0, 0, 9, 9)) for i in ids], category_ids=ids)
    svg = draw_class_curves(evaluate_boxes(truth, []))
    assert len(line_colors(svg)) == MOST_COLORED == 8


def test_many_classes_are_drawn_behind_their_mean():
    ids = tuple(range(1, MOST_COLORED + 2))
    truth = ground_truth([(1, i, (0, 0, 9 + i, 9)) for i in ids], category_ids=ids)
    metrics = evaluate_boxes(truth, [result(1, 2, (0, 0, 11, 9), 0.5)])
    svg = draw_class_curves(metrics)
    assert len(curves_in(svg)) == len(ids) + 1
    assert f"{len(ids)} classes" in svg
    # One of nine is found: so high is the mean; it is drawn last, above them.
    axes = svg[svg.index('<g id="axes_1">') : svg.index('<g id="legend_1">')]
    assert heights(svg)[-1] == pytest.approx(1 / len(ids) / 1.02, abs=1e-3)
    faint = re.findall(r"stroke-opacity: 0\.45; stroke-width: 0\.6;", axes)
    assert len(faint) == len(ids)
    assert axes.count("stroke-width: 2.2") == 1


def test_without_objects_there_are_no_curves_but_a_picture():
    metrics = evaluate_boxes(ground_truth([]), [result(1, 3, (0, 0, 9, 9), 0.5)])
    for svg in (draw_mean_curves(metrics), draw_class_curves(metrics)):
        assert svg.rstrip().endswith("</svg>")
        assert curves_in(svg) == []
