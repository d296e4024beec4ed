"""The parts of Faster and Mask R-CNN architectures that differ from the paper's.

Source: torchvision 0.27, whose checkpoints expect exactly these numbers. The small
architectures, which two CPU cores can train, are our own.
"""

from collections.abc import Callable
from functools import partial

from keras_fpn.backbones import (
    mobilenet_v2,
    mobilenet_v3_large,
    resnet18,
    resnet50,
)
from keras_fpn.layers import (
    ConvBoxHead,
    Detections,
    FCNMaskHead,
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    PyramidRoIAlign,
    RPNHead,
    TwoFCBoxHead,
)
from keras_fpn.models.mask_targets import MaskTargets
from keras_fpn.models.pasted_masks import ExactPaste
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.sampler import Sample

_MOBILE_SIZES = (32, 64, 128, 256, 512)


def resnet50_v1_parts():
    """Returns the parts of fasterrcnn_resnet50_fpn, whose norms have epsilon 0."""
    return {"backbone": resnet50(epsilon=0.0)}


def resnet50_v2_parts():
    """Returns the parts of fasterrcnn_resnet50_fpn_v2, with batch norms everywhere."""
    return {
        "backbone": resnet50(norm="batch"),
        "neck": FeaturePyramid(norm="batch", name="neck"),
        "rpn_head": RPNHead(num_convs=2, name="rpn_head"),
        "box_head": ConvBoxHead(norm="batch", name="box_head"),
    }


def mask_resnet50_v2_parts():
    """Returns the parts of maskrcnn_resnet50_fpn_v2, with batch norms everywhere."""
    mask_head = FCNMaskHead(norm="batch", name="mask_head")
    return {**resnet50_v2_parts(), "mask_head": mask_head}


def mobilenet_v3_large_parts():
    """Returns the parts of fasterrcnn_mobilenet_v3_large_fpn.

    All parts but the backbone follow from the strides of its maps; see
    `PARTS_OF_STRIDES`.
    """
    return {"backbone": mobilenet_v3_large(), **two_maps_of_stride_32_parts()}


def two_maps_of_stride_32_parts():
    """Returns the parts for a backbone whose C5 and C6 both have stride 32.

    Anchors of all sizes are on each level. All RoIs read P5, the only level whose
    stride is 2^l.
    """
    return {
        "anchors": MultiLevelAnchors(
            dict.fromkeys(("P5", "P6", "P7"), _MOBILE_SIZES), name="anchors"
        ),
        "proposals": Proposals(score_threshold=0.05, name="proposals"),
        "roi_align": PyramidRoIAlign(levels=("P5",), name="roi_align"),
    }


def mobilenet_v3_large_320_parts():
    """Returns the parts of fasterrcnn_mobilenet_v3_large_320_fpn, for small photos."""
    return {
        **mobilenet_v3_large_parts(),
        "proposals": Proposals(
            pre_nms_top_k=150,
            post_nms_top_k=150,
            score_threshold=0.05,
            name="proposals",
        ),
        "preprocessing": Preprocessing(min_size=320, max_size=640),
    }


def small_resnet18_parts(min_size: int = 320, max_size: int = 533):
    """Returns parts with 2.2 million parameters, to train from scratch on a CPU.

    Norms are group norms, because batches are small. Anchors are half as large as in
    the paper and RoIs are fewer, because photos are small.

    Args:
        min_size, max_size: int, pixels, as in `Preprocessing`.
    """
    return {
        "backbone": resnet18(norm="group", channels=24),
        **_small_photos_parts(channels=64, head_channels=128),
        "preprocessing": Preprocessing(min_size=min_size, max_size=max_size),
    }


def small_nuclei_parts():
    """Returns parts of a Mask R-CNN with 2.3 million parameters, for small objects.

    As `small_resnet18_parts`, with smaller anchors, and more detections, because a
    photo may show a hundred objects.
    """
    sizes = {"P2": (12,), "P3": (24,), "P4": (48,), "P5": (96,), "P6": (192,)}
    return {
        **small_resnet18_parts(min_size=320, max_size=428),
        "anchors": MultiLevelAnchors(sizes, name="anchors"),
        "proposals": Proposals(
            post_nms_top_k=500,
            training_pre_nms_top_k=1000,
            training_post_nms_top_k=500,
            name="proposals",
        ),
        "roi_sample": Sample(128, 0.5),
        "detections": Detections(max_detections=200, name="detections"),
        "mask_head": FCNMaskHead(2, 64, norm="group", name="mask_head"),
        "mask_targets": MaskTargets(aligned=True, threshold=0.5),
        "mask_paste": ExactPaste(),
    }


def small_mobilenet_v2_parts(min_size: int = 320, max_size: int = 533):
    """Returns parts with 3.6 million parameters, for ImageNet weights and a CPU.

    As `small_resnet18_parts`, except that the backbone has frozen batch norms and the
    mean and standard deviation of pixels that its ImageNet weights expect.

    Args:
        min_size, max_size: int, pixels, as in `Preprocessing`.
    """
    return {
        "backbone": mobilenet_v2(),
        **_small_photos_parts(channels=96, head_channels=256),
        "preprocessing": Preprocessing(min_size=min_size, max_size=max_size),
    }


def _small_photos_parts(channels, head_channels):
    """Returns those parts for small photos that do not depend on the backbone."""
    sizes = {"P2": (16,), "P3": (32,), "P4": (64,), "P5": (128,), "P6": (256,)}
    return {
        "neck": FeaturePyramid(channels, norm="group", name="neck"),
        "anchors": MultiLevelAnchors(sizes, name="anchors"),
        "proposals": Proposals(
            post_nms_top_k=300,
            training_pre_nms_top_k=1000,
            training_post_nms_top_k=500,
            name="proposals",
        ),
        "box_head": TwoFCBoxHead(head_channels, name="box_head"),
        "roi_sample": Sample(128, 0.25),
    }


# The parts of each architecture that has a checkpoint, by the checkpoint's name.
FASTER_RCNN: dict[str, Callable[[], dict]] = {
    "faster_rcnn_resnet18_fpn_scenes": small_resnet18_parts,
    "faster_rcnn_resnet18_fpn_bccd": partial(small_resnet18_parts, 360, 480),
    "faster_rcnn_resnet50_fpn_coco": resnet50_v1_parts,
    "faster_rcnn_resnet50_fpn_v2_coco": resnet50_v2_parts,
    "faster_rcnn_mobilenet_v3_large_fpn_coco": mobilenet_v3_large_parts,
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco": mobilenet_v3_large_320_parts,
}
MASK_RCNN: dict[str, Callable[[], dict]] = {
    "mask_rcnn_resnet18_fpn_nuclei": small_nuclei_parts,
    "mask_rcnn_resnet50_fpn_coco": resnet50_v1_parts,
    "mask_rcnn_resnet50_fpn_v2_coco": mask_resnet50_v2_parts,
}

# The parts for backbones with maps whose stride is not 2^l, by their strides.
PARTS_OF_STRIDES: dict[tuple[tuple[str, float], ...], Callable[[], dict]] = {
    (("C5", 32), ("C6", 32)): two_maps_of_stride_32_parts,
}

# The checkpoint that weights="coco" loads, by the name of the backbone.
COCO_OF_BACKBONE = {
    "resnet50": "faster_rcnn_resnet50_fpn_coco",
    "mobilenet_v3_large": "faster_rcnn_mobilenet_v3_large_fpn_coco",
}
MASK_RCNN_COCO = {"resnet50": "mask_rcnn_resnet50_fpn_coco"}
