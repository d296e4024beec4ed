"""Masks of objects, bool (G, H, W): drawn from segments, measured, resized."""

import numpy as np
from pycocotools import mask as coco_mask

from keras_fpn.data.pixel_labels import ImageSegment
from keras_fpn.data.segments import segment_runs


def segment_mask(segment, size):
    """Returns the pixels of one object's segment, as pycocotools draws it.

    Args:
        segment: list of polygons, each a flat list x, y, x, y, ...; a COCO run-length
            dict of "size" and "counts"; an `ImageSegment`; or None. Polygons with fewer
            than 3 corners cover nothing.
        size: height and width of the photo, pixels.

    Returns:
        bool (H, W); False everywhere for None.

    Raises:
        ValueError: a polygon or a run-length dict is broken, or of another size; or
            the image of a segment cannot be read.
    """
    if segment is None:
        return np.zeros(size, bool)
    if isinstance(segment, ImageSegment):
        return segment.mask(size)
    return coco_mask.decode(segment_runs(segment, size)).astype(bool)


def mask_extents(masks):
    """Returns the smallest boxes around masks.

    Args:
        masks: bool (G, H, W).

    Returns:
        int (G, 4), xyxy, pixels: 0, 0, 1, 1 for a mask of only the first pixel,
        0, 0, 0, 0 for an empty one.
    """
    extents = np.zeros((len(masks), 4), np.intp)
    for extent, mask in zip(extents, masks, strict=True):
        rows = np.flatnonzero(mask.any(axis=1))
        if len(rows):
            top, bottom = rows[0], rows[-1] + 1
            columns = np.flatnonzero(mask[top:bottom].any(axis=0))
            extent[:] = columns[0], top, columns[-1] + 1, bottom
    return extents


def flip_masks(masks):
    """Returns masks, bool (G, H, W), mirrored left to right."""
    width = masks.shape[2]
    flipped = np.zeros(masks.shape, bool)
    extents = mask_extents(masks)  # most masks are small: only these are touched
    for target, mask, (x1, y1, x2, y2) in zip(flipped, masks, extents, strict=True):
        target[y1:y2, width - x2 : width - x1] = mask[y1:y2, x1:x2][:, ::-1]
    return flipped


def resize_map(labels, size):
    """Resizes labels of pixels, (H, W), as `resize_masks` resizes masks."""
    height, width = size
    rows, columns = _sources(labels.shape[0], height), _sources(labels.shape[1], width)
    return labels.take(rows, axis=0).take(columns, axis=1)


def resize_masks(masks, size):
    """Resizes masks: each new pixel takes the old pixel that contains its center.

    The "nearest" mode of torch takes the one that contains its upper left corner, which
    shifts masks by up to half a pixel against the image that `resize` returns.

    Args:
        masks: bool (G, H, W).
        size: height and width to resize to, int pixels.

    Returns:
        bool (G, height, width).
    """
    height, width = size
    rows, columns = _sources(masks.shape[1], height), _sources(masks.shape[2], width)
    resized = np.zeros((len(masks), height, width), bool)
    extents = mask_extents(masks)
    for target, mask, (x1, y1, x2, y2) in zip(resized, masks, extents, strict=True):
        left, right = np.searchsorted(columns, (x1, x2))
        top, bottom = np.searchsorted(rows, (y1, y2))
        taken = mask.take(rows[top:bottom], axis=0).take(columns[left:right], axis=1)
        target[top:bottom, left:right] = taken
    return resized


def _sources(size, resized):
    """Returns int (resized,), the old pixel that holds the center of each new one."""
    return (2 * np.arange(resized) + 1) * size // (2 * resized)
