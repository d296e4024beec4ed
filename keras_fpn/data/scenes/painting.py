"""Paints stamps onto a scene: colour, stripes, shading, wear, shadow; then noise."""

import numpy as np

from keras_fpn.data.scenes.colors import average, color_unlike, quarters
from keras_fpn.data.scenes.textures import clouds

_SHADOW = 0.07  # how far a shadow falls, of what casts it


def paint(draws, pixels, stamp, here, part):
    """Paints a stamp in colours that differ from what is beneath.

    Args:
        draws: Draws.
        pixels: float32 (H, W, 3), 0..255, changed in place.
        stamp: Stamp.
        here, part: slices of the pixels under it, and of it inside the scene.
    """
    window = pixels[here]
    beneath = quarters(window)
    if stamp.tell is not None:
        beneath.append(average(window[stamp.tell[part]]))
    first = color_unlike(draws, beneath)
    second = first
    if stamp.pattern is not None:
        second = color_unlike(draws, [*beneath, first])
    light, share = _light(draws, len(stamp.mask))[part], stamp.coverage[part]
    for channel in range(3):
        value = np.float32(first[channel])
        if stamp.pattern is not None:
            change = np.float32(second[channel] - first[channel])
            value = value + stamp.pattern[part] * change
        window[:, :, channel] += share * (value * light - window[:, :, channel])


def _light(draws, side):
    """Returns float32 (side, side), about 1: shading and, for half of them, wear."""
    cosine, sine = draws.turn()
    strength = draws.between(0, 0.25)
    place = ((np.arange(side) + 0.5) / side * 2 - 1) * strength
    light = (1 + cosine * place).astype(np.float32)
    light = light + (sine * place).astype(np.float32)[:, None]
    if draws.chance(0.5):
        wear = np.float32(draws.between(0.1, 0.5))
        cells = max(4, side // 3), max(2, side // 12)
        light *= 1 + wear * (clouds(draws, side, side, cells) - np.float32(0.5))
    return light


def shadow_place(stamp, corner, direction):
    """Returns the shadow's (top, left), ints, of a stamp that stands at a corner."""
    away = max(1.0, _SHADOW * len(stamp.mask))
    return [round(s + away * part) for s, part in zip(corner, direction, strict=True)]


def darken(draws, pixels, stamp, here, part):
    """Darkens what a stamp covers, in place; arguments as `paint`."""
    strength = np.float32(draws.between(0.25, 0.5))
    pixels[here] *= (1 - strength * stamp.coverage[part])[:, :, None]


def photographed(draws, pixels):
    """Returns uint8 (H, W, 3): float32 pixels under a slanting light, with noise."""
    height, width = pixels.shape[:2]
    cosine, sine = draws.turn()
    strength = draws.between(0, 0.3)
    x = cosine * strength * ((np.arange(width) + 0.5) / width * 2 - 1)
    y = sine * strength * ((np.arange(height) + 0.5) / height * 2 - 1)
    light = x.astype(np.float32) + (y + 1).astype(np.float32)[:, None]
    noise = np.float32(draws.between(2, 24)) * draws.grain(height, width)
    noise += pixels * light[:, :, None]
    return np.clip(np.floor(noise), 0, 255).astype(np.uint8)
