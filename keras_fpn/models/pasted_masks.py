"""Pastes the small masks that a model predicts into photos, as pixels."""

import numpy as np
from pycocotools import mask as coco_mask


def pasted_mask(mask, window, size: tuple[int, int], threshold: float):
    """Stretches a mask over its window and returns the pixels that it covers.

    The mask is sampled at the centers of pixels, bilinearly between the centers of its
    cells; beyond its outermost cells it falls to 0. A pixel is covered if its value is
    at least the threshold. Pixels outside the window or the photo are never covered.

    Source: the sampling of detectron2's `paste_masks_in_image`, without its loss of
    the part of a mask beyond the window.

    Args:
        mask: float (h, w), 0..1.
        window: float (4,), xyxy, pixels of the photo.
        size: (height, width) of the photo.
        threshold: float, above 0, at most 1.

    Returns:
        pixels: bool (rows, columns), a part of the photo.
        corner: (y, x), ints, of its first pixel in the photo.
    """
    x1, y1, x2, y2 = (float(edge) for edge in window)
    rows, top = _interpolation(y1, y2, size[0], mask.shape[0])
    columns, left = _interpolation(x1, x2, size[1], mask.shape[1])
    return rows @ mask @ columns.T >= threshold, (top, left)


def full_masks(masks, windows, size: tuple[int, int], threshold: float):
    """Returns pasted masks, bool (n, H, W); see `pasted_mask`."""
    full = np.zeros((len(masks), *size), bool)
    for target, mask, window in zip(full, masks, windows, strict=True):
        pixels, (y, x) = pasted_mask(mask, window, size, threshold)
        target[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
    return full


def run_length_masks(masks, windows, size: tuple[int, int], threshold: float):
    """Returns pasted masks, a list of n compressed COCO run-length dicts."""
    found = []
    for mask, window in zip(masks, windows, strict=True):
        pixels, corner = pasted_mask(mask, window, size, threshold)
        found.append(_run_lengths(pixels, corner, size))
    return found


def _interpolation(low, high, pixels, cells):
    """Returns weights (n, cells) of the cells at n pixels, and the first pixel."""
    first, end = (int(np.clip(np.ceil(edge - 0.5), 0, pixels)) for edge in (low, high))
    centers = np.arange(first, end) + 0.5
    positions = (centers - low) / max(high - low, 1e-6) * cells - 0.5
    distances = np.abs(positions[:, None] - np.arange(cells))
    return np.maximum(1 - distances, 0).astype(np.float32), first


def _run_lengths(pixels, corner, size):
    """Returns the run-length dict of a mask without making it as large as the photo."""
    height, width = (int(side) for side in size)
    # Run lengths go down the columns, so columns become rows here.
    edges = np.diff(np.pad(pixels.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    indices = (np.arange(pixels.shape[1]) + corner[1])[:, None] * height + corner[0]
    indices = indices + np.arange(edges.shape[1])
    # A run from the last row of a column into the next one has no edge in between.
    bounds, times = np.unique(indices[edges != 0], return_counts=True)
    bounds = np.union1d(bounds[times == 1], [height * width])
    counts = np.diff(bounds, prepend=0).astype(int).tolist()
    runs = {"size": [height, width], "counts": counts}
    counts = coco_mask.frPyObjects(runs, height, width)["counts"]
    return {"size": [height, width], "counts": counts.decode("ascii")}
