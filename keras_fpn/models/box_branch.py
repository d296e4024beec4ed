"""The second stage: a head that classifies RoIs and refines their boxes."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.models.roi_branch import (
    ROI_MATCH,
    ROI_SAMPLE,
    RoIBranch,
    SampledRoIs,
    predicted_losses,
)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class BoxBranch(RoIBranch):
    """Classifies RoIs and refines their boxes.

    Source: Girshick 2015 (arXiv:1504.08083), Sec. 2, on a pyramid as in Lin et al. 2017
    (arXiv:1612.03144), Sec. 4.2.

    Attributes:
        roi_align: `PyramidRoIAlign`.
        box_head: layer, (B, R, P, P, C) -> (B, R, D).
        box_predictor: `BoxPredictor`.
        detections: `Detections`; the losses use its box coder too.
        roi_match, roi_sample: `Match` and `Sample` of RoIs in training.
    """

    roi_align: Any
    box_head: Any
    box_predictor: Any
    detections: Any
    roi_match: Any = ROI_MATCH
    roi_sample: Any = ROI_SAMPLE

    loss_names = ("class_loss", "box_loss")

    def outputs(self, stages: dict, **limits):
        """Returns the detections, dict as returned by `Detections`.

        Args:
            stages: dict with "pyramid", "rois" and "image_sizes".
            **limits: optional `score_threshold` and `max_detections`, as of
                `Detections`.
        """
        roi_features = self.roi_align(stages["pyramid"], stages["rois"])
        hidden = self.box_head(roi_features)  # (B, R, D)
        class_logits, box_deltas = self.box_predictor(hidden)
        return self.detections(
            class_logits, box_deltas, stages["rois"], stages["image_sizes"], **limits
        )

    def losses(self, stages: dict, sampled: SampledRoIs, truth, training: bool):
        """Yields the losses of the sampled RoIs, as returned by `predicted_losses`.

        Args:
            stages: dict with "pyramid".
            sampled: `SampledRoIs`.
            truth: `GroundTruth`.
            training: bool.
        """
        roi_features = self.roi_align(stages["pyramid"], sampled.boxes)
        hidden = self.box_head(roi_features, training=training)
        class_logits, box_deltas = self.box_predictor(hidden)
        coder = self.detections.coder
        yield predicted_losses(class_logits, box_deltas, coder, sampled, truth)

    def class_columns(self):
        """Returns the box predictor's columns that belong to classes, as a tuple."""
        return box_columns(self.box_predictor)


def box_columns(predictor):
    """Returns the columns of a `BoxPredictor` that belong to classes, as a tuple."""
    columns = ClassColumns(predictor.class_logits, background=True)
    if predictor.class_agnostic:
        return (columns,)
    return columns, ClassColumns(predictor.box_deltas, width=4)
