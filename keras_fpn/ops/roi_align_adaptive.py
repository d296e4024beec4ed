"""RoIAlign with as many sample points per bin as the box needs, for boxes of any size.

The average over a bin is a sum over the cells that it reads, each with a weight that is
the product of a weight of its row and one of its column. Boxes that read about as many
cells per bin are summed together, in a loop over these cells. So their number has no
limit, and all shapes are static, as XLA needs.
"""

from typing import Any, NamedTuple

from keras import ops

from keras_fpn.boxes import split_boxes
from keras_fpn.ops.roi_maps import (
    cell_count,
    flat_cells,
    maps_of_cells,
    maps_read,
)

# Boxes that are summed together: 7x7 bins of 256 channels are 3.1 MiB.
_CHUNK = 64
# Sample points of a bin that give a weight to a cell: they are less than one cell away
# and, if there are several in a bin, more than half a cell apart.
_POINTS = 5


class Axis(NamedTuple):
    """The sample points of the bins of each box along one axis of its map, in cells.

    Attributes:
        first: float32 (..., P), first sample point of each bin; cell i is at i.
        step: float32 (...), distance of two points.
        samples: float32 (...), points per bin; 0 for a box without extent.
        size: int32 (...), cells of the map.
        begin: int32 (..., P), 0..size-1, the first cell that the bin reads.
        count: int32 (...), cells that each bin of the box reads at most.
    """

    first: Any
    step: Any
    samples: Any
    size: Any
    begin: Any
    count: Any


class BoxCells(NamedTuple):
    """What boxes read.

    Attributes:
        rows, columns: `Axis`.
        first_cell: int32 (...), as in `MapsRead`.
    """

    rows: Axis
    columns: Axis
    first_cell: Any


def roi_align_adaptive(
    features, boxes, scales, levels, output_size, aligned, spread=None
):
    """`roi_align` with a sampling ratio of 0, in `keras.ops` alone.

    Args:
        features, boxes, scales, levels, output_size, aligned: as of `roi_align`.
        spread: function (gradient of the result, features, `BoxCells`) -> gradients of
            the features, in another form than that in `keras.ops`.
    """
    read = cells_of_boxes(features, boxes, scales, levels, output_size, aligned)
    spread = spread or _spread

    @ops.custom_gradient
    def align(*features):
        return (
            _gather(features, read, output_size),
            lambda upstream: spread(upstream, features, read),
        )

    return align(*features)


def cells_of_boxes(features, boxes, scales, levels, output_size, aligned):
    """Returns the `BoxCells` of boxes (B, R); arguments as of `roi_align`."""
    scale, height, width, first_cell = maps_read(features, scales, levels)
    x1, y1, x2, y2 = (side * scale for side in split_boxes(boxes))
    rows = axis_of(y1, y2, height, output_size, aligned)
    columns = axis_of(x1, x2, width, output_size, aligned)
    return BoxCells(rows, columns, first_cell)


def axis_of(low, high, size, output_size: int, aligned: bool):
    """Returns the `Axis` of boxes from `low` to `high`, float32 (...), in cells.

    A bin of b cells has ceil(b) sample points.
    """
    length = high - low
    if aligned:
        low = low - 0.5
    else:
        length = ops.maximum(length, 1.0)
    samples = ops.ceil(length / output_size)
    # Compilers multiply by 1 / 7: then 42 / 7 is 6.0000005, and its ceiling 7.
    excessive = (samples - 1.0) * output_size >= length
    samples = ops.maximum(samples - ops.cast(excessive, "float32"), 0.0)
    step = length / (output_size * ops.maximum(samples, 1.0))
    bins = ops.arange(output_size, dtype="float32")
    first = low[..., None] + (bins * samples[..., None] + 0.5) * step[..., None]
    last = first + ((samples - 1.0) * step)[..., None]
    limit = ops.cast(size, "float32")[..., None] - 1.0
    begin = ops.floor(ops.clip(first, 0.0, limit))
    read = ops.floor(ops.clip(last, 0.0, limit)) - begin
    cells = ops.max(read, axis=-1, initial=0.0) + 2.0  # also of no boxes
    count = ops.where(samples > 0, cells, 0.0)
    return Axis(
        first, step, samples, size, ops.cast(begin, "int32"), ops.cast(count, "int32")
    )


def cell_weights(first, step, samples, size, cell):
    """Returns the share of a cell in the average of a bin along one axis, float32.

    It is the sum of what the bilinear samples of the bin read from the cell, divided by
    their number. Arguments broadcast; they are as in `Axis`, all float32.

    Args:
        cell: float32, index of the cell.
    """
    nearest = ops.maximum(ops.floor((cell - 1.0 - first) / step), 0.0)
    total = 0.0
    for number in range(_POINTS):
        point = first + (nearest + number) * step
        counts = ops.logical_and(point >= -1.0, point <= size)
        counts = ops.logical_and(counts, nearest + number < samples)
        distance = ops.abs(ops.clip(point, 0.0, size - 1.0) - cell)
        total += ops.where(counts, ops.maximum(1.0 - distance, 0.0), 0.0)
    return total / ops.maximum(samples, 1.0)


def _sorted_chunks(read: BoxCells):
    """Returns `BoxCells` of shape (chunks, _CHUNK) by the number of cells, and order.

    The last chunk is filled up with boxes that read nothing.

    Returns:
        read: `BoxCells`.
        order: int32 (B * R,), the index of each box.
    """
    cells = read.rows.count * read.columns.count
    order = ops.argsort(ops.reshape(cells, (-1,)))

    def sorted_chunks(value, inner):
        value = ops.reshape(value, (-1, *inner))
        return _in_chunks(ops.take(value, order, axis=0))

    return _each(read, sorted_chunks), order


def _each(read: BoxCells, function):
    """Returns `BoxCells` of the function of (value, its shape after that of boxes)."""
    boxes = len(read.first_cell.shape)
    rows, columns = (
        Axis(*(function(value, value.shape[boxes:]) for value in axis))
        for axis in read[:2]
    )
    return BoxCells(rows, columns, function(read.first_cell, ()))


def _in_chunks(value):
    """Returns (n, ...) as (chunks, _CHUNK, ...), at least 1 chunk, filled up with 0."""
    inner = value.shape[1:]
    filling = _CHUNK - ops.shape(value)[0] % _CHUNK
    value = ops.pad(value, ((0, filling), *((0, 0) for _ in inner)))
    return ops.reshape(value, (-1, _CHUNK, *inner))


def _over_cells(read: BoxCells, step, start):
    """Returns the last value of `step` over the cells of the bins of a chunk of boxes.

    Args:
        read: `BoxCells` of shape (_CHUNK,).
        step: function (value, cell int32 (_CHUNK, P, P), weight float32 (_CHUNK, P, P))
            -> value. Boxes with fewer cells than others get weights of 0.
        start: the first value.
    """
    rows, columns, first_cell = read
    across = ops.maximum(columns.count, 1)

    def body(number, value):
        row, down = _cell_of_bins(rows, number // across)
        column, along = _cell_of_bins(columns, number % across)
        line = row * columns.size[:, None]
        cell = first_cell[:, None, None] + line[:, :, None] + column[:, None, :]
        return number + 1, step(value, cell, down[:, :, None] * along[:, None, :])

    most = ops.max(rows.count * columns.count)
    return ops.while_loop(lambda number, _: number < most, body, (0, start))[1]


def _cell_of_bins(axis: Axis, number):
    """Returns the index and the weight of one cell of each bin, (n, P) each.

    Args:
        axis: `Axis` of shape (n,).
        number: int32 (n,), 0 for the first cell that the bin reads.
    """
    cell = axis.begin + number[:, None]
    step, samples, size = (ops.cast(value, "float32")[:, None] for value in axis[1:4])
    weight = cell_weights(axis.first, step, samples, size, ops.cast(cell, "float32"))
    # A cell beyond the map has weight 0: another one may be read instead of it.
    return ops.clip(cell, 0, ops.maximum(axis.size[:, None] - 1, 0)), weight


def _gather(features, read, output_size):
    """Returns the features of every box, float (B, R, P, P, C)."""
    batch, channels = ops.shape(features[0])[0], features[0].shape[-1]
    shape = (output_size, output_size, channels)
    cells = flat_cells(features)
    read, order = _sorted_chunks(read)

    def of_chunk(read):
        def add(total, cell, weight):
            values = ops.cast(ops.take(cells, cell, axis=0), "float32")
            return total + values * weight[..., None]

        total = _over_cells(read, add, ops.zeros((_CHUNK, *shape), "float32"))
        return ops.cast(total, cells.dtype)

    found = ops.reshape(ops.map(of_chunk, read), (-1, *shape))
    found = ops.take(found, ops.argsort(order), axis=0)
    return ops.reshape(found, (batch, -1, *shape))


def _spread(upstream, features, read):
    """Returns the gradients of the maps: `_gather` transposed."""
    inner = upstream.shape[2:]
    read, order = _sorted_chunks(read)
    gradients = ops.take(ops.reshape(upstream, (-1, *inner)), order, axis=0)
    gradients = _in_chunks(gradients)

    def add_chunk(number, cells):
        gradient = ops.cast(ops.take(gradients, number, axis=0), "float32")
        here = _each(read, lambda value, _: ops.take(value, number, axis=0))

        def add(cells, cell, weight):
            rows = ops.reshape(gradient * weight[..., None], (-1, inner[-1]))
            cell = ops.reshape(cell, (-1, 1))
            return ops.scatter_update(cells, cell, rows, reduction="add")

        return _over_cells(here, add, cells)

    count = ops.shape(features[0])[0] * cell_count(features)
    cells = ops.zeros((count, inner[-1]), "float32")
    chunks = ops.shape(read.first_cell)[0]
    return maps_of_cells(ops.fori_loop(0, chunks, add_chunk, cells), features)
