"""Draws masks as a tint, with a contour that separates neighbors of one class."""

import math

import numpy as np
from PIL import Image

from keras_fpn.data.masks import segment_mask
from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize.colors import check_labels, class_color, ink

# The side of a picture is the root of its area.
_CONTOUR_SHARE = 1 / 300  # of the side
_TINT = 0.4  # opacity of the class's color inside a mask


def draw_masks(photo, masks, labels):
    """Tints masks in the color of their class, with a contour around each.

    `draw_keypoints` and `draw_detections` take the result as their photo.

    Args:
        photo: path, PIL image or uint8 array; see `read_photo`.
        masks: bool (n, H, W), pixels of the photo, or n COCO run-length dicts; where
            they overlap, the first is on top.
        labels: int (n,), 0 or more.

    Returns:
        PIL.Image in RGB of the photo's size.

    Raises:
        ValueError: the photo cannot be read; masks are not bool or not of its size; the
            numbers of masks and labels differ; a label is negative.
    """
    pixels = read_photo(photo).copy()
    size, labels = pixels.shape[:2], np.asarray(labels)
    encoded = len(masks) > 0 and isinstance(masks[0], dict)
    if not encoded:
        masks = np.asarray(masks)
        if masks.size == labels.size == 0:
            return Image.fromarray(pixels)
    _check(masks, labels, size, encoded)
    check_labels(labels)
    contour = max(1, round(math.prod(size) ** 0.5 * _CONTOUR_SHARE))
    for mask, label in zip(masks[::-1], labels[::-1], strict=True):
        if encoded:  # one at a time, because decoded masks need much memory
            mask = segment_mask(mask, size)
        _tint(pixels, mask, class_color(label), contour)
    return Image.fromarray(pixels)


def _check(masks, labels, size, encoded):
    """Raises ValueError if masks do not fit the photo or the labels."""
    if encoded:
        sizes = {tuple(mask["size"]) for mask in masks}
        dtype, shape, fits = "run lengths", (len(masks), *sizes), sizes == {size}
        fits = fits and labels.shape == (len(masks),)
    else:
        dtype, shape = masks.dtype, masks.shape
        fits = masks.dtype == bool and shape == (*labels.shape, *size)
        fits = fits and len(shape) == 3
    if not fits:
        raise ValueError(
            f"There must be as many masks as labels, bool {('n', *size)}, the photo's "
            f"size; received masks of dtype={dtype}, shape={shape}, labels "
            f"{labels.shape}."
        )


def _tint(pixels, mask, color, contour):
    """Tints the pixels of a mask, with a contour inside and a thin rim outside it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return
    rim = max(1, contour // 3)
    window = tuple(
        slice(max(0, range_[0] - rim), range_[-1] + 1 + rim)
        for range_ in (rows, columns)
    )
    inside, window = mask[window], pixels[window]
    core = ~_grown(~inside, contour)
    tinted = window[core] * (1 - _TINT) + np.multiply(color, _TINT)
    window[core] = np.rint(tinted).astype(np.uint8)
    window[inside & ~core] = color
    window[_grown(inside, rim) & ~inside] = ink(color)


def _grown(mask, steps):
    """Returns a mask extended by so many pixels in each direction."""
    for _ in range(steps):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask
