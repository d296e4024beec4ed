"""Bottom-up pathways: functional models from an image to maps named C2..C5."""

from keras_fpn.backbones.applications import from_applications
from keras_fpn.backbones.mobilenet_v2 import mobilenet_v2
from keras_fpn.backbones.mobilenet_v3 import mobilenet_v3_large
from keras_fpn.backbones.resnet import (
    msra_resnet50,
    msra_resnet101,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)

__all__ = [
    "from_applications",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "msra_resnet50",
    "msra_resnet101",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]

# Those that a builder takes by their names.
NAMES = tuple(name for name in __all__ if name != "from_applications")
