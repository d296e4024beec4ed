"""Anchors: boxes of fixed sizes and ratios at every cell of a pyramid level.

Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1.1, on the levels of Lin et al. 2017
(arXiv:1612.03144), Sec. 4.1; rounding, order and spacing are torchvision's.
"""

from collections.abc import Sequence

import numpy as np
from keras import ops


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]):
    """Returns the anchors of the cell at the origin, float32 (A, 4), xyxy, pixels.

    A = len(ratios) * len(sizes), ratios in the outer loop. Coordinates are rounded to
    whole pixels (0.5 to the even neighbor), because pretrained heads expect exactly
    these boxes.

    Args:
        sizes: floats, square root of each anchor's area, pixels.
        ratios: floats, height over width.
    """
    root = np.sqrt(np.asarray(ratios, "float32"))[:, None]
    side = np.asarray(sizes, "float32")[None, :]
    widths, heights = (side / root).ravel(), (side * root).ravel()
    corners = np.stack([-widths, -heights, widths, heights], axis=1) / 2
    return np.round(corners)


def unrounded_cell_anchors(sizes: Sequence[float], ratios: Sequence[float]):
    """Returns the anchors of the cell at the origin, float32 (A, 4), xyxy, pixels.

    A = len(sizes) * len(ratios), sizes in the outer loop. Source: detectron2, which
    does not round them.

    Args:
        sizes, ratios: as in `cell_anchors`.
    """
    root = np.sqrt(np.asarray(ratios, "float64"))[None, :]
    side = np.asarray(sizes, "float64")[:, None]
    widths, heights = (side / root).ravel(), (side * root).ravel()
    corners = np.stack([-widths, -heights, widths, heights], axis=1) / 2
    return corners.astype("float32")


def grid_anchors(cell, grid_size, image_size):
    """Returns the cell's anchors repeated over a level's grid, float32 (h * w * A, 4).

    Cells are `image_size // grid_size` pixels apart, as in torchvision. That equals the
    stride 2^l only if the padded image is divisible by it: at P6 of an image 800 pixels
    high, cells are 61 pixels apart, not 64.

    Args:
        cell: float32 (A, 4), from `cell_anchors`.
        grid_size: (h, w) of the level's map, ints or scalar tensors.
        image_size: (H, W) of the padded image, pixels, ints or scalar tensors.
    """
    shift_y = _shifts(grid_size[0], image_size[0])[:, None]
    shift_x = _shifts(grid_size[1], image_size[1])[None, :]
    shift_x, shift_y = (
        ops.broadcast_to(shift, tuple(grid_size)) for shift in (shift_x, shift_y)
    )
    shifts = ops.stack([shift_x, shift_y, shift_x, shift_y], axis=-1)
    anchors = ops.expand_dims(shifts, 2) + ops.convert_to_tensor(cell)
    return ops.reshape(anchors, (-1, 4))


def _shifts(cells, pixels):
    return ops.cast(ops.arange(cells) * (pixels // cells), "float32")
