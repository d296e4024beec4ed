"""Backgrounds: noise, waves, tiles, bricks and blotches between two colors."""

import numpy as np

from keras_fpn.data.scenes.colors import dulled, random_color


def clouds(random, height, width, cells=(96, 24, 6)):
    """Returns float32 (height, width) in 0..1: smooth noise at several scales."""
    field, weights = np.zeros((height, width), np.float32), 0.0
    for cell in cells:
        weight = random.between(0.2, 1.0)
        lattice = random.units(height // cell + 3, width // cell + 3)
        top, down = _steps(random, height, cell)
        left, across = _steps(random, width, cell)
        rows = _blend(lattice[top], lattice[top + 1], down[:, None])
        columns = rows.take(left, axis=1), rows.take(left + 1, axis=1)
        field += np.float32(weight) * _blend(*columns, across)
        weights += weight
    return field * np.float32(1 / weights)


def _steps(random, length, cell):
    """Returns the lattice index of each pixel, int, and the offset from there, 0..1."""
    place = (np.arange(length) + 0.5) / cell + random.unit()
    whole = np.floor(place)
    t = place - whole
    return whole.astype(int), (t * t * (3 - 2 * t)).astype(np.float32)


def _blend(first, second, share):
    return first + (second - first) * share


def _slanted(random, height, width, period):
    """Returns two float32 (height, width): rotated coordinates in units of a period."""
    cosine, sine = (part / period for part in random.turn())
    x, y = np.arange(width) + random.between(0, 99), np.arange(height) + 0.5
    first = (cosine * x).astype(np.float32) + (sine * y).astype(np.float32)[:, None]
    second = (-sine * x).astype(np.float32) + (cosine * y).astype(np.float32)[:, None]
    return first, second


def _waves(random, height, width):
    """Bent stripes, as in wood, cloth or water."""
    along, _ = _slanted(random, height, width, random.between(7, 40))
    along = along + np.float32(random.between(0, 5)) * clouds(random, height, width)
    return abs(2 * (along - np.floor(along)) - 1)


def _tiles(random, height, width):
    """A slanted checkerboard."""
    first, second = _slanted(random, height, width, random.between(8, 48))
    odd = (np.floor(first) + np.floor(second)).astype(np.int32) & 1
    return _blend(odd.astype(np.float32), clouds(random, height, width), 0.4)


def _bricks(random, height, width):
    """Rows of bricks with their joints."""
    along, rows = _slanted(random, height, width, random.between(10, 36))
    row = np.floor(rows)
    along = along * np.float32(0.5) + np.float32(0.5) * (row.astype(np.int32) & 1)
    joint = (along - np.floor(along) < 0.07) | (rows - row < 0.14)
    tone = clouds(random, height, width, (32, 8))
    return np.where(joint, np.float32(0), np.float32(0.4) + np.float32(0.6) * tone)


def _blotches(random, height, width):
    """Spots with sharp edges."""
    field = clouds(random, height, width, (random.whole(12, 60), random.whole(5, 12)))
    return np.clip((field - np.float32(0.5)) * 9 + np.float32(0.5), 0, 1)


TEXTURES = (clouds, _waves, _tiles, _bricks, _blotches)


def background(random, height, width):
    """Draws one or two textures.

    Returns:
        ground: float32 (height, width, 3), 0..255.
        kinds: uint8 (height, width), indices into TEXTURES.
    """
    ground, kind = _colored(random, height, width)
    kinds = np.full((height, width), kind, np.uint8)
    if random.happens(0.6):
        cosine, sine = random.turn()
        side = min(height, width)
        x = np.arange(width) - random.between(0.25, 0.75) * width
        y = np.arange(height) - random.between(0.25, 0.75) * height
        edge = (cosine * x).astype(np.float32)
        edge = edge + (sine * y).astype(np.float32)[:, None]
        bend = random.between(0, 0.8) * side
        edge += np.float32(bend) * (clouds(random, height, width) - np.float32(0.5))
        share = np.clip(edge, 0, 1)[:, :, None]
        other, kind = _colored(random, height, width)
        ground = _blend(ground, other, share)
        kinds[edge >= np.float32(0.5)] = kind
    return ground, kinds


def _colored(random, height, width):
    """Returns float32 (height, width, 3), a texture between two similar colors; and the
    index of the texture.
    """
    first = dulled(random_color(random), random.between(0, 0.9))
    change = random.sign() * random.between(15, 75)
    second = [min(max(c + change + random.between(-30, 30), 0), 255) for c in first]
    texture = random.pick(TEXTURES)
    field = texture(random, height, width)
    pixels = np.empty((height, width, 3), np.float32)
    for channel, (low, high) in enumerate(zip(first, second, strict=True)):
        pixels[:, :, channel] = field * np.float32(high - low) + np.float32(low)
    return pixels, TEXTURES.index(texture)
