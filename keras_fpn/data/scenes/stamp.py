"""Draws one shape at its size, rotated and squashed, onto its own pixels."""

import dataclasses
import math

import numpy as np

_SAMPLES = ((48, 4), (144, 3))  # (size up to, samples per pixel and axis); above: 2
_LEAST_SQUASH = 0.78  # least ratio of the axes of a squashed shape


@dataclasses.dataclass(frozen=True)
class Stamp:
    """A shape on a square of pixels, all of them (side, side).

    Args:
        coverage: float32, the covered share of each pixel, 0..1.
        mask: bool, where coverage is at least 0.5.
        pattern: float32, share of the second color in what is covered; or None.
        tell: bool, pixels that must stay visible; or None.
    """

    coverage: np.ndarray
    mask: np.ndarray
    pattern: np.ndarray | None
    tell: np.ndarray | None


def draw_stamp(random, shape, size):
    """Returns a Stamp of a shape as large as a circle of `size` pixels across."""
    samples = next((n for most, n in _SAMPLES if size <= most), 2)
    half = math.ceil(size / 2) + 1
    steps = (np.arange(2 * half * samples) + 0.5) / samples - half
    across = (steps - random.between(-0.5, 0.5)) * (2 / size)
    down = (steps - random.between(-0.5, 0.5)) * (2 / size)
    cosine, sine = random.turn(shape.tilt)
    squash = 1 / random.between(_LEAST_SQUASH, 1)
    u = _plane(cosine * across, sine * down)
    v = _plane(-sine * squash * across, cosine * squash * down)
    inside = shape.inside(u, v)
    count = _per_pixel(inside, samples)
    pattern = tell = None
    if shape.pattern is not None:
        second = _per_pixel(inside & shape.pattern(u, v), samples)
        pattern = second.astype(np.float32) / np.maximum(count, 1).astype(np.float32)
    if shape.tell is not None:
        # A quarter of a pixel counts, because the smallest gaps never fill half of one.
        tell = 4 * _per_pixel(shape.tell(u, v), samples) >= samples**2
    coverage = count.astype(np.float32) / np.float32(samples**2)
    return Stamp(coverage, 2 * count >= samples**2, pattern, tell)


def _plane(across, down):
    """Returns float32 (rows, columns): the sum of one number per row and column."""
    return across.astype(np.float32) + down.astype(np.float32)[:, None]


def _per_pixel(inside, samples):
    """Returns uint8 (side, side): how many samples of each pixel are inside."""
    inside = inside.view(np.uint8)
    rows = sum(inside[i::samples] for i in range(samples))
    return sum(rows[:, i::samples] for i in range(samples))
