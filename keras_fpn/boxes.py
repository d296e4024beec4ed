"""Functions on boxes: xyxy, continuous coordinates, pixels of the input image.

A box over the full image is (0, 0, W, H), and the width of a box is x2 - x1, without
the "+ 1" of some older code.
"""

from keras import ops


def split_boxes(boxes):
    """Returns x1, y1, x2, y2, each float (...), of boxes float (..., 4)."""
    return ops.unstack(boxes, axis=-1)


def box_sides(boxes):
    """Returns widths and heights, each float (...), of boxes float (..., 4), pixels."""
    x1, y1, x2, y2 = split_boxes(boxes)
    return x2 - x1, y2 - y1


def box_areas(boxes):
    """Returns areas, float (...), of boxes float (..., 4), in square pixels."""
    width, height = box_sides(boxes)
    return width * height


def take_rows(rows, indices):
    """Returns the rows of each image at its own indices.

    Args:
        rows: (B, N, ...), such as boxes or masks.
        indices: int (B, S), 0..N-1.

    Returns:
        (B, S, ...).
    """
    batch, count, *inner = ops.shape(rows)
    indices = indices + ops.arange(batch)[:, None] * count
    return ops.take(ops.reshape(rows, (-1, *inner)), indices, axis=0)


def clip_boxes(boxes, image_sizes):
    """Moves corners that lie outside the image onto its border.

    Args:
        boxes: float (B, ..., 4), xyxy, pixels.
        image_sizes: float (B, 2), height and width of each image, pixels.

    Returns:
        float (B, ..., 4), xyxy with 0 <= x <= W and 0 <= y <= H.
    """
    for _ in range(len(boxes.shape) - 2):
        image_sizes = ops.expand_dims(image_sizes, 1)  # (B, 1, ..., 2)
    limits = ops.take(image_sizes, (1, 0, 1, 0), axis=-1)  # W, H, W, H
    return ops.maximum(ops.minimum(boxes, limits), 0.0)


def intersections(boxes, others):
    """Returns the area of the intersection of each pair of boxes, square pixels.

    Args:
        boxes, others: float (..., 4), xyxy; leading axes broadcast.

    Returns:
        float (...).
    """
    x1, y1, x2, y2 = split_boxes(boxes)
    u1, v1, u2, v2 = split_boxes(others)
    width = ops.minimum(x2, u2) - ops.maximum(x1, u1)
    height = ops.minimum(y2, v2) - ops.maximum(y1, v1)
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)


def iou_of_areas(shared, areas, other_areas):
    """Returns the intersection over union (IoU) of pairs of boxes from areas, 0..1.

    The IoU of two empty boxes is 0.

    Args:
        shared, areas, other_areas: float (...), square pixels.
    """
    union = areas + other_areas - shared
    return ops.where(union > 0, shared / ops.where(union > 0, union, 1.0), 0.0)


def generalized_iou(boxes, others):
    """Returns the generalized IoU of each pair of boxes, -1..1.

    It is the IoU, less the share of the smallest box around both that neither covers.
    So it also grows when boxes without overlap come closer.

    Source: Rezatofighi et al. 2019 (arXiv:1902.09630), Algorithm 1.

    Args:
        boxes, others: float (..., 4), xyxy, with x2 >= x1 and y2 >= y1; leading axes
            broadcast.

    Returns:
        float (...).
    """
    shared = intersections(boxes, others)
    areas, other_areas = box_areas(boxes), box_areas(others)
    x1, y1, x2, y2 = split_boxes(boxes)
    u1, v1, u2, v2 = split_boxes(others)
    width = ops.maximum(x2, u2) - ops.minimum(x1, u1)
    height = ops.maximum(y2, v2) - ops.minimum(y1, v1)
    around = width * height
    uncovered = around - (areas + other_areas - shared)
    uncovered = ops.where(around > 0, uncovered / ops.where(around > 0, around, 1.0), 0)
    return iou_of_areas(shared, areas, other_areas) - uncovered
