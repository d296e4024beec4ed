"""Clips polygons to the photo, because C code spends time and memory on the rest."""

import numpy as np


def clip_polygon(points, low, high):
    """Returns the part of a polygon, or of a line, that is inside a rectangle.

    If it falls into several parts, they are joined by edges there and back along the
    border of the rectangle, which enclose nothing.

    Source: Sutherland and Hodgman 1974, Reentrant polygon clipping: it is cut by the
    sides of the rectangle one after the other.

    Args:
        points: float (n, 2), x, y, finite, n of at least 1; the last is joined to the
            first.
        low, high: pairs of float, the corners of the rectangle, low < high.

    Returns:
        float (m, 2), x, y; `points` itself if all are inside, empty if nothing is.
    """
    for axis in (0, 1):
        points = _cut(points, axis, 1.0, low[axis])
        points = _cut(points, axis, -1.0, -high[axis])
    return points


def _cut(points, axis, sign, bound):
    """Returns the part of a polygon with sign * points[axis] >= bound."""
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
    # After each point inside comes the one where its edge crosses the border.
    both = np.stack([points, meetings], axis=1)
    return both[np.column_stack([inside, crosses])]


def outline_length(points):
    """Returns the length of the outline of a polygon, float, in pixel steps."""
    steps = np.abs(np.roll(points, -1, axis=0) - points)
    return float(steps.max(axis=1).sum()) if len(points) else 0.0
