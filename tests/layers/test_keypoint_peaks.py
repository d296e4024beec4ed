"""Keypoints are at the peaks of heat maps, in the pixels of the image."""

import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import compiled

from keras_fpn.layers import LogitPeaks, ProbabilityPeaks

SIDE = 6


def logits(batch, rows, joints=2, seed=0):
    shape = (batch, rows, SIDE, SIDE, joints)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def boxes(batch, rows, seed=0):
    draw = np.random.default_rng(seed)
    corners = draw.uniform(0, 9, (batch, rows, 2))
    sides = draw.uniform(2, 12, (batch, rows, 2))
    return np.concatenate([corners, corners + sides], axis=2).astype("float32")


@pytest.mark.parametrize("layer", [LogitPeaks, ProbabilityPeaks])
def test_peaks_keep_what_a_layer_owes(layer):
    check_layer(
        layer,
        {},
        (logits(2, 3), boxes(2, 3), np.array([3, 1], "float32")),
        ((None, None, SIDE, SIDE, 2), (None, None, 4), (None,)),
        (logits(1, 2, seed=1), boxes(1, 2, seed=1), np.array([2], "float32")),
        half="float32",
    )


def one_cell(row, column, value=4.0):
    maps = np.zeros((1, 1, SIDE, SIDE, 1), "float32")
    maps[0, 0, row, column] = value
    return maps


def found(layer, maps, box, count=1):
    rows = np.zeros((1, 2, 4), "float32")
    rows[0, 0] = box
    return compiled(layer, maps, rows, np.array([count], "int32"))


def test_a_keypoint_is_at_the_center_of_a_pixel_of_the_resized_map():
    # As many pixels as cells: the map is not changed. 5.5 px wide boxes have 6 pixels,
    # each 5.5 / 6 wide.
    got = found(LogitPeaks(), one_cell(2, 4), (10, 20, 15.5, 26))
    assert got.shape == (1, 2, 1, 3)
    assert_allclose(got[0, 0, 0], [10 + 4.5 * 5.5 / 6, 20 + 2.5, 4.0], rtol=1e-6)


def test_rows_after_the_last_detection_are_zero():
    got = found(LogitPeaks(), one_cell(2, 4), (10, 20, 16, 26), count=0)
    assert_array_equal(got, np.zeros((1, 2, 1, 3)))


def test_a_box_below_a_pixel_counts_as_one_pixel():
    got = found(LogitPeaks(), one_cell(2, 4), (10, 20, 10.25, 20.5))
    assert_allclose(got[0, 0, 0, :2], [10.5, 20.5])


def test_a_probability_is_that_of_the_peak_among_all_cells():
    maps = one_cell(2, 4)
    got = found(ProbabilityPeaks(), maps, (10, 20, 16, 26))
    expected = np.exp(4.0) / (np.exp(4.0) + SIDE * SIDE - 1)
    assert_allclose(got[0, 0, 0, 2], expected, rtol=1e-6)
    # Nothing overflows, and equal logits are equally probable.
    flat = found(ProbabilityPeaks(), np.full_like(maps, 200.0), (10, 20, 16, 26))
    assert_allclose(flat[0, 0, 0, 2], 1 / SIDE**2, rtol=1e-4)
