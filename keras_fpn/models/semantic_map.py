"""Turns the small logits of a semantic head into the classes of a photo's pixels."""

import numpy as np

from keras_fpn.layers.semantic_head import STRIDE

_TILE = 128  # pixels along each side that are computed at once, for all classes


def semantic_map(logits, image_size: tuple[int, int], photo_size: tuple[int, int]):
    """Returns the class of every pixel of a photo.

    The logits are upsampled by 4, cut at the edges of the image, and resized to the
    photo, bilinearly both times; then the highest counts. Both steps are one weighted
    sum, which is computed tile by tile: the logits of 54 classes for a photo of 12
    megapixels would be 2.6 GB.

    Source: detectron2's `sem_seg_postprocess`.

    Args:
        logits: float32 (h, w, C), of the padded image.
        image_size: (height, width) of the image without padding, pixels.
        photo_size: (height, width) of the photo, pixels.

    Returns:
        uint8 (H, W), 0..C-1.
    """
    rows, columns = (
        _shares(cells, int(image), int(photo))
        for cells, image, photo in zip(
            logits.shape[:2], image_size, photo_size, strict=True
        )
    )
    found = np.empty((len(rows), len(columns)), np.uint8)
    for top in range(0, len(rows), _TILE):
        weights, read = _tile(rows, top)
        strip = np.tensordot(weights, logits[read], 1)  # (t, w, C)
        for left in range(0, len(columns), _TILE):
            weights, read = _tile(columns, left)
            tile = weights @ strip[:, read]  # (t, t', C)
            found[top : top + _TILE, left : left + _TILE] = tile.argmax(axis=2)
    return found


def _shares(cells, image, photo):
    """Returns the share of each cell in each of the photo's pixels, along one axis.

    Args:
        cells: int, of the logits.
        image, photo: int, pixels.

    Returns:
        float32 (photo, cells).
    """
    upsampled = _interpolation(cells * STRIDE, cells, 1.0 / STRIDE)[:image]
    return _interpolation(photo, image, image / photo) @ upsampled


def _interpolation(size, cells, scale):
    """Returns what each of `size` places takes from cells, float32 (size, cells)."""
    centers = np.clip((np.arange(size) + 0.5) * scale - 0.5, 0, cells - 1)
    first = np.floor(centers).astype(int)
    second, share = np.minimum(first + 1, cells - 1), centers - first
    table = np.zeros((size, cells), np.float32)
    places = np.arange(size)
    table[places, first] = 1 - share
    table[places, second] += share
    return table


def _tile(shares, start):
    """Returns the shares of the pixels of a tile, and the slice of cells they read."""
    weights = shares[start : start + _TILE]
    cells = np.flatnonzero(weights.any(axis=0))
    read = slice(cells[0], cells[-1] + 1)
    return weights[:, read], read
