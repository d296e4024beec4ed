"""The parts of published one-stage architectures that differ from the papers'.

Source: torchvision 0.27 and the configs of detectron2 at commit 02b5c4e295e9, whose
checkpoints expect exactly these numbers.
"""

from collections.abc import Callable
from functools import partial

from keras_fpn.backbones import msra_resnet50, msra_resnet101, resnet50
from keras_fpn.box_coder import GIoUCoder
from keras_fpn.layers import DenseDetections, DenseHead, StridedAnchors
from keras_fpn.models.loss_divisors import MovingPositives
from keras_fpn.preprocessing import Preprocessing

_OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_DETECTRON2_SIZES = {
    f"P{level}": tuple(2 ** (level + 2) * octave for octave in _OCTAVES)
    for level in range(3, 8)
}


def retinanet_v1_parts():
    """Returns the parts of retinanet_resnet50_fpn, whose norms have epsilon 0."""
    return {"backbone": resnet50(epsilon=0.0), "coarse_source": "pyramid"}


def retinanet_v2_parts():
    """Returns the parts of retinanet_resnet50_fpn_v2."""
    return {
        "backbone": resnet50(norm="batch"),
        "dense_head": DenseHead(norm="group", name="dense_head"),
        "detections": DenseDetections(coder=GIoUCoder(), name="detections"),
    }


def retinanet_detectron2_parts(backbone: Callable = msra_resnet50):
    """Returns the parts of detectron2's retinanet_R_50_FPN, or another backbone's."""
    return {
        "backbone": backbone(),
        "anchors": StridedAnchors(_DETECTRON2_SIZES, name="anchors"),
        "detections": DenseDetections(
            max_detections=100, clip_first=False, name="detections"
        ),
        "loss_divisor": MovingPositives(name="loss_divisor"),
        "preprocessing": Preprocessing(resize_rule="detectron2"),
    }


def fcos_parts():
    """Returns the parts of fcos_resnet50_fpn."""
    return {"backbone": resnet50()}


# The parts of each architecture that has a checkpoint, by the checkpoint's name.
RETINANET: dict[str, Callable[[], dict]] = {
    "retinanet_resnet50_fpn_coco": retinanet_v1_parts,
    "retinanet_resnet50_fpn_v2_coco": retinanet_v2_parts,
    "retinanet_resnet50_fpn_detectron2_1x": retinanet_detectron2_parts,
    "retinanet_resnet50_fpn_detectron2_3x": retinanet_detectron2_parts,
    "retinanet_resnet101_fpn_detectron2_3x": partial(
        retinanet_detectron2_parts, msra_resnet101
    ),
}
FCOS: dict[str, Callable[[], dict]] = {"fcos_resnet50_fpn_coco": fcos_parts}

# The checkpoint that weights="coco" loads, by the name of the backbone.
RETINANET_COCO = {
    "resnet50": "retinanet_resnet50_fpn_coco",
    "msra_resnet50": "retinanet_resnet50_fpn_detectron2_3x",
    "msra_resnet101": "retinanet_resnet101_fpn_detectron2_3x",
}
FCOS_COCO = {"resnet50": "fcos_resnet50_fpn_coco"}
