"""A Faster R-CNN small enough to build, fill and run in a second."""

import keras

import keras_fpn
from keras_fpn.layers import (
    ConvNorm,
    Detections,
    FeaturePyramid,
    Proposals,
    TwoFCBoxHead,
)
from keras_fpn.preprocessing import Preprocessing


def tiny_backbone(levels=("C2", "C3", "C4", "C5"), channels=8):
    """Returns a functional model with one convolution per level from stride 4."""
    images = keras.Input((None, None, 3), name="images")
    x = ConvNorm(channels, 3, 2, activation="relu", name="stem")(images)
    maps = {}
    for level in ("C2", "C3", "C4", "C5"):
        x = ConvNorm(channels, 3, 2, activation="relu", name=level)(x)
        maps[level] = x
    return keras.Model(images, {name: maps[name] for name in levels}, name="tiny")


def tiny_detector(num_classes=3, **arguments):
    """Returns a detector with formula weights that finds boxes in any photo."""
    defaults = {
        "backbone": tiny_backbone(),
        "neck": FeaturePyramid(16, name="neck"),
        "proposals": Proposals(100, 50, 100, 50, name="proposals"),
        "box_head": TwoFCBoxHead(32, name="box_head"),
        "detections": Detections(0.2, max_detections=20, name="detections"),
        "preprocessing": Preprocessing(min_size=96, max_size=160),
        "num_classes": num_classes,
    }
    model = keras_fpn.models.faster_rcnn_fpn(**{**defaults, **arguments})
    keras_fpn.weights.fill_with_formula(model)
    return model
