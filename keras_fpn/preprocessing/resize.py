"""Resizes a photo as torch does, and scales boxes back to the photo."""

import math

import numpy as np

MAX_SIDE = 2**14  # pixels of a resized photo: in float32 a square takes 3 GiB
_STRIP = 64  # output rows resized at once, so that their buffers stay in the CPU cache


def resized_size(size, min_size: int, max_size: int) -> tuple[int, int]:
    """Returns the height and width, int pixels, that a photo is resized to.

    The shorter side becomes min_size unless the longer would then exceed max_size.
    Source: the rule of torchvision, in float64 and rounded down: a side that should be
    800 becomes 799 for some sizes, such as 607, and proposals depend on it.

    Args:
        size: height and width of the photo, int pixels, at least 1.
        min_size: int, target for the shorter side, pixels.
        max_size: int, limit for the longer side, pixels.

    Raises:
        ValueError: a side would be 0 pixels long.
    """
    height, width = (int(side) for side in size)
    check_sizes(min_size=min_size, max_size=max_size)
    if min(height, width) < 1:
        raise ValueError(f"A photo must have pixels; received size={height, width}.")
    scale = min(min_size / min(height, width), max_size / max(height, width))
    resized = math.floor(height * scale), math.floor(width * scale)
    if 0 in resized:
        raise ValueError(
            "Both sides of a resized photo must be at least 1 pixel; received "
            f"size={height, width}, which min_size={min_size} and max_size={max_size} "
            f"make {resized}. Cut the photo into less oblong parts."
        )
    return resized


def resize(image, size):
    """Resizes an image bilinearly, with half-pixel centers and without antialiasing.

    Equal to torch's `interpolate(mode="bilinear", align_corners=False)` to 1e-4.

    Args:
        image: uint8 or float (H, W, 3).
        size: height and width to resize to, int pixels.

    Returns:
        float32 (height, width, 3), in the range of the image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"An image to resize must be (H, W, 3) with pixels; received "
            f"shape={image.shape}. `read_photo` returns such an array."
        )
    height, width = size
    top, bottom, down = _taps(image.shape[0], height)
    left, right, across = _taps(image.shape[1], width)
    left, right = _flat_columns(left), _flat_columns(right)
    across = np.repeat(across, 3)
    flat = np.ascontiguousarray(image).reshape(len(image), -1)  # (H, 3 W)
    resized = np.empty((height, width * 3), np.float32)
    for start in range(0, height, _STRIP):
        strip = slice(start, start + _STRIP)
        wanted = np.concatenate([top[strip], bottom[strip]])
        rows, position = np.unique(wanted, return_inverse=True)
        source = flat[rows]
        # mode="clip" skips the check of each index; `_taps` returns valid ones.
        blended = source.take(left, axis=1, mode="clip").astype(np.float32)
        _blend(blended, source.take(right, axis=1, mode="clip"), across)
        above, below = np.split(position, 2)
        blended.take(above, axis=0, mode="clip", out=resized[strip])
        _blend(resized[strip], blended.take(below, axis=0), down[strip, None])
    return resized.reshape(height, width, 3)


def _taps(size, resized):
    """Returns the two pixels around each resized pixel, and its position between them.

    Source: the rule of torch, with its rounding: the ratio of the sizes is float32, and
    so is its product with the position. Positions in float64 would be more accurate,
    but differ from torch by up to 0.2 gray levels in large photos.

    Returns:
        first, second: int (resized,); distance: float32 (resized,), 0..1, from first.
    """
    ratio = np.float64(np.float32(size) / np.float32(resized))
    centers = (ratio * (np.arange(resized) + 0.5) - 0.5).astype(np.float32)
    centers = np.maximum(centers, 0)
    first = np.minimum(centers.astype(np.intp), size - 1)
    return first, np.minimum(first + 1, size - 1), centers - first.astype(np.float32)


def _flat_columns(columns):
    """Returns the indices of the 3 channels of each column in a row of 3 W numbers."""
    return (columns[:, None] * 3 + np.arange(3)).ravel()


def _blend(first, second, share):
    """Moves `first`, float32, by a share of 0..1 toward `second`, in place."""
    step = second - first
    step *= share
    first += step


def boxes_to_photo(boxes, resized_size, photo_size):
    """Scales boxes from a resized photo to the photo itself; nothing is clipped.

    Args:
        boxes: float (..., 4), xyxy, pixels of the resized photo.
        resized_size: its height and width, pixels.
        photo_size: height and width of the photo, pixels.

    Returns:
        float32 (..., 4), xyxy, pixels of the photo.
    """
    photo, resized = np.asarray([photo_size, resized_size], np.float32)
    down, across = photo / resized
    return np.asarray(boxes, np.float32) * np.array([across, down, across, down])


def points_to_photo(points, resized_size, photo_size):
    """Scales points from a resized photo to the photo itself; nothing is clipped.

    Args:
        points: float (..., 3), x, y, pixels of the resized photo, and a value that is
            not changed.
        resized_size, photo_size: as of `boxes_to_photo`.

    Returns:
        float32 (..., 3), x, y, pixels of the photo, and the value.
    """
    photo, resized = np.asarray([photo_size, resized_size], np.float32)
    down, across = photo / resized
    scale = np.array([across, down, 1], np.float32)
    return np.asarray(points, np.float32) * scale


def scaled_boxes(boxes, size, resized_size):
    """Scales boxes from an image to the same image of another size.

    Args:
        boxes: float (..., 4), xyxy, pixels of the image.
        size: height and width of the image, pixels.
        resized_size: its height and width after resizing, pixels.

    Returns:
        float32 (..., 4), xyxy, pixels of the resized image.
    """
    down, across = np.divide(resized_size, size)
    return (boxes * np.array([across, down, across, down])).astype(np.float32)


def check_sizes(**sizes) -> None:
    """Raises for sizes that are not 1 to `MAX_SIDE`; the error has their names."""
    for name, size in sizes.items():
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if not whole or not 1 <= size <= MAX_SIDE:
            raise ValueError(
                f"{name} must be an integer of pixels, 1 to {MAX_SIDE}; received "
                f"{name}={size!r}."
            )
