"""RoIAlign: the features under each box, resampled to a small grid of fixed size."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_fpn.boxes import split_boxes
from keras_fpn.ops.kernels import native_kernels_run
from keras_fpn.ops.roi_align_adaptive import roi_align_adaptive
from keras_fpn.ops.roi_maps import cell_count, flat_cells, maps_of_cells, maps_read

# RoIs whose gradients are added at a time: 7x7 bins of 256 channels are 2.4 MiB.
_CHUNK = 50


def roi_align(
    features,
    boxes,
    scales: Sequence[float],
    levels=None,
    output_size: int = 7,
    sampling_ratio: int = 2,
    aligned: bool = False,
):
    """Averages bilinear samples of a map over each bin of each box.

    Every bin holds `sampling_ratio` squared sample points, evenly spaced. With a ratio
    of 0, a bin of h x w cells holds ceil(h) x ceil(w) points, however large the box. A
    point beyond the centers of the map's border cells takes their value; a point more
    than one cell outside the map counts as zero.

    The gradient of the maps is added to the cells that were read, by their weights;
    boxes get no gradient. Nothing of the forward pass is kept but the boxes.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 3; points, borders, the smallest box
    and the gradient as in torchvision.ops.roi_align.

    Args:
        features: list of L maps, float (B, H_l, W_l, C).
        boxes: float32 (B, R, 4), xyxy, input-image pixels.
        scales: for each map its cells per pixel of the input image, 2^-l.
        levels: int (B, R), 0..L-1, the map each box reads; may be None if L is 1.
        output_size: P, bins per side.
        sampling_ratio: sample points per side of a bin; 0 for as many as the bin has
            cells, rounded up.
        aligned: True: the value of cell i is that at i + 0.5 (half-pixel). False: at i,
            and a box is at least one cell wide and high (as pretrained heads expect).

    Returns:
        float (B, R, P, P, C), the dtype of the maps.

    Raises:
        ValueError: there are not as many scales as maps, several maps but no `levels`,
            or the sampling ratio is no integer of at least 0.
    """
    if len(features) != len(scales) or (levels is None and len(features) > 1):
        raise ValueError(
            "roi_align must have one scale per map, and levels if there are several "
            f"maps; received {len(features)} maps, scales={scales}, levels={levels}."
        )
    if not (isinstance(sampling_ratio, int) and sampling_ratio >= 0):
        raise ValueError(
            "sampling_ratio must be the number of sample points per side of a bin, or "
            f"0 to adapt it to the box; received sampling_ratio={sampling_ratio}."
        )
    if levels is None:
        levels = ops.zeros(ops.shape(boxes)[:2], "int32")
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    levels = ops.cast(levels, "int32")
    settings = (boxes, scales, levels, output_size, sampling_ratio, aligned)
    if native_kernels_run():
        from keras_fpn.ops.roi_align_tensorflow import roi_align_tensorflow

        return roi_align_tensorflow(features, *settings)
    return roi_align_portable(features, *settings)


def roi_align_portable(
    features, boxes, scales, levels, output_size, sampling_ratio, aligned
):
    """`roi_align` in `keras.ops` alone: weighted sums of gathered rows of cells."""
    if sampling_ratio == 0:
        return roi_align_adaptive(features, boxes, scales, levels, output_size, aligned)
    points = sample_points(
        features, boxes, scales, levels, output_size, sampling_ratio, aligned
    )

    @ops.custom_gradient
    def align(*features):
        def gradient(upstream):
            return _spread(upstream, features, points, sampling_ratio)

        return _gather(features, points, output_size, sampling_ratio), gradient

    return align(*features)


class SamplePoints(NamedTuple):
    """The sample points of each box: the first one, the steps, and the map.

    Attributes:
        y, x, step_y, step_x: float32 (B, R), as from `first_points_and_steps`.
        height, width, first_cell: as in `MapsRead`.
    """

    y: Any
    x: Any
    step_y: Any
    step_x: Any
    height: Any
    width: Any
    first_cell: Any


def sample_points(
    features, boxes, scales, levels, output_size, sampling_ratio, aligned
):
    """Returns the `SamplePoints` of boxes; arguments as of `roi_align`."""
    scale, *maps = maps_read(features, scales, levels)
    points = first_points_and_steps(boxes, scale, output_size, sampling_ratio, aligned)
    return SamplePoints(*points, *maps)


def first_points_and_steps(boxes, scale, output_size, sampling_ratio, aligned):
    """Returns the first sample point and the step between points, in cells.

    Args:
        boxes: float32 (..., 4), xyxy, pixels.
        scale: float32, scalar or (...), cells per pixel.

    Returns:
        y, x, step_y, step_x: float32 (...), cells, so that the value of cell i is that
        at i. Points are y + k * step_y, k from 0 to `output_size * sampling_ratio` - 1.
    """
    x1, y1, x2, y2 = (side * scale for side in split_boxes(boxes))
    width, height = x2 - x1, y2 - y1
    if aligned:
        x1, y1 = x1 - 0.5, y1 - 0.5
    else:
        width, height = ops.maximum(width, 1.0), ops.maximum(height, 1.0)
    points = output_size * sampling_ratio
    step_y, step_x = height / points, width / points
    return y1 + 0.5 * step_y, x1 + 0.5 * step_x, step_y, step_x


def cells_and_weights(points, output_size, sampling_ratio):
    """Yields for every bin a cell that it reads, and the cell's weight.

    Each of the bin's samples reads four cells.

    Args:
        points: `SamplePoints` of shape (...).

    Yields:
        cell: int32 (..., P, P), index of the flattened cells.
        weight: float32 (..., P, P), the cell's share of the bin's average.
    """
    y, x, step_y, step_x, height, width, first_cell = (
        value[..., None] for value in points
    )
    bins = ops.arange(output_size, dtype="float32") * sampling_ratio
    per_bin = sampling_ratio**2

    def lines(first, step, size):
        for sample in range(sampling_ratio):
            yield from _neighbors(first + (bins + sample) * step, size)

    # Whatever is the same for all pairs of a row and a column is computed once: a graph
    # of fewer operations is sooner made.
    rows = [
        ((first_cell + row * width)[..., :, None], weight[..., :, None] / per_bin)
        for row, weight in lines(y, step_y, height)
    ]
    columns = [
        (column[..., None, :], weight[..., None, :])
        for column, weight in lines(x, step_x, width)
    ]
    for row, down in rows:
        for column, along in columns:
            yield row + column, down * along


def _gather(features, points, output_size, sampling_ratio):
    """Returns the features of every box, float (B, R, P, P, C)."""
    cells = flat_cells(features)
    total = 0.0
    for cell, weight in cells_and_weights(points, output_size, sampling_ratio):
        values = ops.take(cells, cell, axis=0)
        total += ops.cast(values, "float32") * weight[..., None]
    return ops.cast(total, cells.dtype)


def _spread(upstream, features, points, sampling_ratio):
    """Returns the gradients of the maps, from those of the boxes' features.

    This is `_gather` transposed, over chunks of boxes.

    Args:
        upstream: float (B, R, P, P, C), the gradient of what `_gather` returns.
    """
    output_size, channels = upstream.shape[3:]
    boxes = ops.shape(upstream)[0] * ops.shape(upstream)[1]
    chunks = boxes // _CHUNK + 1  # at least 1, because JAX traces the loop anyway

    def in_chunks(value, inner):
        value = ops.reshape(value, (-1, *inner))
        # Boxes that fill up the last chunk have no gradient; they read cell 1.
        filling = ((0, chunks * _CHUNK - boxes), *((0, 0) for _ in inner))
        value = ops.pad(value, filling, constant_values=0 if inner else 1)
        return ops.reshape(value, (-1, _CHUNK, *inner))

    gradients = in_chunks(
        ops.cast(upstream, "float32"), (output_size, output_size, channels)
    )
    points = SamplePoints(*(in_chunks(value, ()) for value in points))

    def add_chunk(number, cells):
        here = SamplePoints(*(ops.take(value, number, axis=0) for value in points))
        gradient = ops.take(gradients, number, axis=0)
        for cell, weight in cells_and_weights(here, output_size, sampling_ratio):
            rows = ops.reshape(gradient * weight[..., None], (-1, channels))
            cells = ops.scatter_update(
                cells, ops.reshape(cell, (-1, 1)), rows, reduction="add"
            )
        return cells

    cells = ops.shape(features[0])[0] * cell_count(features)
    zeros = ops.zeros((cells, channels), "float32")
    return maps_of_cells(ops.fori_loop(0, chunks, add_chunk, zeros), features)


def _neighbors(points, size):
    """Returns the two cells next to each point along one axis, with their weights.

    Args:
        points: float32 (..., P), positions in cells.
        size: int32 (..., 1), cells of the map along that axis.
    """
    limit = ops.cast(size, "float32")
    inside = ops.logical_and(points >= -1.0, points <= limit)
    points = ops.minimum(ops.maximum(points, 0.0), limit - 1.0)
    low = ops.floor(points)
    fraction = points - low
    low = ops.cast(low, "int32")
    high = ops.minimum(low + 1, size - 1)
    inside = ops.cast(inside, "float32")
    return (low, (1.0 - fraction) * inside), (high, fraction * inside)
