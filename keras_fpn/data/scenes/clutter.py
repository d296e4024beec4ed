"""Shapes that belong to no class but share features with them."""

import numpy as np

from keras_fpn.data.scenes.shapes import Shape, bands, disk


def box(u, v):
    """Returns bool: a square."""
    return np.maximum(abs(u), abs(v)) <= np.float32(0.7)


def frame(u, v):
    """Returns bool: the rim of a square."""
    side = np.maximum(abs(u), abs(v))
    return (side <= np.float32(0.7)) & (side >= np.float32(0.4))


def bar(u, v):
    """Returns bool: a long stick."""
    return (abs(u) <= np.float32(0.97)) & (abs(v) <= np.float32(0.12))


def triangle(u, v):
    """Returns bool: three equal sides."""
    return (v <= np.float32(0.5)) & (abs(u) <= (v + 1) * np.float32(0.57735))


def half_disk(u, v):
    """Returns bool: one half of the circle."""
    return disk(u, v) & (v >= 0)


def zigzag(u, v):
    """Returns bool: a folded ribbon."""
    wave = abs(2 * (u * np.float32(1.5) - np.floor(u * np.float32(1.5))) - 1)
    middle = (wave - np.float32(0.5)) * np.float32(0.6)
    return (abs(u) <= np.float32(0.88)) & (abs(v - middle) <= np.float32(0.15))


def clover(u, v):
    """Returns bool: three rounded leaves."""
    cube = u * u * u - 3 * u * v * v
    return u * u + v * v <= np.float32(0.45) + np.float32(0.5) * cube


def corner(u, v):
    """Returns bool: two bars at a right angle."""
    near, far = np.minimum(u, v), np.maximum(u, v)
    stroke = (near <= np.float32(-0.3)) & (near >= np.float32(-0.65))
    return stroke & (far <= np.float32(0.65))


CLUTTER = (
    Shape("box", box),
    Shape("striped box", box, pattern=bands),
    Shape("frame", frame),
    Shape("bar", bar),
    Shape("triangle", triangle),
    Shape("half disk", half_disk),
    Shape("zigzag", zigzag),
    Shape("clover", clover),
    Shape("corner", corner),
)
