"""Colors: independent of the class, but visible against what is beneath."""

import numpy as np

_ENOUGH = 60  # of 0..255, difference in brightness that is enough
_TRIES = 12  # colors tried to get it
_PROBES = 16  # pixels per axis that are compared with


def random_color(random):
    """Returns a color, 3 floats in 0..255."""
    return [random.between(0, 255) for _ in range(3)]


def dulled(color, share):
    """Returns a color moved toward the gray of equal brightness."""
    gray = brightness(color)
    return [channel + share * (gray - channel) for channel in color]


def brightness(color):
    """Returns how bright a color looks, 0..255 (BT.601)."""
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue


def color_unlike(random, others):
    """Returns a color, 3 floats in 0..255, that differs in brightness from others."""
    best, distance = None, -1.0
    for _ in range(_TRIES):
        color = random_color(random)
        found = min(abs(brightness(color) - brightness(other)) for other in others)
        if found > distance:
            best, distance = color, found
        if distance >= _ENOUGH:
            break
    return best


def average(pixels):
    """Returns the color of float (..., 3) pixels, by exact integer sums."""
    pixels = pixels.reshape(-1, 3)
    sums = pixels.astype(np.int64).sum(axis=0).tolist()
    return [channel / len(pixels) for channel in sums]


def quarters(pixels):
    """Returns the colors, up to 4, of the quarters of float (h, w, 3) pixels."""
    step = max(1, max(pixels.shape[:2]) // _PROBES)
    pixels = pixels[::step, ::step]
    rows, columns = (-(-side // 2) for side in pixels.shape[:2])
    parts = [
        pixels[top : top + rows, left : left + columns]
        for top in (0, rows)
        for left in (0, columns)
    ]
    return [average(part) for part in parts if part.size]
