"""Checkpoints: finding them, reading them safely, loading them into a model."""

from keras_fpn.weights.checkpoint import Checkpoint
from keras_fpn.weights.detectron2 import load_detectron2
from keras_fpn.weights.download import fetch
from keras_fpn.weights.formula import fill_with_formula
from keras_fpn.weights.imagenet import load_imagenet
from keras_fpn.weights.keras_applications import load_keras_applications
from keras_fpn.weights.pickled_arrays import read_pickled_arrays
from keras_fpn.weights.reader import read_torch
from keras_fpn.weights.registry import get_checkpoint
from keras_fpn.weights.shipped import SHIPPED
from keras_fpn.weights.torchvision import load_torchvision

__all__ = [
    "SHIPPED",
    "Checkpoint",
    "fetch",
    "fill_with_formula",
    "get_checkpoint",
    "load_detectron2",
    "load_imagenet",
    "load_keras_applications",
    "load_torchvision",
    "read_pickled_arrays",
    "read_torch",
]
