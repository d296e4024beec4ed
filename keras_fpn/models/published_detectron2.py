"""The parts of detectron2's architectures that differ from the paper's.

Source: the configs of detectron2 at commit 02b5c4e295e9, whose checkpoints expect
exactly these numbers.
"""

from collections.abc import Callable
from functools import partial

from keras_fpn.backbones import msra_resnet50, msra_resnet101
from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import (
    Detections,
    ProposalDetections,
    Proposals,
    PyramidRoIAlign,
    StridedAnchors,
    fapn,
)
from keras_fpn.models.mask_targets import MaskTargets
from keras_fpn.models.pasted_masks import ExactPaste
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.sampler import FullSample

_SIZES = {"P2": (32,), "P3": (64,), "P4": (128,), "P5": (256,), "P6": (512,)}


def detectron2_region_parts(
    backbone: Callable = msra_resnet50,
    proposals: int = 1000,
    training_proposals: int = 1000,
):
    """Returns the parts up to the proposals, dict of name -> part.

    Args:
        backbone: function of `keras_fpn.backbones`.
        proposals, training_proposals: int, per image in inference and in training.
    """
    return {
        "backbone": backbone(),
        "anchors": StridedAnchors(_SIZES, name="anchors"),
        "proposals": Proposals(
            post_nms_top_k=proposals,
            training_post_nms_top_k=training_proposals,
            coder=BoxCoder(beta=0.0),
            name="proposals",
        ),
        "rpn_sample": FullSample(256, 0.5),
        "preprocessing": Preprocessing(resize_rule="detectron2"),
    }


def detectron2_box_parts():
    """Returns the parts after the proposals, dict of name -> part."""
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0), beta=0.0)
    return {
        "roi_align": PyramidRoIAlign(sampling_ratio=0, aligned=True, name="roi_align"),
        "detections": Detections(coder=coder, name="detections"),
    }


def faster_rcnn_parts(backbone: Callable = msra_resnet50):
    """Returns the parts of faster_rcnn_R_50_FPN, or with another backbone."""
    return {**detectron2_region_parts(backbone), **detectron2_box_parts()}


def mask_rcnn_parts(backbone: Callable = msra_resnet50):
    """Returns the parts of mask_rcnn_R_50_FPN, or with another backbone."""
    return {**faster_rcnn_parts(backbone), **detectron2_mask_parts()}


def cascade_mask_rcnn_parts():
    """Returns the parts of cascade_mask_rcnn_R_50_FPN."""
    return {
        **detectron2_region_parts(training_proposals=2000),
        "roi_align": detectron2_box_parts()["roi_align"],
        **detectron2_mask_parts(),
    }


def detectron2_mask_parts():
    """Returns the parts of a mask head, dict of name -> part."""
    return {
        "mask_roi_align": PyramidRoIAlign(
            14, sampling_ratio=0, aligned=True, name="mask_roi_align"
        ),
        "mask_targets": MaskTargets(aligned=True, threshold=0.5),
        "mask_paste": ExactPaste(),
    }


def fapn_parts():
    """Returns the parts of faster_rcnn_R_50_FAN, FaPN's config for detectron2."""
    return {**faster_rcnn_parts(), "neck": fapn(name="neck")}


def fast_rcnn_parts():
    """Returns the parts of fast_rcnn_R_50_FPN."""
    return {
        "backbone": msra_resnet50(),
        "preprocessing": Preprocessing(resize_rule="detectron2"),
        **detectron2_box_parts(),
    }


def rpn_parts():
    """Returns the parts of rpn_R_50_FPN, which gives 2000 proposals."""
    return {
        **detectron2_region_parts(proposals=2000),
        "detections": ProposalDetections(max_detections=2000, name="detections"),
    }


# The parts of each architecture that has a checkpoint, by the checkpoint's name.
FASTER_RCNN: dict[str, Callable[[], dict]] = {
    "faster_rcnn_resnet50_fpn_detectron2_1x": faster_rcnn_parts,
    "faster_rcnn_resnet50_fpn_detectron2_3x": faster_rcnn_parts,
    "faster_rcnn_resnet101_fpn_detectron2_3x": partial(
        faster_rcnn_parts, msra_resnet101
    ),
    "faster_rcnn_resnet50_fapn_detectron2_1x": fapn_parts,
}
MASK_RCNN: dict[str, Callable[[], dict]] = {
    "mask_rcnn_resnet50_fpn_detectron2_1x": mask_rcnn_parts,
    "mask_rcnn_resnet50_fpn_detectron2_3x": mask_rcnn_parts,
    "mask_rcnn_resnet101_fpn_detectron2_3x": partial(mask_rcnn_parts, msra_resnet101),
}
CASCADE_MASK_RCNN: dict[str, Callable[[], dict]] = {
    "cascade_mask_rcnn_resnet50_fpn_detectron2_3x": cascade_mask_rcnn_parts
}
PANOPTIC_FPN: dict[str, Callable[[], dict]] = {
    "panoptic_resnet50_fpn_detectron2_1x": mask_rcnn_parts,
    "panoptic_resnet50_fpn_detectron2_3x": mask_rcnn_parts,
    "panoptic_resnet101_fpn_detectron2_3x": partial(mask_rcnn_parts, msra_resnet101),
}
FAST_RCNN: dict[str, Callable[[], dict]] = {
    "fast_rcnn_resnet50_fpn_detectron2_1x": fast_rcnn_parts
}
RPN: dict[str, Callable[[], dict]] = {"rpn_resnet50_fpn_detectron2_1x": rpn_parts}

# The checkpoint that weights="coco" loads, by the name of the backbone.
FASTER_RCNN_COCO = {
    "msra_resnet50": "faster_rcnn_resnet50_fpn_detectron2_3x",
    "msra_resnet101": "faster_rcnn_resnet101_fpn_detectron2_3x",
}
MASK_RCNN_COCO = {
    "msra_resnet50": "mask_rcnn_resnet50_fpn_detectron2_3x",
    "msra_resnet101": "mask_rcnn_resnet101_fpn_detectron2_3x",
}
CASCADE_MASK_RCNN_COCO = {
    "msra_resnet50": "cascade_mask_rcnn_resnet50_fpn_detectron2_3x"
}
PANOPTIC_FPN_COCO = {
    "msra_resnet50": "panoptic_resnet50_fpn_detectron2_3x",
    "msra_resnet101": "panoptic_resnet101_fpn_detectron2_3x",
}
FAST_RCNN_COCO = {"msra_resnet50": "fast_rcnn_resnet50_fpn_detectron2_1x"}
RPN_COCO = {"msra_resnet50": "rpn_resnet50_fpn_detectron2_1x"}
