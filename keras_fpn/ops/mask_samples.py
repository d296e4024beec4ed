"""RoIAlign of masks that are given as crops, as if they covered the whole image."""

from keras import ops

from keras_fpn.boxes import split_boxes
from keras_fpn.ops.roi_align_adaptive import axis_of, cell_weights

_LEAST_SIDE = 1e-6  # pixels of a window, so that empty ones have finite cells


def mask_samples(masks, windows, boxes, image_sizes, size: int, aligned: bool):
    """Averages bilinear samples of a mask over each bin of a box.

    A bin of h x w cells of the crop holds ceil(h) x ceil(w) points. If the cells are
    pixels, the result is that of `roi_align` with a sampling ratio of 0 on the mask of
    the whole image. Larger cells are taken as such pixels, at the places they have.

    Source: the targets of the mask heads of torchvision and of detectron2's bit masks.

    Args:
        masks: (B, S, h, w), coverage of cells in any unit; nothing is covered outside.
        windows: float32 (B, S, 4), xyxy, input-image pixels, over which each mask
            extends.
        boxes: float32 (B, S, 4), xyxy, input-image pixels, inside the image.
        image_sizes: float (B, 2), height and width without the padding, pixels. Points
            beyond the centers of the outermost pixels take their value.
        size: int, m, bins along each side of the result.
        aligned: bool, as in `roi_align`.

    Returns:
        float32 (B, S, m, m), in the unit of `masks`.
    """
    height, width = ops.shape(masks)[-2:]
    sizes = ops.cast(image_sizes, "float32")[:, None]  # (B, 1, 2)
    x1, y1, x2, y2 = split_boxes(windows)
    left, top, right, bottom = split_boxes(boxes)
    rows = _weights((y1, y2), height, (top, bottom), sizes[..., 0], size, aligned)
    columns = _weights((x1, x2), width, (left, right), sizes[..., 1], size, aligned)
    masks = ops.matmul(rows, ops.cast(masks, "float32"))  # (B, S, m, w)
    return ops.matmul(masks, ops.swapaxes(columns, -1, -2))


def _weights(window, cells, box, side, size, aligned):
    """Returns the share of each cell in the average of each bin, along one axis.

    Positions are counted in cells, from the center of the image's first pixel.

    Args:
        window, box: pairs of float32 (B, S), where they begin and end, pixels.
        cells: int, of the window.
        side: float32 (B, 1), of the image, pixels.

    Returns:
        float32 (B, S, size, cells).
    """
    (begin, end), (low, high) = window, box
    count = ops.cast(cells, "float32")
    per_pixel = count / ops.maximum(end - begin, _LEAST_SIDE)
    length = high - low
    if not aligned:  # the value of pixel i is that at i, not at i + 0.5
        low, length = low + 0.5, ops.maximum(length, 1.0)
    low = (low - 0.5) * per_pixel + 0.5
    limit = (side - 1.0) * per_pixel + 1.0
    axis = axis_of(low, low + length * per_pixel, limit, size, aligned=True)
    step, samples, limit = (
        value[..., None, None] for value in (axis.step, axis.samples, limit)
    )
    center = ((begin - 0.5) * per_pixel + 0.5)[..., None, None]  # of the first cell
    cell = center + ops.cast(ops.arange(cells), "float32")
    return cell_weights(axis.first[..., None], step, samples, limit, cell)
