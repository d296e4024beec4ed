"""The settings of a scene."""

import dataclasses
import math
import numbers

import numpy as np

from keras_fpn.data.scenes.composition import compose
from keras_fpn.data.scenes.shapes import SHAPES

CLASS_NAMES = tuple(shape.name for shape in SHAPES)
# In the order of `Drawn.stuff`: what backgrounds are made of, and what lies on them.
STUFF_NAMES = ("clouds", "waves", "tiles", "bricks", "blotches", "clutter")
_LEAST_SIZE = 32  # of a scene, pixels
_LEAST_SIDE = 6  # of an object: the stroke of a ring is then a pixel wide


@dataclasses.dataclass(frozen=True)
class SceneSettings:
    """Everything that a scene depends on.

    Args:
        seed: int, 0 or more; scenes of different seeds are unrelated.
        index: int, 0 or more, of the scene.
        size: height and width, int pixels, at least 32.
        objects: fewest and most objects to place, ints, 0 or more; those for which
            there is no room are left out.
        sides: extents of the smallest and the largest object, pixels, at least 6. If
            the latter is None, it is random for each scene, 0.4 to 0.9 of its shorter
            side.

    Raises:
        ValueError: an argument is out of its range.
    """

    seed: int
    index: int
    size: tuple[int, int] = (320, 320)
    objects: tuple[int, int] = (8, 16)
    sides: tuple[float, float | None] = (8, None)

    def __post_init__(self):
        for name in ("size", "objects", "sides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("seed", "index"):
            if not _whole([getattr(self, name)], 0):
                raise ValueError(
                    f"A scene's {name} must be an integer of 0 or more; received "
                    f"{name}={getattr(self, name)!r}."
                )
        if len(self.size) != 2 or not _whole(self.size, _LEAST_SIZE):
            raise ValueError(
                f"A scene's size must be its height and width, at least "
                f"{_LEAST_SIZE} pixels; received size={self.size}."
            )
        wrong = len(self.objects) != 2 or not _whole(self.objects, 0)
        if wrong or not _rising(self.objects):
            raise ValueError(
                "A scene's objects must be the fewest and the most, integers of "
                f"0 or more; received objects={self.objects}."
            )
        shorter = min(self.size)
        sides = self.sides
        if len(sides) == 2 and sides[1] is None:
            sides = sides[0], shorter
        bounds = (_LEAST_SIDE, *sides, shorter)
        if len(sides) != 2 or not all(map(_number, bounds)) or not _rising(bounds):
            raise ValueError(
                "A scene's sides must be the extents of its smallest and largest one, "
                f"{_LEAST_SIDE} to {shorter} pixels, the shorter side of the scene; "
                f"received sides={self.sides}."
            )

    @property
    def image_id(self):
        """Returns the id of the scene in a data set, counted from 1."""
        return self.index + 1

    def draw(self):
        """Returns the scene as `Drawn`: pixels, labels and owners of pixels."""
        seed, index = int(self.seed), int(self.index)
        return compose(seed, index, self.size, self.objects, self.sides)


def _number(value):
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _whole(values, least):
    """Returns whether all values are ints, not bools, and large enough."""
    kinds = (int, np.integer)
    return all(
        isinstance(v, kinds) and not isinstance(v, bool) and v >= least for v in values
    )


def _rising(values):
    return list(values) == sorted(values)
