"""The only stage of a one-stage detector: classes and boxes at every anchor."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
from keras import ops

from keras_fpn.boxes import take_rows
from keras_fpn.levels import ordered_names
from keras_fpn.losses import sigmoid_focal
from keras_fpn.matcher import IGNORED, POSITIVE, Match
from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.models.loss_divisors import ImagePositives
from keras_fpn.models.parts import Parts

# Lin et al. 2017 (arXiv:1708.02002), Sec. 4. That the best anchors of an object are
# positive in any case is torchvision's and detectron2's addition.
DENSE_MATCH = Match(0.4, 0.5, allow_low_quality=True)

IMAGE_POSITIVES = ImagePositives()
COARSE_SOURCES = ("pyramid", "bottom_up")


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class DenseBranch(Parts):
    """Classifies all anchors and refines their boxes.

    Source: Lin et al. 2017 (arXiv:1708.02002), Sec. 3 and 4.

    Attributes:
        coarse_level: layer that adds coarser levels, such as `ConvolvedLevels`.
        anchors: `MultiLevelAnchors`.
        dense_head: `DenseHead`.
        dense_predictor: `DensePredictor`.
        detections: `DenseDetections`; the losses use its box coder too.
        coarse_source: str. "pyramid": `coarse_level` is called with the pyramid alone;
            "bottom_up": with the backbone's coarsest map too.
        dense_match: `Match` of anchors in training.
        loss_divisor: how many positives the losses are divided by, such as
            `ImagePositives`.

    Raises:
        ValueError: `coarse_source` is unknown, or the predictor has another number
            of anchors per cell than there are.
    """

    coarse_level: Any
    anchors: Any
    dense_head: Any
    dense_predictor: Any
    detections: Any
    coarse_source: Any = "pyramid"
    dense_match: Any = DENSE_MATCH
    loss_divisor: Any = IMAGE_POSITIVES

    loss_names: ClassVar[tuple[str, ...]] = ("class_loss", "box_loss")

    def __post_init__(self):
        if self.coarse_source not in COARSE_SOURCES:
            raise ValueError(
                f"coarse_source must be one of {COARSE_SOURCES}; received "
                f"coarse_source={self.coarse_source!r}."
            )
        per_cell = self.anchors.per_cell
        if self.dense_predictor.num_anchors != per_cell:
            raise ValueError(
                "The predictor must have as many anchors per cell as there are, "
                f"{per_cell}; received num_anchors={self.dense_predictor.num_anchors}. "
                "Pass dense_predictor and anchors that agree, or only one of them."
            )

    def levels(self, pyramid, bottom_up):
        """Returns the pyramid with its coarser levels, dict "P<l>" -> map.

        Args:
            pyramid: dict "P<l>" -> float (B, H_l, W_l, C).
            bottom_up: dict "C<l>" -> float (B, H_l, W_l, C_l).
        """
        if self.coarse_source == "pyramid":
            return self.coarse_level(pyramid)
        coarsest = bottom_up[ordered_names(bottom_up)[-1]]
        return self.coarse_level(pyramid, coarsest)

    def stages(self, pyramid, bottom_up, images):
        """Returns the tensors of each stage up to the predictions.

        Args:
            pyramid, bottom_up: as of `levels`.
            images: float (B, H, W, 3); only its size is read.

        Returns:
            dict with "dense_pyramid", the pyramid and its coarser levels; "anchors", a
            dict by level; and what `predictions` returns.
        """
        dense_pyramid = self.levels(pyramid, bottom_up)  # P3..P7
        anchors = self.anchors(dense_pyramid, images)  # per level (N_l, 4)
        predictions = self.predictions(dense_pyramid)
        return {"dense_pyramid": dense_pyramid, "anchors": anchors, **predictions}

    def predictions(self, dense_pyramid):
        """Returns "logits" and "deltas", each a dict by level.

        Args:
            dense_pyramid: dict "P<l>" -> float (B, H_l, W_l, C).
        """
        features = self.dense_head(dense_pyramid)  # of classes, of boxes
        logits, deltas = self.dense_predictor(*features)  # (B, N_l, K), (B, N_l, 4)
        return {"logits": logits, "deltas": deltas}

    def outputs(self, stages: dict, **limits):
        """Returns the detections, dict as returned by `DenseDetections`.

        Args:
            stages: dict, as returned by `stages`, with "image_sizes".
            **limits: optional `score_threshold` and `max_detections`, as of
                `DenseDetections`.
        """
        predictions = (stages[name] for name in ("anchors", "logits", "deltas"))
        return self.detections(*predictions, stages["image_sizes"], **limits)

    def losses(self, stages: dict, truth, training: bool):
        """Returns the losses of all anchors.

        Ignored anchors have no class loss, and only positives have a box loss.

        Args:
            stages: dict, as returned by `stages`.
            truth: `GroundTruth`.
            training: bool.

        Returns:
            sums: dict with "class_loss" and "box_loss", float32 scalars.
            count: float32 scalar, of `loss_divisor`.
        """
        anchors = all_levels(stages["anchors"], axis=0)
        labels, matches = self.dense_match(anchors[None], truth)
        positive = labels == POSITIVE
        box_loss = self.detections.coder.loss(
            all_levels(stages["deltas"]),
            take_rows(truth.boxes, matches),
            anchors[None],
            positive,
        )
        losses = {
            "class_loss": class_losses(stages["logits"], labels, matches, truth),
            "box_loss": ops.sum(box_loss, axis=1),
        }
        return self.divided(losses, positive, truth, training)

    def divided(self, losses: dict, positive, truth, training: bool):
        """Returns the sums of losses and their count, as `losses` does.

        Args:
            losses: dict of name -> float32 (B,), the sum of each image.
            positive: bool (B, N).
            truth: `GroundTruth`.
            training: bool.
        """
        positives = ops.sum(ops.cast(positive, "float32"), axis=1)
        weights, count = self.loss_divisor(positives, truth.weights, training)
        return {name: ops.sum(v * weights) for name, v in losses.items()}, count

    def class_columns(self):
        """Returns the predictor's columns that belong to classes, as a tuple."""
        predictor = self.dense_predictor
        repeats = predictor.num_anchors
        return (ClassColumns(predictor.class_logits, repeats=repeats),)


def all_levels(rows, axis: int = 1):
    """Returns the rows of all levels as one float32 tensor, finest level first.

    Args:
        rows: dict "P<l>" -> float, such as (B, N_l, 4).
        axis: int, of the rows.
    """
    rows = ops.concatenate([rows[name] for name in ordered_names(rows)], axis=axis)
    return ops.cast(rows, "float32")


def class_losses(logits: dict, labels, matches, truth):
    """Returns the focal loss of each image, float32 (B,), over all columns.

    Args:
        logits: dict "P<l>" -> float (B, N_l, K).
        labels: int32 (B, N), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, N), 0..G-1.
        truth: `GroundTruth`.
    """
    predicted = all_levels(logits)
    classes = ops.take_along_axis(truth.labels, matches, axis=1)
    classes = ops.where(labels == POSITIVE, classes, -1)
    columns = ops.arange(predicted.shape[-1])
    losses = sigmoid_focal(predicted, classes[..., None] == columns)
    counted = ops.cast(labels != IGNORED, "float32")
    return ops.sum(ops.sum(losses, axis=2) * counted, axis=1)
