"""Polygons cut off where no photo is: C code takes time and memory for all of them."""

import numpy as np


def clip_polygon(points, low, high):
    """Returns what of a polygon is inside a rectangle; of a line, that part of it.

    A polygon that falls into several parts has edges there and back between them, along
    the rectangle's border: they enclose nothing.

    Source: Sutherland and Hodgman 1974, Reentrant polygon clipping: it is cut by the
    rectangle's sides one after the other.

    Args:
        points: float (n, 2), x, y, finite, n of at least 1; the last is joined to the
            first.
        low, high: pairs of float, the rectangle's corners, low < high.

    Returns:
        float (m, 2), x, y; the very points if all are inside, none if nothing is.
    """
    for axis in (0, 1):
        points = _cut(points, axis, 1.0, low[axis])
        points = _cut(points, axis, -1.0, -high[axis])
    return points


def _cut(points, axis, sign, bound):
    """Returns what of a polygon has sign * points[axis] >= bound."""
    depths = sign * points[:, axis] - bound
    inside = depths >= 0
    if inside.all():
        return points
    ends, end_depths = np.roll(points, -1, axis=0), np.roll(depths, -1)
    crosses = inside != (end_depths >= 0)
    shares = np.zeros(len(points))
    np.divide(depths, depths - end_depths, out=shares, where=crosses)
    meetings = points + shares[:, None] * (ends - points)
    meetings[:, axis] = sign * bound
    # After each point the one where its edge meets the border, if they are there.
    both = np.stack([points, meetings], axis=1)
    return both[np.column_stack([inside, crosses])]


def outline_length(points):
    """Returns how long a polygon's outline is, float, in steps of pixels."""
    steps = np.abs(np.roll(points, -1, axis=0) - points)
    return float(steps.max(axis=1).sum()) if len(points) else 0.0
