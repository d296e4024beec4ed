"""A RetinaNet and an FCOS small enough to build, fill and run in a second."""

from models.tiny import tiny_backbone

from keras_fpn.layers import (
    DenseDetections,
    DenseHead,
    FeaturePyramid,
    PointDetections,
    SubsampledLevel,
)
from keras_fpn.models import fcos_fpn, retinanet_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import fill_with_formula

NAMES = ["cat", "dog", "cow"]


def tiny_retinanet(**arguments):
    """Returns a detector with formula weights that finds boxes in any photo."""
    defaults = {
        "backbone": tiny_backbone(),
        "class_names": NAMES,
        "neck": FeaturePyramid(16, name="neck"),
        "dense_head": DenseHead(1, norm="group", name="dense_head"),
        "detections": DenseDetections(max_detections=20, name="detections"),
        "preprocessing": Preprocessing(min_size=96, max_size=160),
    }
    model = retinanet_fpn(**{**defaults, **arguments})
    fill_with_formula(model)
    return model


def tiny_fcos(**arguments):
    """Returns a detector with formula weights that finds boxes in any photo."""
    defaults = {
        "backbone": tiny_backbone(("C3", "C4")),
        "class_names": NAMES,
        "neck": FeaturePyramid(16, name="neck"),
        "coarse_level": SubsampledLevel(name="coarse_level"),
        "dense_head": DenseHead(1, norm="biased_group", name="dense_head"),
        "detections": PointDetections(max_detections=20, name="detections"),
        "preprocessing": Preprocessing(min_size=96, max_size=160),
    }
    model = fcos_fpn(**{**defaults, **arguments})
    fill_with_formula(model)
    return model
