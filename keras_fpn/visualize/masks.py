"""Draws masks: a tint, and a contour that separates neighbors of one class."""

import math

import numpy as np
from PIL import Image

from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize.colors import check_labels, class_color, ink

# The side of a picture is the root of its area.
_CONTOUR_SHARE = 1 / 300  # of the side
_TINT = 0.4  # share of the color of the class inside a mask


def draw_masks(photo, masks, labels) -> Image.Image:
    """Tints masks in the colors of their classes, with a contour around each.

    The picture is a photo again: `draw_detections` and `draw_keypoints` take it.

    Args:
        photo: path, PIL image or uint8 array; see `read_photo`.
        masks: bool (n, H, W), pixels of the photo; where they overlap, the first is
            on top.
        labels: int (n,), 0 or more.

    Returns:
        PIL.Image in RGB, as large as the photo.

    Raises:
        ValueError: the photo cannot be read; masks are not bool or differ from it in
            size; masks and labels differ in number; a label is negative.
    """
    pixels = read_photo(photo).copy()
    size, masks, labels = pixels.shape[:2], np.asarray(masks), np.asarray(labels)
    if masks.size == labels.size == 0:
        return Image.fromarray(pixels)
    if masks.shape != (*labels.shape, *size) or masks.ndim != 3 or masks.dtype != bool:
        raise ValueError(
            f"There must be as many masks as labels, bool {('n', *size)}, the photo's "
            f"size; received masks of dtype={masks.dtype}, shape={masks.shape}, labels "
            f"{labels.shape}."
        )
    check_labels(labels)
    contour = max(1, round(math.prod(size) ** 0.5 * _CONTOUR_SHARE))
    for mask, label in zip(masks[::-1], labels[::-1], strict=True):
        _tint(pixels, mask, class_color(label), contour)
    return Image.fromarray(pixels)


def _tint(pixels, mask, color, contour):
    """Tints a mask in place, draws its contour inside, and a thin rim outside."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return
    rim = max(1, contour // 3)
    window = tuple(
        slice(max(0, place[0] - rim), place[-1] + 1 + rim) for place in (rows, columns)
    )
    inside, window = mask[window], pixels[window]
    core = ~_grown(~inside, contour)
    tinted = window[core] * (1 - _TINT) + np.multiply(color, _TINT)
    window[core] = np.rint(tinted).astype(np.uint8)
    window[inside & ~core] = color
    window[_grown(inside, rim) & ~inside] = ink(color)


def _grown(mask, steps):
    """Returns a mask grown by a number of pixels."""
    for _ in range(steps):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask
