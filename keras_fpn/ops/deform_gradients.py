"""The gradients of a deformable convolution, which reads all points once more."""

from collections.abc import Callable

from keras import ops

from keras_fpn.ops.deform_chunks import (
    Chunks,
    flat_cells,
    grouped_columns,
    grouped_kernel,
    ungrouped_columns,
    ungrouped_kernel,
)
from keras_fpn.ops.deform_points import Geometry, by_point, four_cells, points


def deform_gradients(upstream, tensors, geometry: Geometry, loop: Callable):
    """Returns the gradients of inputs, kernel, offsets and mask."""
    inputs, kernel, offsets, mask = tensors
    chunks = Chunks(offsets)
    cells = flat_cells(inputs, geometry)
    grouped = grouped_kernel(kernel, geometry)
    parts = [chunks.numbers, *map(chunks.split, (offsets, mask, upstream))]

    def add_chunk(number, sums):
        of_cells, of_kernel, of_offsets, of_masks = sums
        here = [ops.take(part, number, axis=0) for part in parts]
        of_cells, of_chunk = _chunk_gradients(here, cells, grouped, of_cells, geometry)
        start = (number, 0, 0)
        return (
            of_cells,
            of_kernel + of_chunk[0],
            ops.slice_update(of_offsets, start, of_chunk[1][None]),
            ops.slice_update(of_masks, start, of_chunk[2][None]),
        )

    def zeros_like(value):
        return ops.zeros(ops.shape(value), "float32")

    sums = tuple(map(zeros_like, (cells, grouped, *parts[1:3])))
    sums = loop(0, chunks.count, add_chunk, sums)
    gradients = (
        ops.reshape(sums[0], ops.shape(inputs)),
        ungrouped_kernel(sums[1], kernel, geometry),
        chunks.join(sums[2]),
        chunks.join(sums[3]),
    )
    pairs = zip(gradients, tensors, strict=True)
    return tuple(ops.cast(gradient, tensor.dtype) for gradient, tensor in pairs)


def _chunk_gradients(part, cells, grouped, of_cells, geometry):
    """Returns the gradients of one chunk.

    Args:
        part: numbers, offsets and mask as of `read_by_gathers`, and the gradient of the
            outputs, float (P, O).
        cells: float (cells of all images and groups, C / G).
        grouped: float (groups, K * C / groups, O / groups), the kernel.
        of_cells: float32, gradient of the cells so far.

    Returns:
        of_cells: with this chunk's gradient.
        of_chunk: gradients of `grouped`, `offsets` and `mask`, float32.
    """
    numbers, offsets, mask, upstream = part
    upstream = ops.reshape(upstream, (-1, geometry.groups, grouped.shape[2]))
    upstream = ops.transpose(upstream, (1, 0, 2))
    of_columns = ops.matmul(upstream, ops.transpose(grouped, (0, 2, 1)))
    of_columns = ungrouped_columns(of_columns, cells.shape[1], geometry)
    masks = by_point(mask, geometry)
    columns = of_mask = of_y = of_x = 0.0
    where = points(numbers, offsets, geometry)
    for cell, weight, slope_y, slope_x in four_cells(where, geometry):
        values = ops.cast(ops.take(cells, cell, axis=0), "float32")
        columns += values * (weight * masks)[..., None]
        similarity = ops.sum(values * of_columns, axis=-1)
        of_mask += similarity * weight
        of_y += similarity * slope_y
        of_x += similarity * slope_x
        of_cells = ops.scatter_update(
            of_cells,
            ops.reshape(cell, (-1, 1)),
            ops.reshape(of_columns * (weight * masks)[..., None], (-1, cells.shape[1])),
            reduction="add",
        )
    columns = grouped_columns(ops.cast(columns, cells.dtype), geometry)
    of_kernel = ops.matmul(ops.transpose(columns, (0, 2, 1)), upstream)
    of_offsets = ops.stack([of_y * masks, of_x * masks], axis=-1)  # (P, K, G, 2)
    of_offsets = ops.transpose(of_offsets, (0, 2, 1, 3))
    of_mask = ops.transpose(of_mask, (0, 2, 1))
    return of_cells, (
        ops.cast(of_kernel, "float32"),
        ops.reshape(of_offsets, (-1, offsets.shape[1])),
        ops.reshape(of_mask, (-1, mask.shape[1])),
    )
