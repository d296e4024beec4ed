"""RoIAlign: the features under each box, resampled to a small grid of fixed size."""

import keras
from keras import ops

from keras_fpn.boxes import split_boxes


def roi_align(
    features, boxes, scales, levels=None, output_size=7, sampling_ratio=2, aligned=False
):
    """Averages bilinear samples of a map over each bin of each box.

    Every bin holds `sampling_ratio` squared sample points, evenly spaced. Neighbours
    beyond the map's last row or column take its value; points more than one cell
    outside the map count as zero.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 3; points, borders and the smallest
    box as in torchvision.ops.roi_align.

    Args:
        features: list of L maps, float (B, H_l, W_l, C).
        boxes: float32 (B, R, 4), xyxy, input-image pixels.
        scales: L floats, cells of the map per pixel of the input image (2^-l).
        levels: int (B, R), 0..L-1, the map each box reads; None where L is 1.
        output_size: int, P, bins per side.
        sampling_ratio: int >= 1, sample points per side of a bin.
        aligned: bool. True: cell i's value stands at i + 0.5 (half-pixel). False: at i,
            and a box is at least one cell wide and high (as pretrained heads expect).

    Returns:
        float (B, R, P, P, C), the dtype of the maps.

    Raises:
        ValueError: several maps without `levels`, as many scales as maps, or a
            sampling ratio below 1.
    """
    if len(features) != len(scales) or (levels is None and len(features) > 1):
        raise ValueError(
            "roi_align must have one scale per map, and levels where there are several "
            f"maps; received {len(features)} maps, scales={scales}, levels={levels}."
        )
    if not (isinstance(sampling_ratio, int) and sampling_ratio >= 1):
        raise ValueError(
            "sampling_ratio must be a whole number of points per bin side, at least 1; "
            f"received sampling_ratio={sampling_ratio}."
        )
    if levels is None:
        levels = ops.zeros(ops.shape(boxes)[:2], "int32")
    boxes, levels = ops.cast(boxes, "float32"), ops.cast(levels, "int32")
    if keras.backend.backend() == "tensorflow":
        from keras_fpn.ops.roi_align_tensorflow import roi_align_tensorflow as align
    else:
        align = roi_align_portable
    return align(features, boxes, scales, levels, output_size, sampling_ratio, aligned)


def first_points_and_steps(boxes, scale, output_size, sampling_ratio, aligned):
    """Returns the first sample point and the step between points, in cells.

    Args:
        boxes: float32 (..., 4), xyxy, pixels.
        scale: float32, scalar or (...), cells per pixel.

    Returns:
        y, x, step_y, step_x: float32 (...); points are y + k * step_y, k from 0 to
        `output_size * sampling_ratio` - 1, where cell i's value stands at i.
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


def roi_align_portable(
    features, boxes, scales, levels, output_size, sampling_ratio, aligned
):
    """`roi_align` in `keras.ops` alone: weighted sums of gathered rows of cells."""
    cells, sizes, starts = _flatten_maps(features)
    scale = ops.take(ops.convert_to_tensor(scales, "float32"), levels)
    points = first_points_and_steps(boxes, scale, output_size, sampling_ratio, aligned)
    y, x, step_y, step_x = (value[..., None] for value in points)  # (B, R, 1)
    height = ops.take(sizes[:, 0], levels)[..., None]
    width = ops.take(sizes[:, 1], levels)[..., None]
    per_image = ops.shape(cells)[0] // ops.shape(boxes)[0]
    image = ops.arange(ops.shape(boxes)[0])[:, None]
    start = (ops.take(starts, levels) + image * per_image)[..., None, None]
    bins = ops.arange(output_size, dtype="float32") * sampling_ratio
    total = 0.0
    for sample_y in range(sampling_ratio):
        rows = _neighbours(y + (bins + sample_y) * step_y, height)
        for sample_x in range(sampling_ratio):
            columns = _neighbours(x + (bins + sample_x) * step_x, width)
            for row, row_weight in rows:
                for column, column_weight in columns:
                    cell = row[..., :, None] * width[..., None] + column[..., None, :]
                    weight = row_weight[..., :, None] * column_weight[..., None, :]
                    values = ops.take(cells, start + cell, axis=0)
                    total += ops.cast(values, "float32") * weight[..., None]
    return ops.cast(total / sampling_ratio**2, cells.dtype)


def _flatten_maps(features):
    """Returns all cells (B * S, C), sizes int (L, 2) and each map's first cell (L,)."""
    batch, channels = ops.shape(features[0])[0], features[0].shape[-1]
    sizes = [ops.shape(level)[1:3] for level in features]
    starts, end = [], 0
    for height, width in sizes:
        starts.append(end)
        end = end + height * width
    flat = [ops.reshape(level, (batch, -1, channels)) for level in features]
    flat = ops.concatenate(flat, axis=1) if len(flat) > 1 else flat[0]
    sizes = ops.stack([ops.stack([h, w]) for h, w in sizes])
    return ops.reshape(flat, (-1, channels)), sizes, ops.stack(starts)


def _neighbours(points, size):
    """Returns the two cells beside each point of one axis, with their weights.

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
