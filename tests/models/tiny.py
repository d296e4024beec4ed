"""A Faster R-CNN and an RPN small enough to build, fill and run in a second."""

import keras
import numpy as np

import keras_fpn
from keras_fpn.layers import (
    ConvNorm,
    Detections,
    FeaturePyramid,
    Proposals,
    TwoFCBoxHead,
)
from keras_fpn.layers.conv_norm import DepthwiseConvNorm
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


def two_levels(num_classes=3, **arguments):
    """Returns `tiny_detector` on C3 and C4 alone, whose graphs are sooner made."""
    backbone = tiny_backbone(("C3", "C4"))
    return tiny_detector(num_classes, **{"backbone": backbone, **arguments})


def tiny_rpn(**parts):
    """Returns an RPN with random weights, which are always the same."""
    keras.utils.set_random_seed(0)
    return keras_fpn.models.rpn_fpn(
        tiny_backbone(("C3", "C4")),
        preprocessing=Preprocessing(min_size=96, max_size=160),
        **{
            "neck": FeaturePyramid(16, name="neck"),
            "proposals": Proposals(100, 50, 100, 50, name="proposals"),
            **parts,
        },
    )


def normed_backbone():
    """Returns a pathway with a norm of each kind; one epsilon is 0."""
    images = keras.Input((None, None, 3), name="images")
    stem = ConvNorm(8, 3, 2, norm="frozen_batch", epsilon=0.0, name="stem")
    x, maps = stem(images), {}
    for level, convolution in (
        ("C2", DepthwiseConvNorm(8, 3, 2, norm="batch", activation="relu", name="C2")),
        ("C3", ConvNorm(8, 3, 2, norm="group", activation="relu", name="C3")),
        ("C4", ConvNorm(8, 3, 2, norm="frozen_batch", activation="relu", name="C4")),
        ("C5", ConvNorm(8, 3, 2, activation="relu", name="C5")),
    ):
        maps[level] = x = convolution(x)
    return keras.Model(images, maps, name="normed")


def give_statistics(model):
    """Gives the norms of a model statistics and factors as after a training."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        name = weight.path.split("/")[-1]
        if name in ("beta", "moving_mean"):
            weight.assign(generator.normal(0, 0.3, weight.shape))
        if name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 2.0, weight.shape))


def two_rectangles(size=(96, 128), boxes=((20, 16, 84, 80), (40, 8, 72, 88))):
    """Returns inputs and targets of two dark images, each with a bright rectangle.

    Args:
        size: (height, width) of the images, pixels.
        boxes: of the rectangles, xyxy, whole pixels; their labels are 0 and 1.
    """
    draw = np.random.default_rng(0)
    images = draw.uniform(0, 60, (2, *size, 3)).astype("float32")
    for image, (x1, y1, x2, y2) in zip(images, boxes, strict=True):
        image[y1:y2, x1:x2] = (230, 120, 40)
    x = {"images": images, "image_sizes": np.array([size] * 2, "float32")}
    y = {
        "boxes": np.array(boxes, "float32")[:, None],
        "labels": np.array([[0], [1]]),
        "image_ids": np.array([4, 9]),
    }
    return x, y
