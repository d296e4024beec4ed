"""A second stage of several heads, each on the refined boxes of the one before."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import box_areas
from keras_fpn.matcher import IGNORED
from keras_fpn.models.box_branch import box_columns
from keras_fpn.models.parts import Parts
from keras_fpn.models.roi_branch import (
    ROI_MATCH,
    ROI_SAMPLE,
    RoIBranch,
    SampledRoIs,
    predicted_losses,
)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class CascadeStage(Parts):
    """A head of a cascade.

    Attributes:
        box_head: layer, (B, R, P, P, C) -> (B, R, D).
        box_predictor: `ClassAgnosticBoxPredictor`.
        refined_boxes: `RefinedBoxes`; the losses use its box coder too.
        match: `Match` of RoIs in training.
    """

    box_head: Any
    box_predictor: Any
    refined_boxes: Any
    match: Any

    def predictions(self, roi_features, training: bool = False):
        """Returns class logits (B, R, K + 1) and box deltas (B, R, 1, 4)."""
        return self.box_predictor(self.box_head(roi_features, training=training))

    def class_columns(self):
        """Returns the box predictor's columns that belong to classes, as a tuple."""
        return box_columns(self.box_predictor)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class CascadeBranch(RoIBranch):
    """Classifies RoIs and refines their boxes in several stages.

    Source: Cai and Vasconcelos 2018 (arXiv:1712.00726), Sec. 4; numbers as in
    detectron2.

    Attributes:
        roi_align: `PyramidRoIAlign` of all stages.
        cascade: tuple of `CascadeStage`.
        mean_probabilities: `MeanProbabilities`.
        detections: `Detections` with the box coder of the last stage.
        roi_match, roi_sample: `Match` and `Sample` of the first stage's RoIs.

    Raises:
        ValueError: there is no stage, boxes are not shared by all classes, or the last
            stage has another box coder than `detections`.
    """

    roi_align: Any
    cascade: tuple[Any, ...]
    mean_probabilities: Any
    detections: Any
    roi_match: Any = ROI_MATCH
    roi_sample: Any = ROI_SAMPLE

    def __post_init__(self):
        if not self.cascade:
            raise ValueError(
                "A cascade must have at least one stage; received cascade=()."
            )
        predictors = [stage.box_predictor for stage in self.cascade]
        if not all(predictor.class_agnostic for predictor in predictors):
            raise ValueError(
                "In a cascade all classes must share one box, which is the RoI of the "
                f"next stage; received {predictors}. Pass "
                "ClassAgnosticBoxPredictor(num_classes)."
            )
        last, decoder = self.cascade[-1].refined_boxes.coder, self.detections.coder
        if last != decoder:
            raise ValueError(
                "detections must decode boxes with the coder of the last stage, "
                f"{last}; received detections.coder={decoder}."
            )

    @property
    def loss_names(self):
        """The losses of each stage, tuple of str."""
        numbers = range(1, len(self.cascade) + 1)
        return tuple(f"{it}_loss_{n}" for n in numbers for it in ("class", "box"))

    def outputs(self, stages: dict, **limits):
        """Returns the detections, dict as returned by `Detections`.

        Args:
            stages: dict with "pyramid", "rois" and "image_sizes".
            **limits: optional `score_threshold` and `max_detections`, as of
                `Detections`.
        """
        rois, sizes, all_logits = stages["rois"], stages["image_sizes"], []
        for stage in self.cascade:
            roi_features = self.roi_align(stages["pyramid"], rois)
            class_logits, box_deltas = stage.predictions(roi_features)
            all_logits.append(class_logits)
            last_rois, rois = rois, stage.refined_boxes(box_deltas, rois, sizes)
        class_logits = self.mean_probabilities(all_logits)
        return self.detections(class_logits, box_deltas, last_rois, sizes, **limits)

    def losses(self, stages: dict, sampled: SampledRoIs, truth, training: bool):
        """Yields the losses of each stage, as returned by `predicted_losses`.

        The RoIs of a later stage are the refined boxes of all RoIs that were sampled
        for the first, matched anew; empty boxes do not count. Gradients into the
        pyramid are divided by the number of stages, as in detectron2.

        Args:
            stages: dict with "pyramid" and "image_sizes".
            sampled: `SampledRoIs` of the first stage.
            truth: `GroundTruth`.
            training: bool.
        """
        names = iter(self.loss_names)
        following = [stage.match for stage in self.cascade[1:]] + [None]
        for stage, match in zip(self.cascade, following, strict=True):
            roi_features = self.roi_align(stages["pyramid"], sampled.boxes)
            roi_features = _scaled_gradient(roi_features, 1 / len(self.cascade))
            class_logits, box_deltas = stage.predictions(roi_features, training)
            coder = stage.refined_boxes.coder
            sums, count = predicted_losses(
                class_logits, box_deltas, coder, sampled, truth
            )
            yield {next(names): value for value in sums.values()}, count
            if match is not None:
                sizes = stages["image_sizes"]
                boxes = stage.refined_boxes(box_deltas, sampled.boxes, sizes)
                sampled = _matched_again(match, boxes, sampled, truth)


def _matched_again(match, boxes, sampled, truth):
    """Returns the `SampledRoIs` of a later stage."""
    labels, matches = match(boxes, truth)
    counts = ops.logical_and(box_areas(boxes) > 0, sampled.labels != IGNORED)
    return SampledRoIs(boxes, ops.where(counts, labels, IGNORED), matches)


def _scaled_gradient(value, scale):
    """Returns a value whose gradient is multiplied by a number."""
    return scale * value + ops.stop_gradient((1 - scale) * value)
