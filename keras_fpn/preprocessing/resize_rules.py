"""The rules by which photos are resized: each one's sizes and pixels.

A `Preprocessing` names its rule, so that detection, training and serving resize alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from keras_fpn.preprocessing.resize import check_sizes, resize, resized_size


@dataclass(frozen=True)
class ResizeRule:
    """How photos are resized.

    Attributes:
        size: function (size, min_size, max_size) -> size; see `resized_size`.
        resize: function (image, size) -> image; see `resize`.
    """

    size: Callable[[Any, int, int], tuple[int, int]]
    resize: Callable[[np.ndarray, Any], np.ndarray]


def rounded_size(size, min_size: int, max_size: int) -> tuple[int, int]:
    """Returns the height and width, int pixels, that a photo is resized to.

    As `resized_size`, except that both sides are rounded, 0.5 up, not rounded down, and
    so are at least 1. Source: detectron2's ResizeShortestEdge, in float64.

    Args:
        size, min_size, max_size: as of `resized_size`.

    Raises:
        ValueError: the photo has no pixels.
    """
    height, width = (int(side) for side in size)
    check_sizes(min_size=min_size, max_size=max_size)
    if min(height, width) < 1:
        raise ValueError(f"A photo must have pixels; received size={height, width}.")
    shorter = min(height, width)
    sides = [
        min_size if side == shorter else side * (min_size / shorter)
        for side in (height, width)
    ]
    if max(sides) > max_size:
        scale = max_size / max(sides)
        sides = [side * scale for side in sides]
    rounded_height, rounded_width = (max(int(side + 0.5), 1) for side in sides)
    return rounded_height, rounded_width


def resize_antialiased(image, size):
    """Resizes an image bilinearly with antialiasing, in whole gray levels.

    This is Pillow's bilinear filter, as in detectron2. Pixels are rounded to whole
    levels first if they are floats, as augmentations make them.

    Args:
        image: uint8 or float (H, W, 3), 0..255.
        size: height and width to resize to, int pixels.

    Returns:
        float32 (height, width, 3), 0..255, whole numbers.
    """
    if image.dtype != np.uint8:
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    height, width = size
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)


RESIZE_RULES = {
    "torchvision": ResizeRule(resized_size, resize),
    "detectron2": ResizeRule(rounded_size, resize_antialiased),
}
