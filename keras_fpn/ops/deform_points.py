"""The points at which a deformable convolution reads, and the cells around them."""

from typing import Any, NamedTuple

from keras import ops


class Geometry(NamedTuple):
    """Where a deformable convolution reads; pairs are (vertical, horizontal).

    Below, K is the number of positions in the kernel, and G that of deformable groups.
    """

    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    deformable_groups: int
    groups: int
    input_size: Any  # ints or, in a graph for all sizes, tensors
    output_size: Any

    def expected_output_size(self):
        """Returns the size that offsets must have, two ints or tensors."""
        return tuple(
            (size + 2 * margin - step * (kernel - 1) - 1) // stride + 1
            for size, margin, step, kernel, stride in zip(
                self.input_size,
                self.padding,
                self.dilation,
                self.kernel_size,
                self.strides,
                strict=True,
            )
        )


def points(numbers, offsets, geometry: Geometry):
    """Returns the points that output cells read.

    Args:
        numbers: int32 (P,), output cells, counted through all images.
        offsets: float (P, G * K * 2).
        geometry: `Geometry`.

    Returns:
        y, x: float32 (P, K, G), so that the value of cell i is that at i; both -1 for a
            point outside the map.
        image: int32 (P,).
    """
    rows, columns = geometry.kernel_size
    shape = (-1, geometry.deformable_groups, rows * columns, 2)
    offsets = ops.transpose(ops.reshape(offsets, shape), (3, 0, 2, 1))
    height, width = geometry.output_size
    image, cell = numbers // (height * width), numbers % (height * width)
    position = ops.arange(rows * columns, dtype="int32")
    unmoved = (
        ops.cast(start[:, None] * stride - margin + tap * step, "float32")
        for start, stride, margin, tap, step in zip(
            (cell // width, cell % width),
            geometry.strides,
            geometry.padding,
            (position // columns, position % columns),
            geometry.dilation,
            strict=True,
        )
    )
    # Not in half precision: that rounds coordinates above 256.
    y, x = (
        start[..., None] + ops.cast(offset, "float32")
        for start, offset in zip(unmoved, (offsets[0], offsets[1]), strict=True)
    )
    height, width = (ops.cast(size, "float32") for size in geometry.input_size)
    inside = (y > -1.0) & (y < height) & (x > -1.0) & (x < width)
    return ops.where(inside, y, -1.0), ops.where(inside, x, -1.0), image


def four_cells(where, geometry: Geometry):
    """Yields the four cells around each point, with their shares of its value.

    A share is 0 for a cell outside the map. At (-1, -1) the only cell with a share is
    outside, so that all shares are 0, and so are their slopes.

    Args:
        where: y, x and image, as returned by `points`.
        geometry: `Geometry`.

    Yields:
        cell: int32 (P, K, G), counted through all images, cells and groups.
        share: float32 (P, K, G), 0..1.
        slope_y, slope_x: float32 (P, K, G), derivatives of the share.
    """
    y, x, image = where
    height, width = geometry.input_size
    groups = geometry.deformable_groups
    group = ops.arange(groups, dtype="int32")
    first_row = image[:, None, None] * height
    for row, share_y, sign_y in _two_cells(y):
        for column, share_x, sign_x in _two_cells(x):
            cell = (first_row + ops.clip(row, 0, height - 1)) * width
            cell = (cell + ops.clip(column, 0, width - 1)) * groups + group
            there = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            there = ops.cast(there, "float32")
            share_x, share_of_row = share_x * there, share_y * there
            yield cell, share_y * share_x, sign_y * share_x, sign_x * share_of_row


def by_point(mask, geometry: Geometry):
    """Returns a mask (P, G * K) as float32 (P, K, G)."""
    groups = geometry.deformable_groups
    mask = ops.reshape(mask, (-1, groups, mask.shape[1] // groups))
    return ops.cast(ops.transpose(mask, (0, 2, 1)), "float32")


def _two_cells(points):
    """Returns (cell, share, derivative of the share) on both sides along an axis."""
    low = ops.floor(points)
    fraction = points - low
    low = ops.cast(low, "int32")
    return (low, 1.0 - fraction, -1.0), (low + 1, fraction, 1.0)
