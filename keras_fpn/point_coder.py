"""Boxes as distances from a point to their four sides, as FCOS predicts them.

Source: Tian et al. 2019 (arXiv:1904.01355), Sec. 3.1, in torchvision's units.
"""

from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.box_coder import giou_loss
from keras_fpn.boxes import box_sides, split_boxes
from keras_fpn.config import Config


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class PointCoder(Config):
    """Encodes and decodes distances of points, and computes the loss of boxes.

    A point is the center of an anchor, whose sides are the unit of distances.
    """

    def encode(self, boxes, anchors):
        """Returns distances to the left, top, right and bottom sides.

        Args:
            boxes, anchors: float (..., 4), xyxy, pixels; leading axes broadcast.

        Returns:
            float (..., 4), in sides of the anchor; negative where the point is outside.
        """
        width, height = box_sides(anchors)
        sides = ops.stack([width, height, width, height], axis=-1)
        return side_distances(anchors, boxes) / sides

    def decode(self, distances, anchors):
        """Returns the boxes at these distances, float (..., 4), xyxy, pixels.

        Args:
            distances: float (..., 4), as returned by `encode`.
            anchors: float (..., 4), xyxy, pixels; leading axes broadcast.
        """
        x, y = centers(anchors)
        width, height = box_sides(anchors)
        left, top, right, bottom = split_boxes(distances)
        corners = [
            x - left * width,
            y - top * height,
            x + right * width,
            y + bottom * height,
        ]
        return ops.stack(corners, axis=-1)

    def loss(self, distances, boxes, anchors, positive):
        """Returns 1 - GIoU of each box, float32 (B, N), 0 if not positive.

        Args:
            distances: float (B, N, 4), predicted, at least 0.
            boxes, anchors, positive: as in `BoxCoder.loss`.
        """
        predicted = self.decode(ops.cast(distances, "float32"), anchors)
        return giou_loss(predicted, boxes, positive)


def centers(boxes):
    """Returns the coordinates x, y of centers, each float (...), pixels."""
    x1, y1, x2, y2 = split_boxes(boxes)
    return (x1 + x2) / 2, (y1 + y2) / 2


def side_distances(anchors, boxes):
    """Returns how far centers are from the sides of boxes, float (..., 4), pixels.

    Args:
        anchors, boxes: float (..., 4), xyxy, pixels; leading axes broadcast.

    Returns:
        distances to the left, top, right and bottom side, negative outside.
    """
    x, y = centers(anchors)
    x1, y1, x2, y2 = split_boxes(boxes)
    return ops.stack([x - x1, y - y1, x2 - x, y2 - y], axis=-1)


def centerness(distances):
    """Returns how central points are in their boxes, 0..1, float (...).

    It is 1 at the center and 0 on the sides. Points outside count as on a side.

    Source: Tian et al. 2019 (arXiv:1904.01355), Eq. 3.

    Args:
        distances: float (..., 4), as returned by `PointCoder.encode`.
    """
    left, top, right, bottom = split_boxes(distances)
    product = 1.0
    for one, other in ((left, right), (top, bottom)):
        longer = ops.maximum(one, other)
        ratio = ops.minimum(one, other) / ops.where(longer > 0, longer, 1.0)
        product = product * ops.maximum(ratio, 0.0)
    return ops.sqrt(product)
