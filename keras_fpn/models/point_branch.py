"""The only stage of FCOS: classes, boxes and centerness at every point."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import take_rows
from keras_fpn.losses import binary_cross_entropy
from keras_fpn.matcher import POSITIVE
from keras_fpn.models.dense_branch import DenseBranch, all_levels, class_losses
from keras_fpn.models.loss_divisors import BatchPositives
from keras_fpn.models.point_match import PointMatch
from keras_fpn.point_coder import centerness

POINT_MATCH = PointMatch()
BATCH_POSITIVES = BatchPositives()


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class PointBranch(DenseBranch):
    """Classifies all points, and predicts their boxes and their centerness.

    Source: Tian et al. 2019 (arXiv:1904.01355), Sec. 3; numbers as in torchvision.

    Attributes:
        coarse_level, dense_head, coarse_source, loss_divisor: as in `DenseBranch`.
        anchors: `MultiLevelAnchors` of one square per cell, whose side is the stride;
            points are their centers.
        dense_predictor: `PointPredictor`.
        detections: `PointDetections`; the losses use its coder too.
        dense_match: `PointMatch` of points in training.

    Raises:
        ValueError: as in `DenseBranch`.
    """

    dense_match: Any = POINT_MATCH
    loss_divisor: Any = BATCH_POSITIVES

    loss_names = ("class_loss", "box_loss", "centerness_loss")

    def predictions(self, dense_pyramid):
        """Returns "logits", "deltas" and "centerness", each a dict by level."""
        features = self.dense_head(dense_pyramid)  # of classes, of boxes
        logits, deltas, central = self.dense_predictor(*features)
        return {"logits": logits, "deltas": deltas, "centerness": central}

    def outputs(self, stages: dict, **limits):
        """Returns the detections, dict as returned by `PointDetections`.

        Args:
            stages, **limits: as of `DenseBranch.outputs`.
        """
        names = "anchors", "logits", "deltas", "image_sizes", "centerness"
        return self.detections(*(stages[name] for name in names), **limits)

    def losses(self, stages: dict, truth, training: bool):
        """Returns the losses of all points.

        Ignored points have no class loss, and only positives have the other losses.

        Args:
            stages, truth, training: as of `DenseBranch.losses`.

        Returns:
            sums: dict with "class_loss", "box_loss" and "centerness_loss", float32
                scalars.
            count: float32 scalar, of `loss_divisor`.
        """
        labels, matches = self.dense_match(stages["anchors"], truth)
        positive = labels == POSITIVE
        coder = self.detections.coder
        anchors = all_levels(stages["anchors"], axis=0)[None]
        boxes = take_rows(truth.boxes, matches)
        box_loss = coder.loss(all_levels(stages["deltas"]), boxes, anchors, positive)
        targets = centerness(coder.encode(boxes, anchors))
        central_loss = binary_cross_entropy(all_levels(stages["centerness"]), targets)
        central_loss = ops.where(positive, central_loss, 0.0)
        losses = {
            "class_loss": class_losses(stages["logits"], labels, matches, truth),
            "box_loss": ops.sum(box_loss, axis=1),
            "centerness_loss": ops.sum(central_loss, axis=1),
        }
        return self.divided(losses, positive, truth, training)
