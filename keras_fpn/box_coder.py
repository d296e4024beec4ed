"""Encodes boxes as deltas from anchors (or RoIs) and decodes them again.

Source: Ren et al. 2015 (arXiv:1506.01497), Eq. 2; the limit on dw and dh is
Detectron's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.boxes import box_sides, generalized_iou, split_boxes
from keras_fpn.config import Config
from keras_fpn.losses import smooth_l1

# An anchor of 16 px can grow to 1000 px at most. Without a limit, exp could overflow.
MAX_LOG_SCALE = math.log(1000.0 / 16.0)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class BoxCoder(Config):
    """Encodes and decodes the box deltas of a head, and computes their loss.

    The layer that decodes a head's deltas and the loss share one coder, so they agree
    on what the deltas mean.

    Args:
        weights: 4 floats > 0, by which dx, dy, dw, dh are multiplied when boxes are
            encoded.
        beta: float >= 0, absolute difference from which the smooth L1 loss is linear;
            0 for the L1 loss of detectron2. The default is Detectron's for the RPN;
            torchvision uses it in both stages.

    Raises:
        ValueError: a weight is not above 0, `beta` is below 0, or there are not 4
            weights.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    beta: float = 1.0 / 9.0

    def __post_init__(self):
        weights = tuple(float(weight) for weight in self.weights)
        if len(weights) != 4 or min(weights) <= 0 or self.beta < 0:
            raise ValueError(
                "weights must be 4 numbers above 0 and beta at least 0; received "
                f"weights={weights}, beta={self.beta}."
            )
        object.__setattr__(self, "weights", weights)

    def encode(self, boxes, anchors):
        """Returns deltas, float (..., 4); see `encode_boxes`."""
        return encode_boxes(boxes, anchors, self.weights)

    def decode(self, deltas, anchors):
        """Returns boxes, float (..., 4); see `decode_boxes`."""
        return decode_boxes(deltas, anchors, self.weights)

    def loss(self, deltas, boxes, anchors, positive):
        """Returns the smooth L1 loss of each box, float32 (B, N), 0 if not positive.

        Args:
            deltas: float (B, N, 4), predicted.
            boxes: float (B, N, 4), xyxy, pixels, ground truth of each anchor.
            anchors: float, (B, N, 4) or (1, N, 4), xyxy, pixels.
            positive: bool (B, N). Boxes that are not positive may be empty.
        """
        differences = ops.cast(deltas, "float32") - self.encode(boxes, anchors)
        # Empty boxes have infinite or undefined logarithms: `where` keeps them out of
        # the sum and of the gradient, which a multiplication by 0 would not.
        differences = ops.where(positive[..., None], differences, 0.0)
        return ops.sum(smooth_l1(differences, self.beta), axis=-1)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class GIoUCoder(BoxCoder):
    """A `BoxCoder` whose loss compares the decoded boxes, by their generalized IoU.

    `beta` has no effect.

    Source: Rezatofighi et al. 2019 (arXiv:1902.09630); torchvision's RetinaNet v2.
    """

    def loss(self, deltas, boxes, anchors, positive):
        """Returns 1 - GIoU of each box, float32 (B, N), 0 if not positive.

        Args:
            deltas, boxes, anchors, positive: as in `BoxCoder.loss`.
        """
        predicted = self.decode(ops.cast(deltas, "float32"), anchors)
        return giou_loss(predicted, boxes, positive)


def giou_loss(predicted, boxes, positive):
    """Returns 1 - GIoU of each pair of boxes, float32 (B, N), 0 if not positive.

    Args:
        predicted, boxes: float32 (B, N, 4), xyxy, pixels.
        positive: bool (B, N).
    """
    return ops.where(positive, 1.0 - generalized_iou(predicted, boxes), 0.0)


def with_coder(config: dict):
    """Returns a layer's config with its `BoxCoder` deserialized.

    Configs saved by older versions have no coder and are returned unchanged.
    """
    if "coder" not in config:
        return config
    return {**config, "coder": keras.saving.deserialize_keras_object(config["coder"])}


def encode_boxes(boxes, anchors, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)):
    """Returns the deltas that turn each anchor into its box.

    Args:
        boxes: float (..., 4), xyxy, pixels, x2 > x1 and y2 > y1.
        anchors: float (..., 4), xyxy, pixels, x2 > x1 and y2 > y1.
        weights: 4 floats, by which dx, dy, dw, dh are multiplied.

    Returns:
        float (..., 4): dx, dy in units of the anchor's width and height; dw, dh are
        logarithms of ratios.
    """
    anchor_width, anchor_height = box_sides(anchors)
    width, height = box_sides(boxes)
    anchor_x, anchor_y = _centers(anchors, anchor_width, anchor_height)
    x, y = _centers(boxes, width, height)
    deltas = [
        weights[0] * (x - anchor_x) / anchor_width,
        weights[1] * (y - anchor_y) / anchor_height,
        weights[2] * ops.log(width / anchor_width),
        weights[3] * ops.log(height / anchor_height),
    ]
    return ops.stack(deltas, axis=-1)


def decode_boxes(deltas, anchors, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)):
    """Moves and scales each anchor by its predicted deltas; inverse of `encode_boxes`.

    dw and dh are clipped to MAX_LOG_SCALE.

    Args:
        deltas: float (..., 4): dx, dy in units of the anchor's width and height; dw, dh
            are logarithms of ratios.
        anchors: float (..., 4), xyxy, pixels; leading axes broadcast with `deltas`.
        weights: 4 floats, by which the deltas were multiplied when encoded.

    Returns:
        float (..., 4), xyxy, pixels; may reach beyond the image (see `clip_boxes`).
    """
    anchor_width, anchor_height = box_sides(anchors)
    anchor_x, anchor_y = _centers(anchors, anchor_width, anchor_height)
    dx, dy, dw, dh = ops.unstack(deltas, axis=-1)
    dx, dy = dx / weights[0], dy / weights[1]
    dw = ops.minimum(dw / weights[2], MAX_LOG_SCALE)
    dh = ops.minimum(dh / weights[3], MAX_LOG_SCALE)
    x, y = dx * anchor_width + anchor_x, dy * anchor_height + anchor_y
    half_width = 0.5 * ops.exp(dw) * anchor_width
    half_height = 0.5 * ops.exp(dh) * anchor_height
    corners = [x - half_width, y - half_height, x + half_width, y + half_height]
    return ops.stack(corners, axis=-1)


def _centers(boxes, width, height):
    x1, y1, _, _ = split_boxes(boxes)
    return x1 + 0.5 * width, y1 + 0.5 * height
