"""Pastes the small masks that a model predicts into photos, as pixels."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_fpn.config import Config
from keras_fpn.run_lengths import run_length_dict


@dataclass(frozen=True)
class Paste(Config):
    """Base class of the rules by which a mask is pasted over a window of a photo.

    Args:
        threshold: float, above 0, at most 1, from which value on a pixel belongs to the
            mask.

    Call arguments:
        mask: float (h, w), 0..1.
        window: float (4,), xyxy, pixels of the photo.
        size: (height, width) of the photo.

    Returns:
        pixels: bool (rows, columns), a part of the photo.
        corner: (y, x), ints, of its first pixel in the photo.

    Raises:
        ValueError: the threshold is out of range.
    """

    threshold: float = 0.5

    def __post_init__(self):
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(
                "threshold must be above 0 and at most 1; received "
                f"threshold={self.threshold}."
            )

    def __call__(self, mask, window, size: tuple[int, int]):
        (left, right), (top, bottom) = np.reshape(window, (2, 2)).T
        rows, y = self.interpolation(top, bottom, size[0], mask.shape[0])
        columns, x = self.interpolation(left, right, size[1], mask.shape[1])
        return rows @ mask @ columns.T >= self.threshold, (y, x)

    def interpolation(self, low, high, pixels: int, cells: int):
        """Returns how pixels are interpolated between cells, along one axis.

        Args:
            low, high: float32, ends of the window, pixels.
            pixels: of the photo.
            cells: of the mask.

        Returns:
            weights: float32 (n, cells) of the cells at n pixels.
            first: int, the first of these pixels.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class ExactPaste(Paste):
    """Stretches a mask over its window as it is, with fractions of pixels.

    The mask is sampled at the centers of pixels, bilinearly between the centers of its
    cells; beyond its outermost cells it falls to 0. Pixels outside the window or the
    photo are never covered.

    Source: detectron2's `paste_masks_in_image`, which differs only for thresholds below
    0.5: there the mask goes on falling beyond the window.
    """

    def interpolation(self, low, high, pixels, cells):
        low, high = float(low), float(high)
        first, end = (
            int(np.clip(np.ceil(edge - 0.5), 0, pixels)) for edge in (low, high)
        )
        centers = np.arange(first, end) + 0.5
        positions = (centers - low) / max(high - low, 1e-6) * cells - 0.5
        return _weights(positions, cells), first


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class WholePixelPaste(Paste):
    """Stretches a mask over the whole pixels of its window.

    The mask gets a frame of empty cells and the window grows with it. Then the
    window's edges are truncated to whole pixels, and the mask is resized to them.

    Source: torchvision's `paste_masks_in_image`.
    """

    def interpolation(self, low, high, pixels, cells):
        framed = cells + 2
        # In float32 as there, so that the same edges are truncated.
        half = (high - low) * np.float32(0.5) * np.float32(framed / cells)
        center = (high + low) * np.float32(0.5)
        begin, last = int(center - half), int(center + half)
        length = max(last - begin + 1, 1)
        first, end = np.clip([begin, last + 1], 0, pixels)
        places = np.arange(first, end) - begin
        positions = (places + 0.5) * (framed / length) - 0.5
        weights = _weights(np.clip(positions, 0, framed - 1), framed)
        return weights[:, 1:-1], int(first)


def full_masks(masks, windows, size: tuple[int, int], paste: Paste):
    """Returns pasted masks, bool (n, H, W)."""
    full = np.zeros((len(masks), *size), bool)
    for target, mask, window in zip(full, masks, windows, strict=True):
        pixels, (y, x) = paste(mask, window, size)
        target[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
    return full


def run_length_masks(masks, windows, size: tuple[int, int], paste: Paste):
    """Returns pasted masks, a list of n compressed COCO run-length dicts."""
    found = []
    for mask, window in zip(masks, windows, strict=True):
        pixels, corner = paste(mask, window, size)
        found.append(_run_lengths(pixels, corner, size))
    return found


def _weights(positions, cells):
    """Returns the weights of cells at positions, the first cell at 0: (n, cells)."""
    distances = np.abs(positions[:, None] - np.arange(cells))
    return np.maximum(1 - distances, 0).astype(np.float32)


def _run_lengths(pixels, corner, size):
    """Returns the run-length dict of a mask without making it as large as the photo."""
    height, width = (int(side) for side in size)
    # Run lengths go down the columns, so columns become rows here.
    edges = np.diff(np.pad(pixels.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    indices = (np.arange(pixels.shape[1]) + corner[1])[:, None] * height + corner[0]
    indices = indices + np.arange(edges.shape[1])
    # A run from the last row of a column into the next one has no edge in between.
    bounds, times = np.unique(indices[edges != 0], return_counts=True)
    return run_length_dict(bounds[(times == 1) & (bounds < height * width)], size)
