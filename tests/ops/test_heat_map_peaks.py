"""The peaks of heat maps are those of maps that are resized as a whole."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import compiled

from keras_fpn.ops.heat_map_peaks import heat_map_peaks

SHARPNESS = -0.75


def weight(distance):
    """Keys 1981, Eq. 4, for any distance in cells."""
    x, a = abs(distance), SHARPNESS
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resizing(cells, pixels):
    """Returns the share of each cell in each pixel, float64 (pixels, cells)."""
    shares = np.zeros((pixels, cells))
    for pixel in range(pixels):
        position = (pixel + 0.5) * cells / pixels - 0.5
        before = int(np.floor(position))
        for tap in range(before - 1, before + 3):
            shares[pixel, min(max(tap, 0), cells - 1)] += weight(position - tap)
    return shares


def peak_by_resizing(heat_map, size):
    """Resizes the whole map; returns it, its highest value, and the pixel."""
    height, width = size
    rows, columns = heat_map.shape
    resized = resizing(rows, height) @ heat_map @ resizing(columns, width).T
    place = np.unravel_index(resized.argmax(), resized.shape)
    return resized, resized[place], place


def noise(maps, side, seed=0):
    return np.random.default_rng(seed).normal(size=(maps, side, side)).astype("float32")


# Smaller than the map, equal, larger; more pixels per block than a tile has.
SIZES = [(5, 3), (1, 1), (14, 14), (40, 23), (11, 70), (65, 33), (2, 90)]


@pytest.mark.parametrize("side", [7, 14])
def test_peaks_are_those_of_the_resized_maps(side):
    maps, sizes = noise(len(SIZES), side), np.array(SIZES, "int32")
    peaks, pixels = compiled(heat_map_peaks, maps, sizes)
    for heat_map, size, peak, pixel in zip(maps, SIZES, peaks, pixels, strict=True):
        _, expected, place = peak_by_resizing(heat_map, size)
        assert_allclose(peak, expected, atol=1e-5)
        assert_array_equal(pixel, place)


def test_more_tiles_than_are_listed_at_a_time():
    heat_map, size = noise(1, 7), (2100, 2050)
    peaks, pixels = compiled(heat_map_peaks, heat_map, np.array([size], "int32"))
    resized, expected, _ = peak_by_resizing(heat_map[0], size)
    assert_allclose(peaks, [expected], rtol=1e-5)
    assert_allclose(resized[tuple(pixels[0])], expected, rtol=1e-5)


def test_more_maps_than_are_looked_at_together():
    maps, sizes = noise(1100, 5), np.full((1100, 2), 9, "int32")
    peaks, pixels = compiled(heat_map_peaks, maps, sizes)
    every = [peak_by_resizing(heat_map, (9, 9)) for heat_map in maps]
    assert_allclose(peaks, [peak for _, peak, _ in every], atol=1e-5)
    assert_array_equal(pixels, [place for *_, place in every])


def test_a_peak_between_cells_exceeds_all_of_them():
    heat_map = np.zeros((1, 8, 8), "float32")
    heat_map[0, 3:5, 3:5] = 1.0
    peaks, pixels = compiled(heat_map_peaks, heat_map, np.array([[24, 24]], "int32"))
    # 24 pixels for 8 cells: the nearest ones to the middle of the four are 1/6 cell
    # away from it, so that their weights are those of distances 1/3 and 2/3.
    assert_allclose(peaks, [(weight(1 / 3) + weight(2 / 3)) ** 2], rtol=1e-5)
    assert peaks[0] > 1.1
    assert set(pixels[0]) <= {11, 12}


def test_the_border_is_repeated():
    heat_map = np.zeros((1, 6, 6), "float32")
    heat_map[0, 0, 5] = 2.0
    peaks, pixels = compiled(heat_map_peaks, heat_map, np.array([[6, 6]], "int32"))
    assert_allclose(peaks, [2.0])  # not more, though there is none of it beyond
    assert_array_equal(pixels, [[0, 5]])


def test_constant_maps_have_their_value_and_those_of_size_0_none():
    maps = np.full((2, 6, 6), -3.0, "float32")
    peaks, pixels = compiled(heat_map_peaks, maps, np.array([[9, 4], [0, 0]], "int32"))
    assert_allclose(peaks, [-3.0, -np.inf], rtol=1e-6)
    assert (pixels[0] < [9, 4]).all()


def test_checkerboards_whose_bounds_are_all_alike_are_done_too():
    board = (np.indices((6, 6)).sum(0) % 2).astype("float32")[None]
    peaks, pixels = compiled(heat_map_peaks, board, np.array([[19, 31]], "int32"))
    resized, expected, _ = peak_by_resizing(board[0], (19, 31))
    assert_allclose(peaks, [expected], rtol=1e-5)
    assert_allclose(resized[tuple(pixels[0])], expected, rtol=1e-5)


@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    import tensorflow as tf

    maps, sizes = noise(3, 7), np.array(SIZES[3:6], "int32")
    run = tf.function(heat_map_peaks, jit_compile=True)
    peaks, pixels = run(maps, sizes)
    expected, places = compiled(heat_map_peaks, maps, sizes)
    assert_allclose(peaks, expected, rtol=1e-5)
    assert_array_equal(pixels, places)
