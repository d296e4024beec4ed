"""Masks resampled onto other grids, by hand and by a loop over cells."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import by_xla, compiled, outputs_of

from keras_fpn.boxes import take_rows
from keras_fpn.data.mask_crops import mask_crops
from keras_fpn.ops.mask_coverage import mask_coverage


def floats(values):
    return np.array(values, "float32")


def resampled(masks, windows, grids, size):
    run = lambda *x: mask_coverage(*x, size)  # noqa: E731
    return outputs_of(run, masks, floats(windows), floats(grids))


def by_a_loop(mask, window, grid, size):
    """Each new cell's area covered by cells of the mask."""
    found, (x1, y1, x2, y2) = np.zeros((size, size)), window
    left, top, right, bottom = grid
    h, w = (y2 - y1) / mask.shape[0], (x2 - x1) / mask.shape[1]
    height, width = (bottom - top) / size, (right - left) / size
    for row, column in np.ndindex(size, size):
        for y, x in np.ndindex(*mask.shape):
            low = max(y1 + y * h, top + row * height)
            high = min(y1 + (y + 1) * h, top + (row + 1) * height)
            first = max(x1 + x * w, left + column * width)
            last = min(x1 + (x + 1) * w, left + (column + 1) * width)
            area = max(high - low, 0) * max(last - first, 0)
            found[row, column] += mask[y, x] * area / (height * width)
    return found


def test_a_window_of_half_the_grid_covers_half_of_it():
    # 100 in the left half of the window, which is the right half of the grid.
    mask = np.array([[100, 0]], "uint8")
    got = resampled(mask[None], [[4, 0, 8, 8]], [[0, 0, 8, 8]], 2)
    assert_allclose(got, [[[0, 50], [0, 50]]])
    got = resampled(mask[None], [[4, 0, 8, 8]], [[0, 0, 8, 8]], 4)
    assert_allclose(got[0], [[0, 0, 100, 0]] * 4, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_a_loop_over_cells_adds_up(seed):
    draw = np.random.default_rng(seed)
    masks = draw.integers(0, 256, (2, 3, 5, 4)).astype("uint8")
    corners = draw.uniform(-20, 20, (2, 2, 3, 2))
    sides = draw.uniform(3, 40, (2, 2, 3, 2))
    windows, grids = np.concatenate([corners, corners + sides], axis=-1)
    got = resampled(masks, windows, grids, 7)
    assert got.shape == (2, 3, 7, 7)
    for index in np.ndindex(2, 3):
        expected = by_a_loop(masks[index], windows[index], grids[index], 7)
        assert_allclose(got[index], expected, atol=2e-3)
    assert got.max() > 20


@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    masks = np.array([[[255, 0], [0, 51]]], "uint8")
    windows, grids = floats([[4, 0, 8, 8]]), floats([[0, 0, 8, 8]])
    got = by_xla(lambda *x: mask_coverage(*x, 3), masks, windows, grids)
    expected = by_a_loop(masks[0], windows[0], grids[0], 3)
    assert_allclose(got[0], expected, atol=1e-3)
    assert expected.max() > 100


def test_the_same_grid_changes_nothing_and_area_is_kept():
    draw = np.random.default_rng(0)
    masks = draw.integers(0, 256, (1, 6, 6)).astype("uint8")
    window = [[3, 5, 33, 47]]
    assert_allclose(resampled(masks, window, window, 6), masks, rtol=1e-4, atol=1e-2)
    around = resampled(masks, window, [[-10, -8, 60, 90]], 5)
    areas = around.sum() * 70 * 98 / 25, masks.sum() * 30 * 42 / 36
    assert_allclose(*areas, rtol=1e-5)


def test_pixels_through_crops_are_the_masks_area_in_every_cell():
    rows, columns = np.ogrid[:64, :64]
    mask = ((rows - 30) ** 2 + (columns - 34) ** 2 < 400)[None]
    exact = mask.reshape(16, 4, 16, 4).mean(axis=(1, 3))
    errors = {}
    for side in (None, 56, 14):
        crops, windows = mask_crops(mask, np.zeros((1, 4)), side)
        got = resampled(crops, windows, [[0, 0, 64, 64]], 16)
        errors[side] = np.abs(got[0] / 255 - exact).mean()
    assert errors[None] < 1e-6  # cells that are pixels lose nothing
    assert 1e-4 < errors[56] < 0.003 < errors[14] < 0.03


def test_empty_windows_grids_and_sets_give_zeros():
    mask = np.full((2, 3, 3), 255, "uint8")
    empty, box = [5, 5, 5, 5], [0, 0, 10, 10]
    got = resampled(mask, [empty, box], [box, empty], 4)
    assert_array_equal(got, np.zeros((2, 4, 4)))
    assert resampled(mask[:0], np.zeros((0, 4)), np.zeros((0, 4)), 4).shape == (0, 4, 4)


def test_each_image_takes_its_own_masks():
    masks = np.arange(2 * 3 * 2 * 1).reshape(2, 3, 2, 1).astype("uint8")
    got = compiled(take_rows, masks, np.array([[2, 0], [1, 1]], "int32"))
    assert got.dtype == np.uint8
    assert_array_equal(got, [[masks[0, 2], masks[0, 0]], [masks[1, 1], masks[1, 1]]])
