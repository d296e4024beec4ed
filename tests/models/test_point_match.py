"""Which object a point belongs to, by hand and by a plain loop."""

import numpy as np
import pytest
from models.truths import floats, truth_of
from numpy.testing import assert_array_equal
from on_backend import arrays

from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.models import PointMatch


def anchors_at(points, stride):
    """Squares with the stride as their side, around points."""
    points = floats(points)
    return np.concatenate([points - stride / 2, points + stride / 2], axis=1)


def matched(levels, boxes, radius=1.5, **more):
    """Labels and matches of one image.

    Args:
        levels: dict of level -> (points, stride).
        boxes: ground truth.
    """
    anchors = {name: anchors_at(*level) for name, level in levels.items()}
    truth = truth_of([boxes], [list(range(len(boxes)))], **more)
    labels, matches = arrays(PointMatch(radius)(anchors, truth))
    return labels[0], matches[0]


def test_points_on_a_side_do_not_belong():
    box = [10, 10, 20, 26]
    points = [(10, 18), (11, 18), (15, 10), (15, 11), (20, 18), (19, 18), (15, 26)]
    labels, _ = matched({"P3": (points, 8)}, [box])
    assert_array_equal(labels, [0, 1, 0, 1, 0, 1, 0])


def test_points_must_be_less_than_the_radius_from_the_center_in_x_and_y():
    box = [0, 0, 100, 100]  # 1.5 strides are 12 pixels
    points = [(50, 50), (61, 61), (62, 50), (50, 62), (50, 39), (50, 38)]
    labels, _ = matched({"P3": (points, 8)}, [box])
    assert_array_equal(labels, [1, 1, 0, 0, 1, 0])
    labels, _ = matched({"P3": (points, 8)}, [box], radius=1.0)
    assert_array_equal(labels, [1, 0, 0, 0, 0, 0])


def test_the_farthest_side_decides_on_the_level_and_limits_are_strict():
    levels = {
        "P3": ([(50, 50)], 8),  # up to 64 pixels
        "P4": ([(50, 50)], 16),  # 64 to 128
        "P5": ([(50, 50)], 32),  # from 128 on
    }
    for farthest, wanted in (
        (63, [1, 0, 0]),
        (64, [0, 0, 0]),
        (65, [0, 1, 0]),
        (127, [0, 1, 0]),
        (128, [0, 0, 0]),
        (129, [0, 0, 1]),
    ):
        labels, _ = matched(levels, [[40, 40, 50 + farthest, 60]], radius=9.0)
        assert_array_equal(labels, wanted, err_msg=str(farthest))


def test_the_finest_level_has_no_lower_and_the_coarsest_no_upper_limit():
    levels = {"P3": ([(50, 50)], 8), "P4": ([(50, 50)], 16)}
    labels, _ = matched(levels, [[49, 49, 51, 51]])
    assert_array_equal(labels, [1, 0])
    labels, _ = matched(levels, [[-999, -999, 1099, 1099]])
    assert_array_equal(labels, [0, 1])


def test_the_smallest_of_several_boxes_wins_and_the_first_of_equal_ones():
    boxes = [[30, 30, 70, 70], [40, 40, 60, 60], [40, 40, 60, 60]]
    labels, matches = matched({"P3": ([(50, 50), (38, 50)], 8)}, boxes, radius=2)
    assert_array_equal(labels, [1, 1])
    assert_array_equal(matches, [1, 0])


def test_points_in_a_crowd_are_ignored_unless_they_are_an_objects():
    boxes = [[40, 40, 60, 60], [0, 0, 90, 90]]
    points = [(50, 50), (20, 20), (95, 20), (90, 20)]
    crowd = {"is_crowd": np.array([[False, True]])}
    labels, _ = matched({"P3": (points, 8)}, boxes, **crowd)
    assert_array_equal(labels, [POSITIVE, IGNORED, NEGATIVE, NEGATIVE])


def by_loop(levels, boxes, radius):
    names = sorted(levels)
    for name in names:
        points, stride = levels[name]
        low = 0 if name == names[0] else 4 * stride
        high = np.inf if name == names[-1] else 8 * stride
        for x, y in points:
            best, found = np.inf, -1
            for index, (x1, y1, x2, y2) in enumerate(boxes):
                sides = [x - x1, y - y1, x2 - x, y2 - y]
                off = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2))
                if min(sides) > 0 and off < radius * stride and low < max(sides) < high:
                    area = (x2 - x1) * (y2 - y1)
                    if area < best:
                        best, found = area, index
            yield found


def test_it_equals_a_plain_loop():
    generator = np.random.default_rng(1)
    corners = generator.integers(0, 160, (12, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1) + 4], axis=1)
    levels = {
        f"P{level}": (
            [(x, y) for y in range(0, 160, 2**level) for x in range(0, 160, 2**level)],
            2**level,
        )
        for level in (3, 4, 5)
    }
    labels, matches = matched(levels, boxes)
    expected = np.array(list(by_loop(levels, boxes, 1.5)))
    assert 20 < (expected >= 0).sum() < len(expected) / 2
    assert_array_equal(labels == POSITIVE, expected >= 0)
    assert_array_equal(matches[labels == POSITIVE], expected[expected >= 0])


def test_without_objects_no_point_is_positive():
    labels, _ = matched({"P3": ([(5, 5)], 8)}, [[0, 0, 0, 0]])
    assert_array_equal(labels, [NEGATIVE])


def test_a_radius_of_zero_is_refused():
    with pytest.raises(ValueError, match="received radius=0"):
        PointMatch(0)
