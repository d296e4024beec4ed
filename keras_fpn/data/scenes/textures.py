"""Backgrounds: noise, waves, tiles, bricks and blotches between two colours."""

import numpy as np

from keras_fpn.data.scenes.colors import dulled, random_color


def clouds(draws, height, width, cells=(96, 24, 6)):
    """Returns float32 (height, width) in 0..1: smooth noise of several coarsenesses."""
    field, weights = np.zeros((height, width), np.float32), 0.0
    for cell in cells:
        weight = draws.between(0.2, 1.0)
        lattice = draws.units(height // cell + 3, width // cell + 3)
        top, down = _steps(draws, height, cell)
        left, across = _steps(draws, width, cell)
        rows = _blend(lattice[top], lattice[top + 1], down[:, None])
        columns = rows.take(left, axis=1), rows.take(left + 1, axis=1)
        field += np.float32(weight) * _blend(*columns, across)
        weights += weight
    return field * np.float32(1 / weights)


def _steps(draws, length, cell):
    """Returns for each pixel its lattice place, int, and how far beyond, 0..1."""
    place = (np.arange(length) + 0.5) / cell + draws.unit()
    whole = np.floor(place)
    t = place - whole
    return whole.astype(int), (t * t * (3 - 2 * t)).astype(np.float32)


def _blend(first, second, share):
    return first + (second - first) * share


def _slanted(draws, height, width, period):
    """Returns two float32 (height, width): turned coordinates in periods."""
    cosine, sine = (part / period for part in draws.turn())
    x, y = np.arange(width) + draws.between(0, 99), np.arange(height) + 0.5
    first = (cosine * x).astype(np.float32) + (sine * y).astype(np.float32)[:, None]
    second = (-sine * x).astype(np.float32) + (cosine * y).astype(np.float32)[:, None]
    return first, second


def _waves(draws, height, width):
    """Bent stripes, as of wood, cloth or water."""
    along, _ = _slanted(draws, height, width, draws.between(7, 40))
    along = along + np.float32(draws.between(0, 5)) * clouds(draws, height, width)
    return abs(2 * (along - np.floor(along)) - 1)


def _tiles(draws, height, width):
    """A slanted checkerboard."""
    first, second = _slanted(draws, height, width, draws.between(8, 48))
    odd = (np.floor(first) + np.floor(second)).astype(np.int32) & 1
    return _blend(odd.astype(np.float32), clouds(draws, height, width), 0.4)


def _bricks(draws, height, width):
    """Rows of bricks with their joints."""
    along, rows = _slanted(draws, height, width, draws.between(10, 36))
    row = np.floor(rows)
    along = along * np.float32(0.5) + np.float32(0.5) * (row.astype(np.int32) & 1)
    joint = (along - np.floor(along) < 0.07) | (rows - row < 0.14)
    tone = clouds(draws, height, width, (32, 8))
    return np.where(joint, np.float32(0), np.float32(0.4) + np.float32(0.6) * tone)


def _blotches(draws, height, width):
    """Spots with sharp edges."""
    field = clouds(draws, height, width, (draws.whole(12, 60), draws.whole(5, 12)))
    return np.clip((field - np.float32(0.5)) * 9 + np.float32(0.5), 0, 1)


TEXTURES = (clouds, _waves, _tiles, _bricks, _blotches)


def background(draws, height, width):
    """Returns float32 (height, width, 3) in 0..255: one or two textures."""
    ground = _colored(draws, height, width)
    if draws.chance(0.6):
        cosine, sine = draws.turn()
        side = min(height, width)
        x = np.arange(width) - draws.between(0.25, 0.75) * width
        y = np.arange(height) - draws.between(0.25, 0.75) * height
        edge = (cosine * x).astype(np.float32)
        edge = edge + (sine * y).astype(np.float32)[:, None]
        bend = draws.between(0, 0.8) * side
        edge += np.float32(bend) * (clouds(draws, height, width) - np.float32(0.5))
        share = np.clip(edge, 0, 1)[:, :, None]
        ground = _blend(ground, _colored(draws, height, width), share)
    return ground


def _colored(draws, height, width):
    """Returns float32 (height, width, 3): a texture between two similar colours."""
    first = dulled(random_color(draws), draws.between(0, 0.9))
    change = draws.sign() * draws.between(15, 75)
    second = [min(max(c + change + draws.between(-30, 30), 0), 255) for c in first]
    field = draws.pick(TEXTURES)(draws, height, width)
    pixels = np.empty((height, width, 3), np.float32)
    for channel, (low, high) in enumerate(zip(first, second, strict=True)):
        pixels[:, :, channel] = field * np.float32(high - low) + np.float32(low)
    return pixels
