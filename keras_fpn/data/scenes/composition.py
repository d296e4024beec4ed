"""Puts a scene together: a ground, then objects and clutter over each other."""

import dataclasses

import numpy as np

from keras_fpn.data.scenes.clutter import CLUTTER
from keras_fpn.data.scenes.draws import Draws
from keras_fpn.data.scenes.painting import darken, paint, photographed, shadow_place
from keras_fpn.data.scenes.shapes import SHAPES
from keras_fpn.data.scenes.stamp import draw_stamp
from keras_fpn.data.scenes.textures import background
from keras_fpn.data.scenes.visibility import Visibility

_VISIBLE = 0.5  # least share of an object that others and the border leave,
_TINY, _TINY_VISIBLE = 20, 0.8  # and of those up to a size in pixels
_TELL_VISIBLE = 0.75  # of the part that its class is known by
_TRIES = 6  # places tried for one thing before it is left out
_LARGEST = 0.4, 0.9  # the largest object, of the scene's shorter side
_CLUTTER = 4, 0.8  # pieces of it in any scene, and for each object


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """A finished scene of G objects, each seen somewhere.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        labels: tuple of G ints, places in SHAPES.
        owner: int16 (H, W), the row of the object seen there, -1 for none.
    """

    pixels: np.ndarray
    labels: tuple[int, ...]
    owner: np.ndarray


def compose(seed, index, size, objects, sides):
    """Returns a Drawn scene; see `Recipe` for the arguments."""
    draws = Draws(seed, index)
    pixels = background(draws, *size)
    visibility = Visibility(size, _TELL_VISIBLE)
    light = draws.turn()
    labels = []
    for extent, label in _things(draws, objects, sides, min(size)):
        shape = draws.pick(CLUTTER) if label is None else SHAPES[label]
        stamp = draw_stamp(draws, shape, extent)
        corner = _free_corner(draws, visibility, stamp, extent, label is not None)
        if corner is None:
            continue
        if draws.chance(0.5):
            fallen = shadow_place(stamp, corner, light)
            darken(draws, pixels, stamp, *_overlap(stamp, fallen, size))
        paint(draws, pixels, stamp, *_overlap(stamp, corner, size))
        labels += [] if label is None else [label]
    return Drawn(photographed(draws, pixels), tuple(labels), visibility.owner)


def _things(draws, objects, sides, shorter):
    """Returns a list of (extent in pixels, label or None), the hindmost first.

    The objects' sizes are spread over all octaves, so that a scene has small and large
    ones, somewhat more of the small. Larger things tend to lie behind.
    """
    count = draws.whole(*objects)
    smallest, largest = sides
    if largest is None:
        largest = max(smallest, draws.between(*_LARGEST) * shorter)
    things = []
    for i in range(count):
        share = (i + draws.unit()) / count
        share *= 0.75 + 0.25 * share
        label = draws.whole(0, len(SHAPES) - 1)
        things.append((_between_octaves(smallest, largest, share), label))
    always, for_each = _CLUTTER
    for _ in range(round(always + for_each * count)):
        most = max(smallest, _LARGEST[0] * shorter)
        things.append((_between_octaves(smallest, most, draws.unit()), None))
    depths = [extent * draws.between(0.5, 1) for extent, _ in things]
    order = sorted(range(len(things)), key=lambda i: -depths[i])
    return [things[i] for i in order]


def _between_octaves(low, high, share):
    """Returns a size in low..high, each doubling about as likely; share is 0..1.

    As a logarithm would have it, but in arithmetic that rounds alike everywhere.
    """
    octaves, top = 0, low
    while 2 * top <= high:
        octaves, top = octaves + 1, 2 * top
    place = share * (octaves + (high - top) / top)
    whole = int(place)
    return min(low * 2**whole * (1 + place - whole), high)


def _free_corner(draws, visibility, stamp, extent, is_object):
    """Returns (top, left) where a stamp was put without hiding much, or None."""
    size = visibility.owner.shape
    least = _TINY_VISIBLE if extent <= _TINY else _VISIBLE
    for _ in range(_TRIES):
        corner = []
        for side in size:
            border = 0.4 * min(extent, side)
            middle = draws.between(border, side - border)
            corner.append(round(middle) - len(stamp.mask) // 2)
        here, part = _overlap(stamp, corner, size)
        if visibility.put(stamp, here, part, least, is_object):
            return corner
    return None


def _overlap(stamp, corner, size):
    """Returns the slices of a scene under a stamp, and of the stamp inside it."""
    here, part = [], []
    for start, side in zip(corner, size, strict=True):
        first, last = max(start, 0), max(min(start + len(stamp.mask), side), 0)
        here.append(slice(first, last))
        part.append(slice(first - start, max(last - start, first - start)))
    return tuple(here), tuple(part)
