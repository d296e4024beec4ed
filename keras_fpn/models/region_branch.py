"""The first stage: a region proposal network on every level of the pyramid."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import take_rows
from keras_fpn.levels import ordered_names
from keras_fpn.losses import binary_cross_entropy
from keras_fpn.matcher import NEGATIVE, POSITIVE, Match
from keras_fpn.models.parts import Parts
from keras_fpn.sampler import Sample

PURPOSE = 0  # of the random numbers, as in `keras_fpn.chance.random_priorities`

# Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1.2 and 3.1.3.
RPN_MATCH = Match(0.3, 0.7, allow_low_quality=True)
RPN_SAMPLE = Sample(256, 0.5)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class RegionBranch(Parts):
    """The region proposal network (RPN).

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1, on a pyramid as in Lin et al.
    2017 (arXiv:1612.03144), Sec. 4.1.

    Attributes:
        coarse_level: layer that adds levels only the RPN reads, such as
            `SubsampledLevel`.
        anchors: `MultiLevelAnchors`.
        rpn_head: `RPNHead`.
        proposals: `Proposals`; the losses use its box coder too.
        rpn_match, rpn_sample: `Match` and `Sample` of anchors in training.
    """

    coarse_level: Any
    anchors: Any
    rpn_head: Any
    proposals: Any
    rpn_match: Any = RPN_MATCH
    rpn_sample: Any = RPN_SAMPLE

    loss_names = ("objectness_loss", "rpn_box_loss")

    def stages(self, pyramid, images, image_sizes):
        """Returns the tensors of each stage up to the proposals.

        Args:
            pyramid: dict "P<l>" -> float (B, H_l, W_l, C).
            images: float (B, H, W, 3); only its size is read.
            image_sizes: float (B, 2), height and width without the padding, pixels.

        Returns:
            dict with "rpn_pyramid", the pyramid and the RPN's coarser levels;
            "anchors", "objectness" and "deltas", each a dict by level; "rois" float32
            (B, R, 4), xyxy, input-image pixels; "roi_scores" float32 (B, R).
        """
        rpn_pyramid = self.coarse_level(pyramid)  # P2..P6
        anchors = self.anchors(rpn_pyramid, images)  # per level (N_l, 4)
        objectness, deltas = self.rpn_head(rpn_pyramid)  # (B, N_l), (B, N_l, 4)
        rois, roi_scores = self.proposals(anchors, objectness, deltas, image_sizes)
        return {
            "rpn_pyramid": rpn_pyramid,
            "anchors": anchors,
            "objectness": objectness,
            "deltas": deltas,
            "rois": rois,
            "roi_scores": roi_scores,
        }

    def losses(self, stages: dict, truth, seed: int, step):
        """Returns the losses of the sampled anchors.

        Source: Ren et al. 2015 (arXiv:1506.01497), Eq. 1. Both sums are to be divided
        by the count: as in torchvision, of the sampled anchors, unless `rpn_sample`
        says otherwise.

        Args:
            stages: dict, as returned by `stages`.
            truth: `GroundTruth`.
            seed: int, of the random numbers.
            step: int scalar tensor, the training step.

        Returns:
            sums: dict with "objectness_loss" and "rpn_box_loss", float32 scalars.
            count: float32 scalar, the divisor of `rpn_sample`.
        """
        names = ordered_names(stages["anchors"])
        anchors = ops.concatenate([stages["anchors"][n] for n in names], axis=0)
        logits = ops.concatenate([stages["objectness"][n] for n in names], axis=1)
        deltas = ops.concatenate([stages["deltas"][n] for n in names], axis=1)
        labels, matches = self.rpn_match(anchors[None], truth)
        indices, labels = self.rpn_sample(labels, truth.image_ids, seed, step, PURPOSE)
        matches = ops.take_along_axis(matches, indices, axis=1)
        weights = sample_weights(labels, truth)
        positive = labels == POSITIVE
        logits = ops.cast(ops.take_along_axis(logits, indices, axis=1), "float32")
        entropy = binary_cross_entropy(logits, ops.cast(positive, "float32"))
        box_loss = self.proposals.coder.loss(
            take_rows(deltas, indices),
            take_rows(truth.boxes, matches),
            ops.take(anchors, indices, axis=0),
            positive,
        )
        sums = {
            "objectness_loss": ops.sum(entropy * weights),
            "rpn_box_loss": ops.sum(box_loss * weights),
        }
        return sums, self.rpn_sample.divisor(weights, truth.weights)


def sample_weights(labels, truth):
    """Returns the weight of each sample in the loss, float32 (B, S).

    It is the weight of the sample's image, and 0 in slots without a sample.

    Args:
        labels: int32 (B, S), as returned by `Sample`.
        truth: `GroundTruth`.
    """
    counts = ops.logical_or(labels == POSITIVE, labels == NEGATIVE)
    return ops.cast(counts, "float32") * truth.weights[:, None]
