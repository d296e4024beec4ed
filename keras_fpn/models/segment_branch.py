"""Segmentation proposals: a head that predicts masks of any class at every cell."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import take_rows
from keras_fpn.layers.segment_detections import all_windows
from keras_fpn.layers.segment_head import scores_and_masks
from keras_fpn.losses import binary_cross_entropy
from keras_fpn.matcher import POSITIVE
from keras_fpn.models.parts import Parts
from keras_fpn.models.region_branch import sample_weights
from keras_fpn.models.segment_match import match_segments
from keras_fpn.ops.mask_coverage import mask_coverage
from keras_fpn.sampler import Sample

PURPOSE = 2  # of the random numbers; different from those of other branches

# Lin et al. 2017 (arXiv:1612.03144), Appendix A.
SEGMENT_SAMPLE = Sample(128, 0.25)
_MASK_WEIGHT = 10.0  # of the mask loss, relative to the score loss
_COVERED = 0.5 * 255  # coverage from which a cell of a target belongs to the mask


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class SegmentBranch(Parts):
    """Predicts segmentation proposals.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 6 and Appendix A.

    Attributes:
        coarse_level: layer that adds the pyramid's coarsest level, such as
            `SubsampledLevel`.
        segment_windows: `SegmentWindows`.
        segment_head: `SegmentHead`.
        top_segments: `TopSegments`.
        detections: `SegmentDetections`.
        segment_sample: `Sample` of windows in training.

    Raises:
        ValueError: the head has another number of scales than the windows.
    """

    coarse_level: Any
    segment_windows: Any
    segment_head: Any
    top_segments: Any
    detections: Any
    segment_sample: Any = SEGMENT_SAMPLE

    loss_names = ("score_loss", "mask_loss")
    targets = ("boxes", "labels", "masks", "mask_windows")

    def __post_init__(self):
        kernels, scales = self.segment_head.kernel_sizes, self.segment_windows.scales
        if len(kernels) != len(scales):
            raise ValueError(
                "The head must have one kernel size per scale of the windows; received "
                f"kernel_sizes={kernels} and scales={scales}. Pass segment_head and "
                "segment_windows with as many of both."
            )

    def stages(self, pyramid):
        """Returns the pyramid that the head reads and its windows.

        Args:
            pyramid: dict "P<l>" -> float (B, H_l, W_l, C).

        Returns:
            dict with "segment_pyramid", the pyramid with its coarser level, and
            "windows", dict "P<l>" -> float32 (N_l, 4), xyxy, input-image pixels.
        """
        pyramid = self.coarse_level(pyramid)  # P2..P6
        windows = self.segment_windows(pyramid)  # per level (N_l, 4)
        return {"segment_pyramid": pyramid, "windows": windows}

    def outputs(self, stages: dict, **limits):
        """Returns the results, dict as returned by `SegmentDetections`.

        Args:
            stages: dict with "segment_pyramid", "windows" and "image_sizes".
            **limits: optional `score_threshold` and `max_detections`, as of
                `TopSegments`.
        """
        pyramid, windows = stages["segment_pyramid"], stages["windows"]
        sizes = stages["image_sizes"]
        logits = self.segment_head(pyramid)  # (B, N)
        indices, scores = self.top_segments(logits, windows, sizes, **limits)  # (B, D)
        predictions = self.segment_head(pyramid, indices)  # (B, D, 1 + m * m)
        return self.detections(indices, scores, predictions, windows, sizes)

    def losses(self, stages: dict, truth, seed: int, step):
        """Returns the losses of the sampled windows.

        The mask loss of a positive is the mean over the cells of its mask. Both sums
        are to be divided by the number of sampled windows, as in the joint loss of
        Pinheiro et al. 2015 (arXiv:1506.06204), Eq. 1, on which the paper builds.

        Args:
            stages: dict with "segment_pyramid", "windows" and "image_sizes".
            truth: `GroundTruth` with masks.
            seed: int, of the random numbers.
            step: int scalar tensor, the training step.

        Returns:
            sums: dict with "score_loss" and "mask_loss", float32 scalars.
            count: float32 scalar, number of sampled windows.
        """
        windows = stages["windows"]
        labels, matches = match_segments(
            windows, self.segment_windows.padding, truth, stages["image_sizes"]
        )
        indices, labels = self.segment_sample(
            labels, truth.image_ids, seed, step, PURPOSE
        )
        weights = sample_weights(labels, truth)
        positive = ops.cast(labels == POSITIVE, "float32")
        predictions = self.segment_head(stages["segment_pyramid"], indices)
        scores, masks = scores_and_masks(predictions)
        score_loss = binary_cross_entropy(scores, positive)
        most = self.segment_sample.max_positives  # they come first
        matches = ops.take_along_axis(matches, indices, axis=1)[:, :most]
        grids = ops.take(all_windows(windows), indices[:, :most], axis=0)
        targets = self.mask_targets(truth, matches, grids)
        mask_loss = binary_cross_entropy(masks[:, :most], targets)
        mask_loss = ops.mean(mask_loss, axis=(2, 3))
        sums = {
            "score_loss": ops.sum(score_loss * weights),
            "mask_loss": _MASK_WEIGHT
            * ops.sum(mask_loss * (positive * weights)[:, :most]),
        }
        return sums, ops.sum(weights)

    def mask_targets(self, truth, matches, grids):
        """Returns the matched masks in windows, float32 (B, S, m, m), 0 or 1.

        A cell is 1 if at least half of it is covered.

        Args:
            truth: `GroundTruth` with masks.
            matches: int32 (B, S), 0..G-1.
            grids: float32 (B, S, 4), xyxy, input-image pixels.
        """
        covered = mask_coverage(
            take_rows(truth.masks, matches),
            take_rows(truth.mask_windows, matches),
            grids,
            self.segment_head.mask_size,
        )
        return ops.cast(covered >= _COVERED, "float32")
