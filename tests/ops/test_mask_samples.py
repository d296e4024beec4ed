"""Masks under boxes: RoIAlign of crops equals that of the whole image's masks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of
from ops.test_roi_align import bilinear_by_loop
from ops.test_roi_align_adaptive import points_by_loop

from keras_fpn.data.mask_crops import mask_crops
from keras_fpn.ops.mask_samples import mask_samples

SIZES = np.array([[40, 60]], "float32")
BOXES = np.array(
    [
        [8.3, 5.1, 47.9, 33.7],  # larger than the mask
        [20.2, 10.4, 29.9, 18.3],  # within it
        [0.0, 0.0, 60.0, 40.0],  # the whole image
        [33.0, 24.0, 60.0, 40.0],  # ends where the image ends
        [0.0, 7.7, 9.1, 30.2],
        [25.5, 15.5, 25.9, 15.8],  # smaller than a pixel
        [50.0, 1.0, 58.0, 6.0],  # without any of it
    ],
    "float32",
)


def ellipse(y, x, down, across):
    rows, columns = np.ogrid[:40, :60]
    return ((rows - y) / down) ** 2 + ((columns - x) / across) ** 2 < 1


# In the middle; in the lower right corner and in the left edge of the image.
MASKS = {"inside": ellipse(18, 26, 9, 14), "corner": ellipse(38, 55, 12, 20)}
MASKS["edge"] = ellipse(20, 0, 11, 8)


def sampled(mask, boxes, side, aligned, size=6):
    crops, windows = mask_crops(mask[None], np.zeros((1, 4)), side)
    count = len(boxes)
    run = lambda *x: mask_samples(*x, size, aligned)  # noqa: E731
    inputs = np.repeat(crops, count, 0)[None], np.repeat(windows, count, 0)[None]
    return outputs_of(run, *inputs, boxes[None], SIZES)[0] / 255


def of_the_whole_mask(mask, boxes, aligned, size=6):
    """RoIAlign's average of bilinear samples, point by point."""
    maps, found = mask.astype(float)[..., None], np.zeros((len(boxes), size, size))
    for box, bins in zip(boxes, found, strict=True):
        for row, column, y, x, count in points_by_loop(box, 1.0, size, aligned):
            bins[row, column] += bilinear_by_loop(maps, y, x)[0] / count
    return found


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("aligned", [False, True])
def test_pixels_through_crops_are_what_roi_align_finds_in_the_image(mask, aligned):
    got = sampled(MASKS[mask], BOXES, None, aligned)
    expected = of_the_whole_mask(MASKS[mask], BOXES, aligned)
    assert expected.max() > 0.999
    assert ((expected > 0.01) & (expected < 0.99)).sum() > 10
    assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("aligned", [False, True])
def test_a_crop_as_large_as_the_largest_may_leave_the_image(aligned):
    crops, windows = mask_crops(
        np.stack([MASKS["inside"], MASKS["corner"]]), np.zeros((2, 4)), None
    )
    assert windows[1, 3] > 40  # the window of the second ends below the image
    run = lambda *x: mask_samples(*x, 6, aligned)  # noqa: E731
    got = outputs_of(run, crops[None], windows[None], BOXES[None, [0, 3]], SIZES)
    expected = of_the_whole_mask(MASKS["corner"], BOXES[3:4], aligned)
    assert_allclose(got[0, 1] / 255, expected[0], atol=2e-5)


@pytest.mark.parametrize("aligned", [False, True])
def test_other_cells_are_at_their_places(aligned):
    errors = {}
    for side in (56, 14):
        got = sampled(MASKS["inside"], BOXES[:1], side, aligned)
        expected = of_the_whole_mask(MASKS["inside"], BOXES[:1], aligned)
        errors[side] = np.abs(got - expected).mean()
    assert errors[56] < 0.001 < errors[14] < 0.01
    shifted = sampled(MASKS["inside"], BOXES[:1] + 1, 56, aligned)
    assert np.abs(shifted - expected).mean() > 0.03


def test_empty_windows_and_boxes_give_finite_zeros():
    zeros = np.zeros((1, 2, 56, 56), "uint8")
    windows = np.array([[[5, 5, 5, 5], [0, 0, 30, 30]]], "float32")
    boxes = np.array([[[0, 0, 30, 30], [7, 7, 7, 7]]], "float32")
    for aligned in (False, True):
        run = lambda *x: mask_samples(*x, 4, aligned)  # noqa: B023, E731
        got = outputs_of(run, zeros, windows, boxes, SIZES)
        assert_array_equal(got, np.zeros((1, 2, 4, 4)))
