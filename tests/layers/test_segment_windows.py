"""Where each cell of a pyramid predicts a mask."""

import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose
from on_backend import outputs_of

from keras_fpn.layers import SegmentWindows


def zeros(*shape):
    return np.zeros(shape, "float32")


def test_keeps_what_a_layer_owes():
    check_layer(
        SegmentWindows,
        {"cells": 4.0, "scales": (1.0, 1.3, 1.7), "padding": 1.5},
        ({"P9": zeros(2, 6, 4, 1), "P10": zeros(2, 3, 2, 1)},),
        (dict.fromkeys(("P9", "P10"), (None, None, None, 1)),),
        ({"P9": zeros(1, 5, 7, 1), "P10": zeros(1, 4, 3, 1)},),
        half="float32",
    )


def test_windows_are_the_papers_40_to_640_pixels_and_half_octaves():
    pyramid = {f"P{level}": zeros(1, 1, 1, 1) for level in range(2, 7)}
    got = outputs_of(SegmentWindows(), pyramid)
    for level in range(2, 7):
        side = 10 * 2**level  # 40, 80, 160, 320, 640: objects of 32, ... and 25 %
        half = np.array([side, side * 2**0.5]) / 2
        expected = np.stack([-half, -half, half, half], axis=1)
        assert_allclose(got[f"P{level}"], expected, rtol=1e-6)
    assert_allclose(got["P6"][0, 2] * 2, 640)


def test_windows_are_centered_on_the_cells_row_by_row():
    layer = SegmentWindows(scales=(1.0,))
    got = outputs_of(layer, {"P2": zeros(1, 2, 3, 1)})
    centers = (got["P2"][:, :2] + got["P2"][:, 2:]) / 2
    assert_allclose(centers, [(x, y) for y in (0, 4) for x in (0, 4, 8)])
    # 13 cells of P6, as of 800 pixels, which 64 does not divide.
    got = outputs_of(layer, {"P6": zeros(1, 13, 1, 1)})
    rows = (got["P6"][:, 1] + got["P6"][:, 3]) / 2
    assert_allclose(rows, np.arange(13) * 64, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cells": 0.0}, r"received cells=0.0, scales=\(1.0, 1.41.*\), padding=1.25"),
        ({"scales": ()}, r"scales=\(\), padding"),
        ({"scales": (1.0, -2.0)}, r"scales=\(1.0, -2.0\)"),
        ({"padding": -1.0}, r"padding=-1.0"),
    ],
)
def test_sizes_must_be_above_0(arguments, message):
    with pytest.raises(ValueError, match=message):
        SegmentWindows(**arguments)
