"""A region proposal network (RPN) as a detector of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_fpn.layers import ProposalDetections
from keras_fpn.models.build import Family, build, with_defaults, with_region
from keras_fpn.models.detector import Detector
from keras_fpn.models.published_detectron2 import RPN as PUBLISHED
from keras_fpn.models.published_detectron2 import RPN_COCO
from keras_fpn.models.region_branch import RegionBranch
from keras_fpn.models.two_stage import PyramidParts, proposal_stages
from keras_fpn.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class RPNParts(PyramidParts):
    """The parts of a region proposal network.

    Attributes:
        backbone, neck, region: as in `TwoStageParts`.
        detections: layer that turns proposals into results, `ProposalDetections`.
    """

    region: RegionBranch
    detections: Any


@keras.saving.register_keras_serializable(package="keras_fpn")
class RPN(Detector):
    """A region proposal network whose results are its proposals.

    It has one class, "object". It can be trained on data with any classes, because it
    ignores which class an object has. Its quality is measured by the average recall
    (AR) of its proposals, not by AP.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1, on a pyramid as in Lin et al.
    2017 (arXiv:1612.03144), Sec. 4.1 and 5.1.

    Args:
        parts: `RPNParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.ProposalDetections`.
    """

    loss_names = RegionBranch.loss_names
    class_agnostic = True
    monitor = "AR1000"

    stages = staticmethod(proposal_stages)

    @staticmethod
    def results(parts, stages, **limits):
        return parts.detections(stages["rois"], stages["roi_scores"], **limits)

    def stage_losses(self, stages, truth, seed, step, training):
        yield self.parts.region.losses(stages, truth, seed, step)

    def final_part(self):
        return self.parts.detections

    @property
    def nms_threshold(self):
        return self.parts.region.proposals.nms_threshold


def _complete(parts, num_classes):
    return with_defaults(with_region(parts), {"detections": ProposalDetections})


FAMILY = Family(RPN, RPNParts, _complete, PUBLISHED, RPN_COCO)


def rpn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "rpn_fpn",
    **parts,
):
    """Builds a region proposal network (RPN) on a feature pyramid.

    Source: Ren et al. 2015 (arXiv:1506.01497) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.rpn_fpn("resnet50", weights="imagenet")
        model.compile(keras_fpn.training.SGD(0.02, momentum=0.9))

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: None for random weights; "coco" for the published checkpoint with this
            backbone, "msra_resnet50"; "imagenet" for the backbone alone; the name of a
            preset; or a file: a .keras file of an RPN of this package, a .weights.h5
            file of this architecture, or a .pkl file of detectron2.
        preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `RPNParts`; None means the default.
            "neck", "coarse_level", "anchors", "rpn_head", "proposals", "rpn_match" and
            "rpn_sample" as in `faster_rcnn_fpn`; "detections" (`ProposalDetections`).

    Returns:
        `keras_fpn.models.RPN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`.
    """
    classes = (1, ["object"], [1])
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
