"""Proposals of photos: checked, clipped, scaled and padded."""

import numpy as np
import pytest

from keras_fpn.preprocessing import (
    boxes_to_photo,
    checked_proposals,
    proposal_batch,
    scaled_boxes,
)

SIZE = (30, 40)  # height and width


def test_boxes_are_clipped_and_empty_ones_left_out():
    boxes = [
        [-0.5, 2, 10, 31],  # less than a pixel outside, on two sides
        [5, 5, 5, 9],  # no width
        [39.5, 0, 41, 8],
        [40.2, 0, 40.9, 8],  # beyond the right edge: empty once it is clipped
    ]
    found = checked_proposals(boxes, SIZE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 2, 10, 30], [39.5, 0, 40, 8]])


def test_there_may_be_no_proposals():
    assert checked_proposals([], SIZE).shape == (0, 4)
    assert checked_proposals(np.zeros((0, 4)), SIZE).shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, 1]], r"boxes \(n, 4\), .* shape \(1, 3\)"),
        ([0, 0, 1, 1], r"shape \(4,\)"),
        ([[0, 0, 1, 1], [0, np.nan, 1, 1]], r"be finite; received .*nan.* in row 1"),
        ([[0, 0, np.inf, 1]], "be finite; received"),
        ([[5, 0, 4, 1]], r"x1 <= x2 and y1 <= y2; received \[5.0, 0.0, 4.0, 1.0\]"),
        ([[0, 5, 1, 4]], "x1 <= x2 and y1 <= y2; received"),
        ([[0, 0, 41.5, 1]], r"inside the photo, 40x30 pixels; received .* in row 0"),
        ([[0, 0, 1, 31.5]], "inside the photo, 40x30 pixels"),
        ([[-1.5, 0, 1, 1]], "inside the photo, 40x30 pixels"),
    ],
)
def test_boxes_that_cannot_be_of_the_photo_are_errors(boxes, message):
    with pytest.raises(ValueError, match=message):
        checked_proposals(boxes, SIZE)


def test_a_batch_is_scaled_and_padded_to_a_power_of_two():
    proposals = [[[0, 0, 40, 30]] * 5, [], [[10, 10, 20, 20]]]
    sizes = [SIZE, SIZE, (20, 20)]
    batch = proposal_batch(proposals, sizes, [(60, 80), (60, 80), (50, 10)])
    assert (batch.dtype, batch.shape) == (np.float32, (3, 8, 4))
    np.testing.assert_array_equal(batch[0, :5], [[0, 0, 80, 60]] * 5)
    np.testing.assert_array_equal(batch[2, 0], [5, 25, 10, 50])
    assert not batch[0, 5:].any()
    assert not batch[1].any()
    assert not batch[2, 1:].any()


def test_the_error_of_a_batch_counts_from_its_first_photo():
    with pytest.raises(ValueError, match=r"Photo 7: Proposals must be finite"):
        proposal_batch([[], [[0, 0, 1, np.nan]]], [SIZE] * 2, [SIZE] * 2, first=6)


def test_scaled_boxes_return_to_the_photo():
    boxes = np.array([[1, 2, 30.5, 27]], np.float32)
    scaled = scaled_boxes(boxes, SIZE, (90, 60))
    np.testing.assert_allclose(scaled, [[1.5, 6, 45.75, 81]])
    np.testing.assert_allclose(boxes_to_photo(scaled, (90, 60), SIZE), boxes)
