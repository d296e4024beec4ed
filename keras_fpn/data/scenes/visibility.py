"""Tracks the visible part of each object, so that none is hidden too much."""

import numpy as np


class Visibility:
    """Which object is visible at each pixel, and how much more of each may be hidden.

    Args:
        size: height and width of the scene, pixels.
        tell_visible: float, 0..1, least share of a tell that must stay visible.

    Attributes:
        owner: int16 (H, W), the row of the object visible there, -1 for none.
    """

    def __init__(self, size, tell_visible):
        self._bodies, self._tells = _Layer(size), _Layer(size)
        self._tell_visible = tell_visible

    @property
    def owner(self):
        return self._bodies.owner

    def put(self, stamp, here, part, least, is_object):
        """Puts a stamp on top, unless that would hide too much.

        Args:
            stamp: Stamp.
            here, part: slices of the scene under it, and of it inside the scene.
            least: float, 0..1, share of its own mask that must be visible.
            is_object: bool, False for clutter, which hides objects and has no row.

        Returns:
            bool, whether it was put on top.
        """
        mask = stamp.mask[part]
        spare = np.count_nonzero(mask) - _needed(stamp.mask, least)
        told = tell_spare = None
        if stamp.tell is not None:
            told = stamp.tell[part]
            needed = _needed(stamp.tell, self._tell_visible)
            tell_spare = np.count_nonzero(told) - needed
        if spare < 0 or (tell_spare is not None and tell_spare < 0):
            return False
        layers = (self._bodies, self._tells)
        if not all(layer.may_lose(here, mask) for layer in layers):
            return False
        for layer in layers:
            layer.hide(here, mask)
        if is_object:
            self._bodies.own(here, mask, spare)
            self._tells.own(here, told, tell_spare)
        return True


def _needed(pixels, share):
    """Returns the number of pixels that make up a share of some, rounded up."""
    return -int(-share * np.count_nonzero(pixels) // 1)


class _Layer:
    """Owners of pixels, and how many pixels each may lose."""

    def __init__(self, size):
        self.owner = np.full(size, -1, np.int16)
        self._spare = np.zeros(0, np.int64)

    def may_lose(self, here, mask):
        return (self._lost(here, mask) <= self._spare).all()

    def hide(self, here, mask):
        self._spare -= self._lost(here, mask)
        self.owner[here][mask] = -1

    def own(self, here, mask, spare):
        """Gives pixels to the next row; None for a row that owns nothing."""
        if mask is not None:
            self.owner[here][mask] = len(self._spare)
        self._spare = np.append(self._spare, spare or 0)

    def _lost(self, here, mask):
        """Returns int (rows,): how many pixels of each a mask covers."""
        owners = self.owner[here][mask] + 1
        return np.bincount(owners, minlength=len(self._spare) + 1)[1:]
