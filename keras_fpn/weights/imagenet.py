"""ImageNet weights for backbones, by name or from a file."""

import os
from pathlib import Path

import keras

from keras_fpn.files import PathLike
from keras_fpn.weights.download import fetch
from keras_fpn.weights.keras_applications import load_keras_applications
from keras_fpn.weights.registry import get_checkpoint
from keras_fpn.weights.torchvision import load_torchvision_body


def load_imagenet(backbone: keras.Model, weights: PathLike) -> None:
    """Fills a backbone with ImageNet weights.

    Args:
        backbone: functional model of `keras_fpn.backbones`.
        weights: "imagenet", the usual checkpoint of the backbone (the first of
            torchvision, or that of keras.applications for MobileNetV2, which Keras
            downloads, without a published hash to verify); the name of a registered
            checkpoint, such as "resnet50_imagenet_v2"; or a file: .pth of
            torchvision, .npz with tensors of keras.applications, or .weights.h5 of this
            backbone.

    Raises:
        ValueError: there is no such name or file, or its tensors do not fit.
    """
    if weights == "imagenet" and backbone.name == "mobilenet_v2":
        source = keras.applications.MobileNetV2(include_top=False, weights=weights)
        load_keras_applications(backbone, source)
    elif weights == "imagenet" or not _is_file(weights):
        usual = f"{backbone.name}_imagenet_v1"
        name = usual if weights == "imagenet" else str(weights)
        load_torchvision_body(backbone, fetch(get_checkpoint(name)))
    elif str(weights).endswith(".npz"):
        load_keras_applications(backbone, weights)
    elif str(weights).endswith(".weights.h5"):
        backbone.load_weights(weights)
    else:
        load_torchvision_body(backbone, weights)


def with_imagenet(backbone: keras.Model, weights: PathLike | None) -> keras.Model:
    """Returns the backbone, filled by `load_imagenet` unless `weights` is None."""
    if weights is not None:
        load_imagenet(backbone, weights)
    return backbone


def _is_file(weights):
    return isinstance(weights, os.PathLike) or Path(weights).suffix != ""
