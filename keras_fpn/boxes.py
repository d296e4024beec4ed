"""Pure functions on boxes: xyxy, continuous coordinates, input-image pixels.

A full image is (0, 0, W, H); a box's width is x2 - x1, nothing added.
"""

from keras import ops


def split_boxes(boxes):
    """Returns x1, y1, x2, y2, each float (...), of boxes float (..., 4)."""
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def box_sides(boxes):
    """Returns widths and heights, each float (...), of boxes float (..., 4), pixels."""
    x1, y1, x2, y2 = split_boxes(boxes)
    return x2 - x1, y2 - y1


def box_areas(boxes):
    """Returns areas, float (...), of boxes float (..., 4), in square pixels."""
    width, height = box_sides(boxes)
    return width * height


def take_rows(rows, places):
    """Returns rows (B, S, C) of `rows` (B, N, C) at `places` int (B, S), 0..N-1."""
    batch, count = ops.shape(rows)[:2]
    places = places + ops.arange(batch)[:, None] * count
    return ops.take(ops.reshape(rows, (-1, rows.shape[-1])), places, axis=0)


def clip_boxes(boxes, image_sizes):
    """Moves corners outside the image onto its border.

    Args:
        boxes: float (B, ..., 4), xyxy, pixels.
        image_sizes: float (B, 2), height and width of each image, pixels.

    Returns:
        float (B, ..., 4), xyxy with 0 <= x <= W and 0 <= y <= H.
    """
    for _ in range(len(boxes.shape) - 2):
        image_sizes = ops.expand_dims(image_sizes, 1)  # (B, 1, ..., 2)
    height, width = image_sizes[..., :1], image_sizes[..., 1:]
    limits = ops.concatenate([width, height, width, height], axis=-1)
    return ops.maximum(ops.minimum(boxes, limits), 0.0)


def intersections(boxes, others):
    """Returns areas shared by pairs of boxes, float (...), square pixels.

    Args:
        boxes, others: float (..., 4), xyxy; leading axes broadcast.
    """
    x1, y1, x2, y2 = split_boxes(boxes)
    u1, v1, u2, v2 = split_boxes(others)
    width = ops.minimum(x2, u2) - ops.maximum(x1, u1)
    height = ops.minimum(y2, v2) - ops.maximum(y1, v1)
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)


def box_iou(boxes, others):
    """Returns intersection over union of pairs of boxes, float (...), 0..1.

    Two empty boxes have IoU 0.

    Args:
        boxes, others: float (..., 4), xyxy; leading axes broadcast.
    """
    shared = intersections(boxes, others)
    return iou_of_areas(shared, box_areas(boxes), box_areas(others))


def iou_of_areas(shared, areas, other_areas):
    """Returns `box_iou` of boxes whose areas, and those shared, are known already."""
    union = areas + other_areas - shared
    return ops.where(union > 0, shared / ops.where(union > 0, union, 1.0), 0.0)


def pairwise_iou(boxes, others):
    """Returns IoU of every box with every other, float (..., M, N), 0..1.

    Args:
        boxes: float (..., M, 4), xyxy.
        others: float (..., N, 4), xyxy, the same leading axes.
    """
    return box_iou(ops.expand_dims(boxes, -2), ops.expand_dims(others, -3))
