"""Boxes as differences from anchors (or RoIs), and back.

Source: Ren et al. 2015 (arXiv:1506.01497), Eq. 2; the limit on dw and dh is
Detectron's.
"""

import math

from keras import ops

from keras_fpn.boxes import box_sides, split_boxes

# A box may grow to at most 1000 px from an anchor of 16 px: exp stays finite.
MAX_LOG_SCALE = math.log(1000.0 / 16.0)


def encode_boxes(boxes, anchors, weights=(1.0, 1.0, 1.0, 1.0)):
    """Returns the deltas that lead from each anchor to its box.

    Args:
        boxes: float (..., 4), xyxy, pixels, x2 > x1 and y2 > y1.
        anchors: float (..., 4), xyxy, pixels, x2 > x1 and y2 > y1.
        weights: 4 floats that multiply dx, dy, dw, dh.

    Returns:
        float (..., 4): dx, dy in anchor widths and heights, dw, dh log ratios.
    """
    anchor_width, anchor_height = box_sides(anchors)
    width, height = box_sides(boxes)
    anchor_x, anchor_y = _centres(anchors, anchor_width, anchor_height)
    x, y = _centres(boxes, width, height)
    deltas = [
        weights[0] * (x - anchor_x) / anchor_width,
        weights[1] * (y - anchor_y) / anchor_height,
        weights[2] * ops.log(width / anchor_width),
        weights[3] * ops.log(height / anchor_height),
    ]
    return ops.stack(deltas, axis=-1)


def decode_boxes(deltas, anchors, weights=(1.0, 1.0, 1.0, 1.0)):
    """Moves and scales each anchor by its predicted deltas; inverse of `encode_boxes`.

    dw and dh are limited to MAX_LOG_SCALE.

    Args:
        deltas: float (..., 4), dx, dy in anchor widths and heights, dw, dh log ratios.
        anchors: float (..., 4), xyxy, pixels; leading axes broadcast with `deltas`.
        weights: 4 floats the deltas were multiplied by when encoded.

    Returns:
        float (..., 4), xyxy, pixels; may leave the image (see `clip_boxes`).
    """
    anchor_width, anchor_height = box_sides(anchors)
    anchor_x, anchor_y = _centres(anchors, anchor_width, anchor_height)
    dx, dy = deltas[..., 0] / weights[0], deltas[..., 1] / weights[1]
    dw = ops.minimum(deltas[..., 2] / weights[2], MAX_LOG_SCALE)
    dh = ops.minimum(deltas[..., 3] / weights[3], MAX_LOG_SCALE)
    x, y = dx * anchor_width + anchor_x, dy * anchor_height + anchor_y
    half_width = 0.5 * ops.exp(dw) * anchor_width
    half_height = 0.5 * ops.exp(dh) * anchor_height
    corners = [x - half_width, y - half_height, x + half_width, y + half_height]
    return ops.stack(corners, axis=-1)


def _centres(boxes, width, height):
    x1, y1, _, _ = split_boxes(boxes)
    return x1 + 0.5 * width, y1 + 0.5 * height
