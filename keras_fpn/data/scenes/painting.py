"""Paints stamps onto a scene: color, stripes, shading, wear, shadow; then noise."""

import numpy as np

from keras_fpn.data.scenes.colors import average, color_unlike, quarters
from keras_fpn.data.scenes.textures import clouds

_SHADOW = 0.07  # offset of a shadow, as a share of the size


def paint(random, pixels, stamp, here, part):
    """Paints a stamp in colors that contrast with what is beneath.

    Args:
        random: RandomStream.
        pixels: float32 (H, W, 3), 0..255, changed in place.
        stamp: Stamp.
        here, part: slices of the pixels under it, and of it inside the scene.
    """
    window = pixels[here]
    beneath = quarters(window)
    if stamp.tell is not None:
        beneath.append(average(window[stamp.tell[part]]))
    first = color_unlike(random, beneath)
    second = first
    if stamp.pattern is not None:
        second = color_unlike(random, [*beneath, first])
    light, share = _light(random, len(stamp.mask))[part], stamp.coverage[part]
    for channel in range(3):
        value = np.float32(first[channel])
        if stamp.pattern is not None:
            change = np.float32(second[channel] - first[channel])
            value = value + stamp.pattern[part] * change
        window[:, :, channel] += share * (value * light - window[:, :, channel])


def _light(random, side):
    """Returns float32 (side, side), about 1: shading and, for every second, wear."""
    cosine, sine = random.turn()
    strength = random.between(0, 0.25)
    place = ((np.arange(side) + 0.5) / side * 2 - 1) * strength
    light = (1 + cosine * place).astype(np.float32)
    light = light + (sine * place).astype(np.float32)[:, None]
    if random.happens(0.5):
        wear = np.float32(random.between(0.1, 0.5))
        cells = max(4, side // 3), max(2, side // 12)
        light *= 1 + wear * (clouds(random, side, side, cells) - np.float32(0.5))
    return light


def shadow_place(stamp, corner, direction):
    """Returns (top, left), ints, of the shadow of a stamp at a corner."""
    away = max(1.0, _SHADOW * len(stamp.mask))
    return [round(s + away * part) for s, part in zip(corner, direction, strict=True)]


def darken(random, pixels, stamp, here, part):
    """Darkens what a stamp covers, in place; arguments as `paint`."""
    strength = np.float32(random.between(0.25, 0.5))
    pixels[here] *= (1 - strength * stamp.coverage[part])[:, :, None]


def photographed(random, pixels):
    """Returns uint8 (H, W, 3): the pixels under slanting light, with noise."""
    height, width = pixels.shape[:2]
    cosine, sine = random.turn()
    strength = random.between(0, 0.3)
    x = cosine * strength * ((np.arange(width) + 0.5) / width * 2 - 1)
    y = sine * strength * ((np.arange(height) + 0.5) / height * 2 - 1)
    light = x.astype(np.float32) + (y + 1).astype(np.float32)[:, None]
    noise = np.float32(random.between(2, 24)) * random.grain(height, width)
    noise += pixels * light[:, :, None]
    return np.clip(np.floor(noise), 0, 255).astype(np.uint8)
