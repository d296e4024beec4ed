"""The second stage: a head that says what is in each RoI, and where exactly."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import box_areas, take_rows
from keras_fpn.losses import softmax_cross_entropy
from keras_fpn.matcher import IGNORED, POSITIVE, Match
from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.models.parts import Parts
from keras_fpn.models.region_branch import sample_weights
from keras_fpn.sampler import Sample

PURPOSE = 1  # of the random numbers; the RPN's is another

# Lin et al. 2017 (arXiv:1612.03144), Sec. 5.2; Girshick 2015, Sec. 2.3, for the share.
ROI_MATCH = Match(0.5, 0.5)
ROI_SAMPLE = Sample(512, 0.25)


@dataclass(frozen=True)
class SampledRoIs:
    """The RoIs that a training step looks at, positives first.

    Attributes:
        boxes: float32 (B, S, 4), xyxy, input pixels.
        labels: int32 (B, S), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, S), 0..G-1, the ground truth of each.
    """

    boxes: Any
    labels: Any
    matches: Any


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class BoxBranch(Parts):
    """Classifies the RoIs and refines their boxes.

    Source: Girshick 2015 (arXiv:1504.08083), Sec. 2, on a pyramid as in Lin et al. 2017
    (arXiv:1612.03144), Sec. 4.2.

    Attributes:
        roi_align: `PyramidRoIAlign`.
        box_head: layer, (B, R, P, P, C) -> (B, R, D).
        box_predictor: `BoxPredictor`.
        detections: `Detections`; its box coder is the branch's.
        roi_match, roi_sample: `Match` and `Sample` of RoIs in training.
    """

    roi_align: Any
    box_head: Any
    box_predictor: Any
    detections: Any
    roi_match: Any = ROI_MATCH
    roi_sample: Any = ROI_SAMPLE

    loss_names = ("class_loss", "box_loss")

    def outputs(self, stages, **limits):
        """Returns the detections; see `Detections`, which also takes the limits.

        Args:
            stages: dict with "pyramid", "rois" and "image_sizes".
        """
        roi_features = self.roi_align(stages["pyramid"], stages["rois"])
        hidden = self.box_head(roi_features)  # (B, R, D)
        class_logits, box_deltas = self.box_predictor(hidden)
        return self.detections(
            class_logits, box_deltas, stages["rois"], stages["image_sizes"], **limits
        )

    def sampled(self, stages, truth, seed, step):
        """Returns the `SampledRoIs` of proposals and of the ground truth itself.

        Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.2; the ground truth is
        appended as in torchvision and Detectron.

        Args:
            stages: dict with "rois".
            truth: `GroundTruth`.
            seed, step: int and int scalar tensor, of the random numbers.
        """
        objects = ops.where(truth.objects[..., None], truth.boxes, 0.0)
        boxes = ops.concatenate([stages["rois"], objects], axis=1)
        boxes = ops.stop_gradient(boxes)
        labels, matches = self.roi_match(boxes, truth)
        labels = ops.where(box_areas(boxes) > 0, labels, IGNORED)  # not padding
        indices, labels = self.roi_sample(labels, truth.image_ids, seed, step, PURPOSE)
        matches = ops.take_along_axis(matches, indices, axis=1)
        return SampledRoIs(take_rows(boxes, indices), labels, matches)

    def losses(self, stages, sampled, truth, training):
        """Returns the losses of sampled RoIs.

        Args:
            stages: dict with "pyramid".
            sampled: `SampledRoIs`.
            truth: `GroundTruth`.
            training: bool.

        Returns:
            as `predicted_losses`.
        """
        roi_features = self.roi_align(stages["pyramid"], sampled.boxes)
        hidden = self.box_head(roi_features, training=training)
        class_logits, box_deltas = self.box_predictor(hidden)
        return self.predicted_losses(class_logits, box_deltas, sampled, truth)

    def predicted_losses(self, class_logits, box_deltas, sampled, truth):
        """Returns the losses of what was predicted for sampled RoIs.

        Source: Girshick 2015 (arXiv:1504.08083), Eq. 1, with torchvision's divisor:
        both sums are divided by the number of sampled RoIs.

        Args:
            class_logits: float (B, S, K + 1), background last.
            box_deltas: float (B, S, K, 4), or (B, S, 1, 4) for boxes of any class.
            sampled: `SampledRoIs`.
            truth: `GroundTruth`.

        Returns:
            sums: dict, "class_loss" and "box_loss", float32 scalars.
            count: float32 scalar, sampled RoIs.
        """
        weights = sample_weights(sampled.labels, truth)
        background = class_logits.shape[-1] - 1
        boxes_per_roi = box_deltas.shape[2]
        positive = sampled.labels == POSITIVE
        gt_labels = ops.take_along_axis(truth.labels, sampled.matches, axis=1)
        gt_labels = ops.maximum(gt_labels, 0)  # padding, in slots that do not count
        wanted = ops.where(positive, gt_labels, background)
        class_loss = softmax_cross_entropy(ops.cast(class_logits, "float32"), wanted)
        # A box of any class is the only one there is.
        column = ops.minimum(gt_labels, boxes_per_roi - 1)
        chosen = ops.one_hot(column, boxes_per_roi, dtype="float32")[..., None]
        box_loss = self.detections.coder.loss(
            ops.sum(ops.cast(box_deltas, "float32") * chosen, axis=2),
            take_rows(truth.boxes, sampled.matches),
            sampled.boxes,
            positive,
        )
        sums = {
            "class_loss": ops.sum(class_loss * weights),
            "box_loss": ops.sum(box_loss * weights),
        }
        return sums, ops.sum(weights)

    def class_columns(self):
        """Returns the columns of the box predictor, tuple of `ClassColumns`."""
        predictor = self.box_predictor
        return (
            ClassColumns(predictor.class_logits, background=True),
            ClassColumns(predictor.box_deltas, width=4),
        )
