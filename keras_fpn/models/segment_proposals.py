"""Segmentation proposals on a feature pyramid."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_fpn.layers import (
    FeaturePyramid,
    SegmentDetections,
    SegmentHead,
    SegmentWindows,
    SubsampledLevel,
    TopSegments,
)
from keras_fpn.models.build import Family, build, check_strides, with_defaults
from keras_fpn.models.detector import Detector
from keras_fpn.models.pasted_masks import ExactPaste
from keras_fpn.models.segment_branch import SegmentBranch
from keras_fpn.models.two_stage import PyramidParts, pyramid_stages
from keras_fpn.preprocessing import Preprocessing

CHANNELS = 128  # of the pyramid; Lin et al. 2017 (arXiv:1612.03144), Sec. 6


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class SegmentParts(PyramidParts):
    """The parts of a detector of segmentation proposals.

    Attributes:
        backbone, neck: as in `PyramidParts`.
        segment: `SegmentBranch`.
    """

    segment: SegmentBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class SegmentProposals(Detector):
    """A detector whose results are masks of objects of any class.

    It has one class, "object", and is trained on data with masks, whatever their
    classes. Its quality is measured by the average recall (AR) of its masks.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 6 and Appendix A.

    Args:
        parts: `SegmentParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.SegmentDetections`.
    """

    loss_names = SegmentBranch.loss_names
    targets = SegmentBranch.targets
    class_agnostic = True
    monitor = "mask_AR1000"

    @staticmethod
    def stages(parts, images, image_sizes):
        stages = pyramid_stages(parts, images, image_sizes)
        return stages | parts.segment.stages(stages["pyramid"])

    @staticmethod
    def results(parts, stages, **limits):
        return parts.segment.outputs(stages, **limits)

    def stage_losses(self, stages, truth, seed, step, training):
        yield self.parts.segment.losses(stages, truth, seed, step)

    def final_part(self):
        return self.parts.segment.top_segments

    @property
    def nms_threshold(self):
        return 1.0  # none is dropped, also of several scales

    @property
    def mask_paste(self):
        return ExactPaste(self.parts.segment.detections.mask_threshold)


def _complete(parts, num_classes):
    if "segment_windows" not in parts:
        check_strides(parts, "segment_windows")
    defaults: dict[str, Callable[..., Any]] = {
        "neck": partial(FeaturePyramid, CHANNELS),
        "coarse_level": SubsampledLevel,
        "segment_windows": SegmentWindows,
        "segment_head": SegmentHead,
        "top_segments": TopSegments,
        "detections": SegmentDetections,
    }
    return with_defaults(parts, defaults)


FAMILY = Family(SegmentProposals, SegmentParts, _complete, published={}, coco={})


def segment_proposals_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "segment_proposals_fpn",
    **parts,
):
    """Builds a detector of segmentation proposals on a feature pyramid.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 6 and Appendix A; Table 6, "dual
    MLP". Its other rows are other parts: one kernel size and one scale, or masks of
    28x28 cells.

    Example:
        model = keras_fpn.models.segment_proposals_fpn("resnet50", weights="imagenet")
        model.compile(keras_fpn.training.SGD(0.03, momentum=0.9))

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: None for random weights; "imagenet" for the backbone alone; or a file:
            a .keras file of such a detector, or a .weights.h5 file of this
            architecture.
        preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `SegmentParts`; None means the default.
            "neck", by default a `FeaturePyramid` of 128 channels, and "coarse_level" as
            in `faster_rcnn_fpn`; "segment_windows" (`SegmentWindows`); "segment_head"
            (`SegmentHead`); "top_segments" (`TopSegments`); "detections"
            (`SegmentDetections`); "segment_sample" (`Sample`).

    Returns:
        `keras_fpn.models.SegmentProposals`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`, or the head and the windows have different
            numbers of scales.
    """
    classes = (1, ["object"], [1])
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
