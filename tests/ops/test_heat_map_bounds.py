"""Bounds of heat maps are at least what resizing gives, and not far above it."""

import numpy as np
import pytest
from on_backend import arrays
from ops.test_heat_map_peaks import noise, resizing

from keras_fpn.ops.heat_map_bounds import bound_pyramid, bounds_of_ranges

FINE = 8  # pixels per cell


def between_centers(heat_map):
    """The map resized, by the part between four centers that a pixel is in."""
    side = len(heat_map)
    shares = resizing(side, side * FINE)
    parts = (np.arange(side * FINE) + FINE // 2) // FINE
    return shares @ heat_map @ shares.T, parts


@pytest.mark.parametrize("side", [6, 7, 8])
def test_no_pixel_of_a_part_exceeds_its_bound(side):
    maps = noise(2, side)
    bounds = arrays(bound_pyramid(maps))
    most = 2 ** side.bit_length()
    finest = bounds[:, : most**2].reshape(2, most, most)
    assert np.isneginf(finest[:, side + 1 :]).all()
    loose = []
    for heat_map, own in zip(maps, finest, strict=True):
        resized, parts = between_centers(heat_map)
        for row in range(side + 1):
            for column in range(side + 1):
                part = resized[parts == row][:, parts == column]
                loose.append(own[row, column] - part.max())
    assert min(loose) > -1e-5
    assert np.mean(loose) < 1.0  # of values with a deviation of 1


def test_a_rectangle_has_the_bound_of_parts_that_cover_it():
    maps = noise(3, 7)
    pyramid = bound_pyramid(maps)
    finest = arrays(pyramid)[:, :64].reshape(3, 8, 8)
    draw = np.random.default_rng(1)
    ends = np.sort(draw.integers(0, 8, (200, 2, 2)), axis=2).astype("int32")
    own = draw.integers(0, 3, 200).astype("int32")
    found = arrays(bounds_of_ranges(pyramid, 7, own, ends[..., 0], ends[..., 1]))
    exact = [
        finest[n, low[0] : high[0] + 1, low[1] : high[1] + 1].max()
        for n, low, high in zip(own, ends[..., 0], ends[..., 1], strict=True)
    ]
    assert (found >= exact).all()
    assert (found == exact).mean() > 0.4  # those that fit are not enlarged
    assert found.max() == finest[own].max()
