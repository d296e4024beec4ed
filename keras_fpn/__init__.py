"""Feature Pyramid Network detectors for Keras 3.

All docstrings use the same letters for shapes: B images per batch, H and W height and
width of the input in pixels, C channels, A anchors per cell, N anchors in total, R RoIs
per image, G ground-truth boxes per image (padded), K classes without background, L
levels, P bins per side of a RoI, D detections per image.

Boxes are (x1, y1, x2, y2), float32, in continuous pixel coordinates. Labels count from
0 without the background; -1 is padding. Maps are dicts with the level's name as key:
"C2".."C5" from the backbone (bottom-up), "P2".."P6" in the pyramid.
"""

from keras_fpn.backend import check_backend
from keras_fpn.version import __version__

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
    to_supervision,
    training,
    video,
    visualize,
    weights,
)
from keras_fpn.conversion import Conversion, convert_checkpoint  # noqa: E402
from keras_fpn.loading import load  # noqa: E402
from keras_fpn.presets import Preset, from_preset, list_presets  # noqa: E402

__all__ = [
    "Conversion",
    "Preset",
    "__version__",
    "backbones",
    "convert_checkpoint",
    "data",
    "distribute",
    "export",
    "from_preset",
    "layers",
    "list_presets",
    "load",
    "metrics",
    "models",
    "ops",
    "preprocessing",
    "report",
    "serving",
    "to_supervision",
    "training",
    "video",
    "visualize",
    "weights",
]
