"""The parts of Faster R-CNN that differ from architecture to architecture.

Source: torchvision 0.27, whose checkpoints expect exactly these numbers; those of the
small one, which two CPU cores can train, are ours.
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
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    PyramidRoIAlign,
    RPNHead,
    TwoFCBoxHead,
)
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.sampler import Sample

_MOBILE_SIZES = (32, 64, 128, 256, 512)


def resnet50_v1_parts():
    """Parts of fasterrcnn_resnet50_fpn; its frozen norms were stored for epsilon 0."""
    return {"backbone": resnet50(epsilon=0.0)}


def resnet50_v2_parts():
    """Parts of fasterrcnn_resnet50_fpn_v2: batch norms everywhere, a deeper head."""
    return {
        "backbone": resnet50(norm="batch"),
        "neck": FeaturePyramid(norm="batch", name="neck"),
        "rpn_head": RPNHead(num_convs=2, name="rpn_head"),
        "box_head": ConvBoxHead(norm="batch", name="box_head"),
    }


def mobilenet_v3_large_parts():
    """Parts of fasterrcnn_mobilenet_v3_large_fpn: all anchors on three coarse levels.

    The backbone's maps bring all but itself: see `PARTS_OF_STRIDES`.
    """
    return {"backbone": mobilenet_v3_large(), **two_maps_of_stride_32_parts()}


def two_maps_of_stride_32_parts():
    """Parts for a backbone whose C5 and C6 both have stride 32.

    Every RoI reads the first, the one whose name says its stride.
    """
    return {
        "anchors": MultiLevelAnchors(
            dict.fromkeys(("P5", "P6", "P7"), _MOBILE_SIZES), name="anchors"
        ),
        "proposals": Proposals(score_threshold=0.05, name="proposals"),
        "roi_align": PyramidRoIAlign(levels=("P5",), name="roi_align"),
    }


def mobilenet_v3_large_320_parts():
    """Parts of fasterrcnn_mobilenet_v3_large_320_fpn: few proposals, small photos."""
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


def small_resnet18_parts(min_size=320, max_size=533):
    """Parts of a detector of 2.2 million parameters, to train from scratch on a CPU.

    Group norms, for batches are small; anchors and RoIs half as large as in the paper
    and fewer, for photos are.

    Args:
        min_size, max_size: int, pixels, as of `Preprocessing`.
    """
    return {
        "backbone": resnet18(norm="group", channels=24),
        **_small_photos_parts(channels=64, head_channels=128),
        "preprocessing": Preprocessing(min_size=min_size, max_size=max_size),
    }


def small_mobilenet_v2_parts(min_size=320, max_size=533):
    """Parts of a detector of 3.6 million parameters, for ImageNet weights on a CPU.

    As `small_resnet18_parts`, but the backbone's norms are ImageNet's, frozen, and so
    are the pixels' mean and deviation.

    Args:
        min_size, max_size: int, pixels, as of `Preprocessing`.
    """
    return {
        "backbone": mobilenet_v2(),
        **_small_photos_parts(channels=96, head_channels=256),
        "preprocessing": Preprocessing(min_size=min_size, max_size=max_size),
    }


def _small_photos_parts(channels, head_channels):
    """Returns the parts for small photos that do not depend on the backbone."""
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


# Architectures with weights, by the name of their checkpoint.
FASTER_RCNN: dict[str, Callable[[], dict]] = {
    "faster_rcnn_resnet18_fpn_scenes": small_resnet18_parts,
    "faster_rcnn_resnet18_fpn_bccd": partial(small_resnet18_parts, 360, 480),
    "faster_rcnn_resnet50_fpn_coco": resnet50_v1_parts,
    "faster_rcnn_resnet50_fpn_v2_coco": resnet50_v2_parts,
    "faster_rcnn_mobilenet_v3_large_fpn_coco": mobilenet_v3_large_parts,
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco": mobilenet_v3_large_320_parts,
}

# The parts of backbones whose maps do not have stride 2^l, by the strides they have.
PARTS_OF_STRIDES: dict[tuple[tuple[str, float], ...], Callable[[], dict]] = {
    (("C5", 32), ("C6", 32)): two_maps_of_stride_32_parts,
}

# The checkpoint that weights="coco" means, by the name of the backbone.
COCO_OF_BACKBONE = {
    "resnet50": "faster_rcnn_resnet50_fpn_coco",
    "mobilenet_v3_large": "faster_rcnn_mobilenet_v3_large_fpn_coco",
}
