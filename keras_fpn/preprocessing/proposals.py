"""Proposals that come with photos: checks them, and moves them to the model's input."""

from collections.abc import Sequence

import numpy as np

from keras_fpn.preprocessing.resize import scaled_boxes

# Pixels by which a box may leave its photo, for files whose boxes are rounded or
# include their last pixel.
_MARGIN = 1.0


def checked_proposals(boxes, size) -> np.ndarray:
    """Returns the proposals of a photo, clipped to it, without empty ones.

    Args:
        boxes: float (n, 4), xyxy, pixels of the photo, at most a pixel outside.
        size: height and width of the photo, pixels.

    Returns:
        float32 (m, 4), m <= n, in the order of `boxes`.

    Raises:
        ValueError: the boxes have another shape, a number is not finite, corners are
            swapped, or a box leaves the photo.
    """
    boxes = np.asarray(boxes, np.float32)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            "Proposals must be boxes (n, 4), x1, y1, x2, y2; received an array of "
            f"shape {boxes.shape}."
        )
    _check(boxes, np.isfinite(boxes).all(axis=1), "be finite")
    _check(
        boxes, (boxes[:, 2:] >= boxes[:, :2]).all(axis=1), "have x1 <= x2 and y1 <= y2"
    )
    height, width = size
    far = np.array([width, height], np.float32)
    inside = (boxes[:, :2] >= -_MARGIN) & (boxes[:, 2:] <= far + _MARGIN)
    _check(boxes, inside.all(axis=1), f"be inside the photo, {width}x{height} pixels")
    boxes = np.clip(boxes, 0, np.tile(far, 2))
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


def proposal_batch(
    proposals: Sequence, photo_sizes: Sequence, image_sizes: Sequence, first: int = 0
) -> np.ndarray:
    """Returns the proposals of a batch of resized photos.

    Args:
        proposals: list of B float arrays (n, 4), xyxy, pixels of the photos.
        photo_sizes, image_sizes: lists of B (height, width), before and after
            resizing, pixels.
        first: int, number of the first photo, for errors.

    Returns:
        float32 (B, R, 4), xyxy, pixels of the resized photos, padded with zeros. R is a
        power of two, because JAX compiles a function for each R.

    Raises:
        ValueError: as `checked_proposals`.
    """
    rows = []
    for number, (boxes, *sizes) in enumerate(
        zip(proposals, photo_sizes, image_sizes, strict=True), start=first
    ):
        try:
            rows.append(scaled_boxes(checked_proposals(boxes, sizes[0]), *sizes))
        except ValueError as error:
            raise ValueError(f"Photo {number}: {error}") from error
    most = max(1, *map(len, rows))
    batch = np.zeros((len(rows), 1 << (most - 1).bit_length(), 4), np.float32)
    for padded, boxes in zip(batch, rows, strict=True):
        padded[: len(boxes)] = boxes
    return batch


def _check(boxes, right, what):
    """Raises an error with the first box that is not right, bool (n,)."""
    if not right.all():
        row = int(np.argmin(right))
        raise ValueError(
            f"Proposals must {what}; received {boxes[row].tolist()} in row {row}. Are "
            "they of another photo, or in another form than x1, y1, x2, y2 in pixels?"
        )
