"""Feature Pyramid Network detectors for Keras 3.

Letters of shapes, the same everywhere: B images, H and W input pixels, C channels, A
anchors per cell, N anchors in all, R RoIs per image, G padded ground-truth boxes per
image, K classes without background, L levels, P bins per side of a RoI, D detections.

Boxes are xyxy, float32, continuous, in pixels. Labels count from 0 without background;
-1 is padding. Maps are dicts keyed by level: "C2".."C5" bottom-up, "P2".."P6" pyramid.
"""

__version__ = "0.1.0.dev0"

from keras_fpn.backend import check_backend

check_backend()

from keras_fpn import (  # noqa: E402
    backbones,
    data,
    distribute,
    export,
    layers,
    metrics,
    models,
    ops,
    preprocessing,
    report,
    serving,
    training,
    visualize,
    weights,
)
from keras_fpn.presets import Preset, from_preset, list_presets  # noqa: E402

__all__ = [
    "Preset",
    "backbones",
    "data",
    "distribute",
    "export",
    "from_preset",
    "layers",
    "list_presets",
    "metrics",
    "models",
    "ops",
    "preprocessing",
    "report",
    "serving",
    "training",
    "visualize",
    "weights",
]
