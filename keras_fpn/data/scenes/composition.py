"""Composes a scene: a background, then objects and clutter on top of each other."""

import dataclasses

import numpy as np

from keras_fpn.data.scenes.clutter import CLUTTER
from keras_fpn.data.scenes.painting import darken, paint, photographed, shadow_place
from keras_fpn.data.scenes.random_stream import RandomStream
from keras_fpn.data.scenes.shapes import SHAPES
from keras_fpn.data.scenes.stamp import draw_stamp
from keras_fpn.data.scenes.textures import TEXTURES, background
from keras_fpn.data.scenes.visibility import Visibility

_VISIBLE = 0.5  # least visible share of an object,
_TINY, _TINY_VISIBLE = 20, 0.8  # and of objects up to a size in pixels
_TELL_VISIBLE = 0.75  # of the part that identifies the class
_TRIES = 6  # positions tried for one thing before it is left out
_LARGEST = 0.4, 0.9  # largest object, as a share of the shorter side
_CLUTTER = 4, 0.8  # pieces per scene, and further ones per object


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """A finished scene of G objects, each at least partly visible.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        labels: tuple of G ints, indices into SHAPES.
        owner: int16 (H, W), the row of the object visible there, -1 for none.
        stuff: uint8 (H, W), index of the texture there, or len(TEXTURES) for clutter;
            where there is no object.
    """

    pixels: np.ndarray
    labels: tuple[int, ...]
    owner: np.ndarray
    stuff: np.ndarray


def compose(seed, index, size, objects, sides):
    """Returns a Drawn scene; see `SceneSettings` for the arguments."""
    random = RandomStream(seed, index)
    pixels, stuff = background(random, *size)
    visibility = Visibility(size, _TELL_VISIBLE)
    light = random.turn()
    labels = []
    for extent, label in _things(random, objects, sides, min(size)):
        shape = random.pick(CLUTTER) if label is None else SHAPES[label]
        stamp = draw_stamp(random, shape, extent)
        corner = _free_corner(random, visibility, stamp, extent, label is not None)
        if corner is None:
            continue
        if random.happens(0.5):
            fallen = shadow_place(stamp, corner, light)
            darken(random, pixels, stamp, *_overlap(stamp, fallen, size))
        here, part = _overlap(stamp, corner, size)
        paint(random, pixels, stamp, here, part)
        if label is None:
            stuff[here][stamp.mask[part]] = len(TEXTURES)
        else:
            labels.append(label)
    pixels = photographed(random, pixels)
    return Drawn(pixels, tuple(labels), visibility.owner, stuff)


def _things(random, objects, sides, shorter):
    """Returns a list of (extent in pixels, label or None), from back to front.

    The sizes of objects are spread over all octaves, so that a scene has small and
    large ones, slightly more small ones. Larger things tend to be behind.
    """
    count = random.whole(*objects)
    smallest, largest = sides
    if largest is None:
        largest = max(smallest, random.between(*_LARGEST) * shorter)
    things = []
    for i in range(count):
        share = (i + random.unit()) / count
        share *= 0.75 + 0.25 * share
        label = random.whole(0, len(SHAPES) - 1)
        things.append((_between_octaves(smallest, largest, share), label))
    always, for_each = _CLUTTER
    for _ in range(round(always + for_each * count)):
        most = max(smallest, _LARGEST[0] * shorter)
        things.append((_between_octaves(smallest, most, random.unit()), None))
    depths = [extent * random.between(0.5, 1) for extent, _ in things]
    order = sorted(range(len(things)), key=lambda i: -depths[i])
    return [things[i] for i in order]


def _between_octaves(low, high, share):
    """Returns a size in low..high, about log-uniform in share, 0..1.

    Without logarithms, whose rounding depends on the machine.
    """
    octaves, top = 0, low
    while 2 * top <= high:
        octaves, top = octaves + 1, 2 * top
    place = share * (octaves + (high - top) / top)
    whole = int(place)
    return min(low * 2**whole * (1 + place - whole), high)


def _free_corner(random, visibility, stamp, extent, is_object):
    """Returns (top, left) where a stamp fits without hiding much, or None."""
    size = visibility.owner.shape
    least = _TINY_VISIBLE if extent <= _TINY else _VISIBLE
    for _ in range(_TRIES):
        corner = []
        for side in size:
            border = 0.4 * min(extent, side)
            middle = random.between(border, side - border)
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
