"""Small masks pasted into photos: as pixels and as run lengths."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pycocotools import mask as coco_mask

from keras_fpn.models.pasted_masks import (
    ExactPaste,
    WholePixelPaste,
    full_masks,
    run_length_masks,
)


def value_at(mask, u, v):
    """The mask at (u, v) in cells, by four cells of which those outside are 0."""
    total = 0.0
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            near = max(1 - abs(v - 0.5 - row), 0) * max(1 - abs(u - 0.5 - column), 0)
            total += near * mask[row, column]
    return total


def pasted_by_a_loop(mask, window, size, threshold):
    found = np.zeros(size, bool)
    x1, y1, x2, y2 = window
    for y, x in np.ndindex(*size):
        u = (x + 0.5 - x1) / (x2 - x1) * mask.shape[1]
        v = (y + 0.5 - y1) / (y2 - y1) * mask.shape[0]
        inside = x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2
        found[y, x] = inside and value_at(mask, u, v) >= threshold
    return found


def test_cells_of_two_pixels_are_interpolated_between_their_centers():
    # Cells 1 and 0 of 4 pixels each, their centers at 2 and 6: pixel centers 0.5, ...,
    # 7.5 have values 0.625 (falling to 0 outside), 0.875, 0.875, 0.625, 0.375, ...
    pixels, corner = ExactPaste()(np.array([[1.0, 0.0]]), (0, 0, 8, 1), (1, 9))
    assert corner == (0, 0)
    assert_array_equal(pixels, [[True] * 4 + [False] * 4])
    pixels, _ = ExactPaste(0.7)(np.array([[1.0, 0.0]]), (0, 0, 8, 1), (1, 9))
    assert_array_equal(pixels, [[False, True, True] + [False] * 5])


@pytest.mark.parametrize(
    "window",
    [
        (3.2, 1.7, 17.9, 12.4),
        (-6.0, -3.5, 9.3, 8.1),  # leaves the photo on two sides
        (10.5, 9.0, 40.0, 33.0),
        (-20, -20, 60, 60),  # around the whole photo
        (5.1, 5.2, 5.3, 5.4),  # without a pixel's center
        (7, 7, 7, 7),
        (50, 50, 60, 60),
    ],
)
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_it_is_what_a_loop_over_pixels_finds(window, threshold):
    mask = np.random.default_rng(0).random((5, 6)).astype("float32")
    size = (19, 23)
    expected = np.zeros(size, bool)
    if window[2] > window[0]:
        expected = pasted_by_a_loop(mask, window, size, threshold)
    [full] = full_masks([mask], [window], size, ExactPaste(threshold))
    assert_array_equal(full, expected)
    [runs] = run_length_masks([mask], [window], size, ExactPaste(threshold))
    assert runs["size"] == [19, 23]
    assert_array_equal(coco_mask.decode(runs), expected)
    if 0 < expected.sum() < expected.size:
        # Canonical: the same text as pycocotools makes of the pixels.
        text = coco_mask.encode(np.asfortranarray(expected, "uint8"))["counts"]
        assert runs["counts"] == text.decode()


def test_runs_go_on_from_one_column_into_the_next():
    mask = np.ones((2, 2))
    [runs] = run_length_masks([mask], [(1, -5, 4, 20)], (3, 6), ExactPaste())
    # Column 0 is outside; columns 1 to 3 are covered over their whole height.
    text = coco_mask.frPyObjects({"size": [3, 6], "counts": [3, 9, 6]}, 3, 6)["counts"]
    assert runs == {"size": [3, 6], "counts": text.decode()}


@pytest.mark.parametrize("paste", [ExactPaste(), WholePixelPaste()])
def test_there_may_be_no_masks(paste):
    nothing = np.zeros((0, 4, 4)), np.zeros((0, 4)), (5, 7), paste
    assert full_masks(*nothing).shape == (0, 5, 7)
    assert run_length_masks(*nothing) == []


def whole_pixels_by_a_loop(mask, window, size, threshold):
    """torchvision's rule: a framed mask is resized to the window's whole pixels."""
    height, width = mask.shape
    framed = np.pad(mask, 1)
    x1, y1, x2, y2 = window
    half_x = (x2 - x1) / 2 * (width + 2) / width
    half_y = (y2 - y1) / 2 * (height + 2) / height
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    # int() truncates toward 0, also below it.
    left, right = int(x - half_x), int(x + half_x)
    top, bottom = int(y - half_y), int(y + half_y)
    across, down = right - left + 1, bottom - top + 1
    found = np.zeros(size, bool)
    for row, column in np.ndindex(*size):
        if not (top <= row <= bottom and left <= column <= right):
            continue
        v = (row - top + 0.5) * (height + 2) / down - 0.5
        u = (column - left + 0.5) * (width + 2) / across - 0.5
        v, u = np.clip(v, 0, height + 1), np.clip(u, 0, width + 1)
        found[row, column] = value_at(framed, u + 0.5, v + 0.5) >= threshold
    return found


@pytest.mark.parametrize(
    "window",
    [
        (3.2, 1.7, 17.9, 12.4),
        (-6.0, -3.5, 9.3, 8.1),
        (10.5, 9.0, 40.0, 33.0),
        (-20, -20, 60, 60),
        (5.1, 5.2, 5.3, 5.4),
        (0.2, 0.1, 4.3, 6.2),  # its frame is truncated toward 0 from below
        (7, 7, 7, 7),
        (50, 50, 60, 60),
    ],
)
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_whole_pixels_are_what_a_loop_over_pixels_finds(window, threshold):
    mask = np.random.default_rng(0).random((5, 6)).astype("float32")
    size, paste = (19, 23), WholePixelPaste(threshold)
    expected = whole_pixels_by_a_loop(mask, window, size, threshold)
    window = np.array(window, "float32")
    [full] = full_masks([mask], [window], size, paste)
    assert_array_equal(full, expected)
    [runs] = run_length_masks([mask], [window], size, paste)
    assert_array_equal(coco_mask.decode(runs), expected)


def test_both_rules_differ_by_their_edges_only():
    mask, window = np.ones((4, 4), "float32"), np.array([2.4, 3.3, 12.6, 13.1])
    [exact] = full_masks([mask], [window], (19, 23), ExactPaste())
    [whole] = full_masks([mask], [window], (19, 23), WholePixelPaste())
    # Whole pixels: with its frame of 1.5 times the window it is 0..15 on both axes, of
    # which 3..12 have at least half. Exact: 2..12 (x) and 3..12 (y), without corners
    # but those at (3, 3) and (3, 12), and of column 2 without rows 3 and 12.
    assert whole.sum() == (exact & whole).sum() + 2 == 100
    assert exact.sum() == (exact & whole).sum() + 8


@pytest.mark.parametrize("paste", [ExactPaste, WholePixelPaste])
def test_a_threshold_must_be_a_probability_above_0(paste):
    assert paste.from_config(paste(0.3).get_config()) == paste(0.3)
    for wrong in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"received threshold={wrong}"):
            paste(wrong)
