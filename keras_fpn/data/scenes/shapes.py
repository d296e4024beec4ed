"""The eight classes: four pairs, the two of a pair differ only in a detail.

A shape is a function of u (to the right) and v (downward), float32 arrays that
broadcast with each other, in a circle of radius 1. Only +, -, *, / and comparisons are
used: unlike sines, they round alike on every machine.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

_STROKE = 0.4  # of a ring
_GAP = 0.6  # in an open ring
_BANDS = 5  # across a striped disk
_TILT = 0.24  # tangent of half of 27 degrees: arrows still point up or down


@dataclasses.dataclass(frozen=True)
class Shape:
    """One kind of thing to draw.

    Args:
        name: str.
        inside: (u, v) -> bool, the area that it covers.
        pattern: (u, v) -> bool, the area of its second color; None for one color.
        tell: (u, v) -> bool, the area that must stay visible, because without it the
            shape looks like another class; None if any half of it is enough.
        tilt: float, limit of its rotation, see `RandomStream.turn`; None for any.
    """

    name: str
    inside: Callable
    pattern: Callable | None = None
    tell: Callable | None = None
    tilt: float | None = None


def disk(u, v):
    """Returns bool: the circle of radius 1."""
    return u * u + v * v <= 1


def bands(u, v):
    """Returns bool: the second and the fourth of the bands along v."""
    band = np.floor((u + 1) * np.float32(_BANDS / 2))
    return ((band == 1) | (band == 3)) & (v == v)  # broadcast to the shape of both


def ring(u, v):
    """Returns bool: the outer part of the circle."""
    square = u * u + v * v
    return (square <= 1) & (square >= np.float32((1 - _STROKE) * (1 - _STROKE)))


def gap(u, v):
    """Returns bool: a straight cut through the ring."""
    return (abs(v) <= np.float32(_GAP / 2)) & (u > 0) & ring(u, v)


def open_ring(u, v):
    """Returns bool: a ring with its gap."""
    return ring(u, v) & ~gap(u, v)


def gear(teeth):
    """Returns the function of a gear with 6 or 12 teeth and a hole."""

    def inside(u, v):
        square = u * u + v * v
        body = (square <= np.float32(0.49)) & (square >= np.float32(0.09))
        rim = (square <= 1) & (square > np.float32(0.4))
        return body | (rim & _waves(u, v, teeth))

    return inside


def _waves(u, v, count):
    """Returns bool: where the cosine of count times the angle is above zero.

    That cosine has the sign of the real part of (u + iv) ** count.
    """
    u, v = u * u - v * v, 2 * u * v  # (u + iv) squared,
    second = u, v
    u, v = u * u - v * v, 2 * u * v  # to the 4th,
    u, v = u * second[0] - v * second[1], u * second[1] + v * second[0]  # to the 6th
    return u > 0 if count == 6 else u * u > v * v


def head_up(u, v):
    """Returns bool: a triangle that points up."""
    return (v <= 0) & (abs(u) <= np.float32(0.8) * (v + 1))


def arrow_up(u, v):
    """Returns bool: that triangle on a shaft."""
    shaft = (v > 0) & (v <= np.float32(0.93)) & (abs(u) <= np.float32(0.3))
    return head_up(u, v) | shaft


def head_down(u, v):
    """Returns bool: a triangle that points down."""
    return head_up(u, -v)


def arrow_down(u, v):
    """Returns bool: the arrow upside down."""
    return arrow_up(u, -v)


SHAPES = (
    Shape("disk", disk),
    Shape("striped disk", disk, pattern=bands),
    Shape("ring", ring),
    Shape("open ring", open_ring, tell=gap),
    Shape("6-tooth gear", gear(6)),
    Shape("12-tooth gear", gear(12)),
    Shape("arrow up", arrow_up, tell=head_up, tilt=_TILT),
    Shape("arrow down", arrow_down, tell=head_down, tilt=_TILT),
)
