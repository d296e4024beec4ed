"""Resamples masks that are given as coverage of cells."""

from keras import ops

from keras_fpn.boxes import split_boxes

_LEAST_SIDE = 1e-6  # pixels of a cell, so that empty windows give 0, not NaN


def mask_coverage(masks, windows, grids, size: int):
    """Returns how much of each cell of another grid is inside a mask.

    Cells of a mask are taken as evenly covered, and what is outside its window as not
    covered. For cells that hold only 0 or all the result is the exact area.

    Args:
        masks: (..., h, w), coverage of cells in any unit.
        windows: float32 (..., 4), xyxy, pixels, over which each mask extends.
        grids: float32 (..., 4), xyxy, pixels, over which the result extends.
        size: int, cells along each side of the result.

    Returns:
        float32 (..., size, size), in the unit of `masks`.
    """
    height, width = ops.shape(masks)[-2:]
    x1, y1, x2, y2 = split_boxes(windows)
    left, top, right, bottom = split_boxes(grids)
    rows = _shares((y1, y2), height, (top, bottom), size)  # (..., size, h)
    columns = _shares((x1, x2), width, (left, right), size)  # (..., size, w)
    masks = ops.matmul(rows, ops.cast(masks, "float32"))
    return ops.matmul(masks, ops.swapaxes(columns, -1, -2))


def _shares(span, cells, other_span, other_cells):
    """Returns which share of each other cell every cell covers, along one axis."""
    edges = _edges(span, cells)[..., None, :]
    others = _edges(other_span, other_cells)[..., :, None]
    overlaps = ops.minimum(edges[..., 1:], others[..., 1:, :])
    overlaps = overlaps - ops.maximum(edges[..., :-1], others[..., :-1, :])
    sides = ops.maximum(others[..., 1:, :] - others[..., :-1, :], _LEAST_SIDE)
    return ops.maximum(overlaps, 0.0) / sides


def _edges(span, cells):
    """Returns the edges of equal cells, float32 (..., cells + 1)."""
    low, high = (ops.cast(end, "float32")[..., None] for end in span)
    shares = ops.cast(ops.arange(cells + 1), "float32") / ops.cast(cells, "float32")
    return low + (high - low) * shares
