"""keras_fpn.box_merging: cases worked by hand."""

import numpy as np
import pytest

from keras_fpn.box_merging import (
    box_overlaps,
    merge_by_nms,
    merge_by_soft_nms,
    merge_by_weighted_boxes,
)

# The second box is the first moved by a fifth of its width: IoU 8 / 12 = 2 / 3. The
# third is far away. The fourth is the first, with another label.
BOXES = np.array(
    [[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60], [0, 0, 10, 10]], np.float32
)
SCORES = np.array([0.8, 0.4, 0.6, 0.5], np.float32)
LABELS = np.array([0, 0, 0, 1], np.int32)
ALL = [merge_by_nms, merge_by_soft_nms, merge_by_weighted_boxes]


def test_overlaps_are_intersection_over_union():
    overlaps = box_overlaps(BOXES[0], np.append(BOXES, [[3, 3, 3, 9]], axis=0))
    np.testing.assert_allclose(overlaps, [1, 2 / 3, 0, 1, 0])


def test_two_empty_boxes_do_not_overlap():
    empty = np.array([[5, 5, 5, 5]])
    assert box_overlaps(empty[0], empty) == [0]


def test_nms_drops_the_worse_of_two_boxes_of_a_label():
    rows, boxes, scores = merge_by_nms(BOXES, SCORES, LABELS, 0.5)
    assert rows.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(boxes, BOXES[[0, 2, 3]])
    np.testing.assert_array_equal(scores, SCORES[[0, 2, 3]])


def test_nms_keeps_both_at_an_overlap_equal_to_the_threshold():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 5, 10]], np.float32)  # IoU 1 / 2
    rows, _, _ = merge_by_nms(boxes, np.array([0.9, 0.8]), np.zeros(2, int), 0.5)
    assert rows.tolist() == [0, 1]


def test_a_dropped_box_drops_no_other():
    # Each box overlaps its neighbor by 0.6, the outer two by less than 0.5.
    boxes = np.array([[0, 0, 8, 1], [2, 0, 10, 1], [4, 0, 12, 1]], np.float32)
    rows, _, _ = merge_by_nms(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int), 0.5)
    assert rows.tolist() == [0, 2]


def test_soft_nms_lowers_scores_by_the_gaussian_of_the_overlap():
    rows, boxes, scores = merge_by_soft_nms(BOXES, SCORES, LABELS, 0.5)
    lowered = 0.4 * np.exp(-((2 / 3) ** 2) / 0.5)  # 0.164
    assert rows.tolist() == [0, 2, 3, 1]
    np.testing.assert_allclose(scores, [0.8, 0.6, 0.5, lowered], rtol=1e-6)
    np.testing.assert_array_equal(boxes, BOXES[rows])


def test_soft_nms_with_a_smaller_sigma_lowers_scores_more():
    _, _, soft = merge_by_soft_nms(BOXES, SCORES, LABELS, 0.5, sigma=1.0)
    _, _, hard = merge_by_soft_nms(BOXES, SCORES, LABELS, 0.5, sigma=0.25)
    assert hard.min() < soft.min()


def test_weighted_boxes_are_the_mean_by_score():
    rows, boxes, scores = merge_by_weighted_boxes(BOXES, SCORES, LABELS, 0.5, views=2)
    # x1 = (0.8 * 0 + 0.4 * 2) / 1.2 = 2 / 3. The score is (0.8 + 0.4) / 2, because two
    # of two views found it; one of two found the others, so half is left: 0.3, 0.25.
    assert rows.tolist() == [0, 2, 3]
    np.testing.assert_allclose(boxes[0], [2 / 3, 0, 32 / 3, 10], rtol=1e-6)
    np.testing.assert_array_equal(boxes[1:], BOXES[2:])
    np.testing.assert_allclose(scores, [0.6, 0.3, 0.25], rtol=1e-6)


def test_weighted_boxes_compare_with_the_mean_and_not_with_the_first_box():
    # The third box overlaps the first by 1 / 3, and the mean of the first two, which
    # begins at 2, by 8 / 13 > 0.5.
    boxes = np.array([[0, 0, 10, 1], [4, 0, 14, 1], [5, 0, 15, 1]], np.float32)
    scores = np.array([0.5, 0.5, 0.5])
    rows, merged, _ = merge_by_weighted_boxes(boxes, scores, np.zeros(3, int), 0.4, 3)
    assert rows.tolist() == [0]
    np.testing.assert_allclose(merged, [[3, 0, 13, 1]])


def test_more_boxes_than_views_do_not_raise_the_score_above_their_mean():
    boxes = np.repeat(BOXES[:1], 3, axis=0)
    scores = np.array([0.6, 0.5, 0.4])
    _, _, merged = merge_by_weighted_boxes(boxes, scores, np.zeros(3, int), 0.5, 1)
    np.testing.assert_allclose(merged, [0.5])


@pytest.mark.parametrize("merge", ALL)
def test_nothing_merged_is_nothing(merge):
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
    rows, boxes, scores = merge(*none, 0.5, 2)
    assert rows.shape == (0,)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.parametrize("merge", ALL)
def test_scores_of_zero_are_allowed(merge):
    _, boxes, scores = merge(BOXES[:1], np.zeros(1), LABELS[:1], 0.5, 1)
    np.testing.assert_array_equal(boxes, BOXES[:1])
    assert scores == [0]
