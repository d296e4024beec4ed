"""The RoIs on which the heads of a second stage are trained, and their box losses."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_fpn.boxes import box_areas, take_rows
from keras_fpn.losses import softmax_cross_entropy
from keras_fpn.matcher import IGNORED, POSITIVE, Match
from keras_fpn.models.parts import Parts
from keras_fpn.models.region_branch import sample_weights
from keras_fpn.sampler import Sample

PURPOSE = 1  # of the random numbers; different from the RPN's

# Lin et al. 2017 (arXiv:1612.03144), Sec. 5.2. The share of positives is that of
# Girshick 2015 (arXiv:1504.08083), Sec. 2.3.
ROI_MATCH = Match(0.5, 0.5)
ROI_SAMPLE = Sample(512, 0.25)


@dataclass(frozen=True)
class SampledRoIs:
    """The RoIs that take part in the losses of a training step, positives first.

    Attributes:
        boxes: float32 (B, S, 4), xyxy, input-image pixels.
        labels: int32 (B, S), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, S), 0..G-1, index of the matched ground truth.
    """

    boxes: Any
    labels: Any
    matches: Any


class RoIBranch(Parts):
    """Base class of branches that are trained on sampled RoIs.

    A subclass has the fields `roi_match` and `roi_sample`, the `Match` and `Sample` of
    RoIs in training.
    """

    roi_match: Any
    roi_sample: Any

    def sampled(self, stages: dict, truth, seed: int, step):
        """Returns `SampledRoIs` from the proposals and the ground-truth boxes.

        Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.2. The ground truth is added
        to the proposals as in torchvision and Detectron, so that early in training,
        when proposals are poor, there are positives too.

        Args:
            stages: dict with "rois".
            truth: `GroundTruth`.
            seed: int, of the random numbers.
            step: int scalar tensor, the training step.
        """
        objects = ops.where(truth.objects[..., None], truth.boxes, 0.0)
        boxes = ops.concatenate([stages["rois"], objects], axis=1)
        boxes = ops.stop_gradient(boxes)
        labels, matches = self.roi_match(boxes, truth)
        labels = ops.where(box_areas(boxes) > 0, labels, IGNORED)  # empty: padding
        indices, labels = self.roi_sample(labels, truth.image_ids, seed, step, PURPOSE)
        matches = ops.take_along_axis(matches, indices, axis=1)
        return SampledRoIs(take_rows(boxes, indices), labels, matches)

    def positives(self, sampled: SampledRoIs):
        """Returns the `SampledRoIs` (B, S') up to the last slot that a positive fills.

        S' is the maximum number of positives of `roi_sample`, or S.
        """
        most = self.roi_sample.max_positives
        return SampledRoIs(
            sampled.boxes[:, :most], sampled.labels[:, :most], sampled.matches[:, :most]
        )


def predicted_losses(class_logits, box_deltas, coder, sampled: SampledRoIs, truth):
    """Returns the losses of predictions for the sampled RoIs.

    Source: Girshick 2015 (arXiv:1504.08083), Eq. 1. As in torchvision, both sums
    are to be divided by the number of sampled RoIs.

    Args:
        class_logits: float (B, S, K + 1), background last.
        box_deltas: float (B, S, K, 4), or (B, S, 1, 4) if all classes share one
            box.
        coder: `BoxCoder`.
        sampled: `SampledRoIs`.
        truth: `GroundTruth`.

    Returns:
        sums: dict with "class_loss" and "box_loss", float32 scalars.
        count: float32 scalar, number of sampled RoIs.
    """
    weights = sample_weights(sampled.labels, truth)
    background = class_logits.shape[-1] - 1
    boxes_per_roi = box_deltas.shape[2]
    positive = sampled.labels == POSITIVE
    gt_labels = ops.take_along_axis(truth.labels, sampled.matches, axis=1)
    gt_labels = ops.maximum(gt_labels, 0)  # -1 is padding, whose weight is 0
    targets = ops.where(positive, gt_labels, background)
    class_loss = softmax_cross_entropy(ops.cast(class_logits, "float32"), targets)
    # If all classes share one box, its column is 0.
    column = ops.minimum(gt_labels, boxes_per_roi - 1)
    chosen = ops.one_hot(column, boxes_per_roi, dtype="float32")[..., None]
    box_loss = coder.loss(
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
