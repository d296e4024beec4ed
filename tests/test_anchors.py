import numpy as np
import pytest
from keras import ops
from on_backend import graph_of_all_sizes

from keras_fpn.anchors import cell_anchors, grid_anchors, unrounded_cell_anchors

RATIOS = (0.5, 1.0, 2.0)

# Half widths and half heights for ratios 1/2, 1, 2, as in torchvision: 32 / sqrt(1/2)
# is 45.25 wide, the half 22.63 is rounded to 23.
HALF_SIDES = {
    32: [(23, 11), (16, 16), (11, 23)],
    64: [(45, 23), (32, 32), (23, 45)],
    128: [(91, 45), (64, 64), (45, 91)],
    256: [(181, 91), (128, 128), (91, 181)],
    512: [(362, 181), (256, 256), (181, 362)],
}


@pytest.mark.parametrize("size", HALF_SIDES)
def test_cell_anchors_are_those_of_pretrained_heads(size):
    expected = [(-w, -h, w, h) for w, h in HALF_SIDES[size]]
    got = cell_anchors((size,), RATIOS)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


def test_sizes_are_inside_ratios():
    got = cell_anchors((32, 64), (0.5, 2.0))
    halves = [
        HALF_SIDES[32][0],
        HALF_SIDES[64][0],
        HALF_SIDES[32][2],
        HALF_SIDES[64][2],
    ]
    np.testing.assert_array_equal(got[:, 2:], halves)


def test_half_pixels_are_rounded_to_the_even_one():
    # Half sides of 0.5, 1.5, 2.5, 3.5 pixels.
    np.testing.assert_array_equal(
        cell_anchors((1, 3, 5, 7), (1.0,))[:, 2:], [[0, 0], [2, 2], [2, 2], [4, 4]]
    )


def test_grid_goes_row_by_row_with_a_cells_anchors_together():
    cell = np.array([[-16, -8, 16, 8], [-4, -4, 4, 4]], "float32")
    got = ops.convert_to_numpy(grid_anchors(cell, (2, 3), (16, 12)))  # 8 down, 4 right
    expected = [
        *([-16, -8, 16, 8], [-4, -4, 4, 4]),  # at (0, 0)
        *([-12, -8, 20, 8], [0, -4, 8, 4]),  # x + 4
        *([-8, -8, 24, 8], [4, -4, 12, 4]),  # x + 8
        *([-16, 0, 16, 16], [-4, 4, 4, 12]),  # y + 8
        *([-12, 0, 20, 16], [0, 4, 8, 12]),
        *([-8, 0, 24, 16], [4, 4, 12, 12]),
    ]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("pixels", "cells", "stride"),
    [
        (800, 200, 4),
        (800, 25, 32),
        (800, 13, 61),  # P6 of an image 800 high: P5 has 25 cells, P6 13; 800 // 13
        (800, 7, 114),
        (1088, 17, 64),
        (1088, 9, 120),
        (1216, 10, 121),
        (1312, 21, 62),
        (1312, 11, 119),
        (1344, 11, 122),
    ],
)
def test_stride_is_pixels_by_cells_rounded_down(pixels, cells, stride):
    cell = np.zeros((1, 4), "float32")
    down = ops.convert_to_numpy(grid_anchors(cell, (cells, 1), (pixels, 64)))
    right = ops.convert_to_numpy(grid_anchors(cell, (1, cells), (64, pixels)))
    places = stride * np.arange(cells)
    np.testing.assert_array_equal(down[:, 1], places)
    np.testing.assert_array_equal(right[:, 2], places)
    assert not down[:, 0].any()
    assert not right[:, 1].any()


def test_every_cell_has_the_cells_anchors():
    cell = cell_anchors((32, 50), RATIOS)
    got = ops.convert_to_numpy(grid_anchors(cell, (3, 5), (96, 160)))
    assert got.dtype == np.float32
    relative = got.reshape(15, 6, 4) - got.reshape(15, 6, 4)[:, :1]
    np.testing.assert_array_equal(relative, np.tile(cell - cell[0], (15, 1, 1)))


def test_one_graph_serves_maps_and_images_of_all_sizes():
    cell = cell_anchors((32, 50), RATIOS)
    run = graph_of_all_sizes(
        lambda grid, image: grid_anchors(cell, ops.shape(grid), ops.shape(image)),
        [(None, None), (None, None)],
    )
    for grid, image in (((3, 5), (96, 160)), ((7, 2), (100, 33)), ((1, 1), (64, 64))):
        got = run(np.zeros(grid, "float32"), np.zeros(image, "float32"))
        expected = ops.convert_to_numpy(grid_anchors(cell, grid, image))
        assert len(expected) == grid[0] * grid[1] * 6
        np.testing.assert_array_equal(got, expected)


def test_unrounded_anchors_have_their_sizes_outside_and_their_ratios_inside():
    got = unrounded_cell_anchors((32, 50), (0.5, 2.0))
    assert got.dtype == np.float32
    root = np.sqrt(2.0)
    halves = [(16 * root, 16 / root), (16 / root, 16 * root)]
    halves += [(25 * root, 25 / root), (25 / root, 25 * root)]
    expected = [(-w, -h, w, h) for w, h in halves]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
