import re

import numpy as np
import pytest
from metrics.made import ground_truth, random_case, result

from keras_fpn.metrics import evaluate_boxes
from keras_fpn.metrics.curves import (
    MOST_COLORED,
    draw_class_curves,
    draw_mean_curves,
    mean_curves,
)


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


def test_five_mean_curves_are_drawn_and_named():
    metrics = evaluate_boxes(*random_case(0))
    svg = draw_mean_curves(metrics)
    assert len(curves_in(svg)) == 5
    assert f"IoU 0.50   {100 * metrics.values['AP50']:.1f}" in svg
    assert draw_mean_curves(metrics) == svg


def test_few_classes_are_drawn_in_their_colours_and_named():
    metrics = evaluate_boxes(*random_case(0))
    svg = draw_class_curves(metrics)
    assert len(curves_in(svg)) == 3
    for one in metrics.per_class:
        assert f"{one.name}   {100 * one.values['AP50']:.1f}" in svg


def test_many_classes_are_drawn_behind_their_mean():
    ids = tuple(range(1, MOST_COLORED + 2))
    truth = ground_truth([(1, i, (0, 0, 9 + i, 9)) for i in ids], category_ids=ids)
    metrics = evaluate_boxes(truth, [result(1, 2, (0, 0, 11, 9), 0.5)])
    svg = draw_class_curves(metrics)
    assert len(curves_in(svg)) == len(ids) + 1
    assert f"{len(ids)} classes" in svg


def test_without_objects_there_are_no_curves_but_a_picture():
    metrics = evaluate_boxes(ground_truth([]), [result(1, 3, (0, 0, 9, 9), 0.5)])
    for svg in (draw_mean_curves(metrics), draw_class_curves(metrics)):
        assert svg.rstrip().endswith("</svg>")
        assert curves_in(svg) == []
