"""Assigns objects to the windows of segmentation proposals, by scale and center."""

import math

from keras import ops

from keras_fpn.boxes import box_areas, box_sides, intersections
from keras_fpn.layers.segment_detections import all_windows, centered_inside
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE

_EQUAL = 1e-4  # octaves; two scales that an object is equally far from


def match_segments(windows, padding: float, truth, image_sizes):
    """Matches windows with the objects of their scale that are centered near them.

    An object, whose scale is the longer side of its box, belongs to the windows for the
    nearest scale in log space (to both, if it is halfway between two). Of these, the
    ones on a level of stride 2^l whose center is at most 2^l pixels from the object's,
    in x and in y, are positive; one that is near several objects matches the nearest.
    All others are negative, except windows centered in the padding, those near
    objects without a mask, and those whose objects would be at least half inside a
    crowd region, which are ignored.

    The loop compares one object at a time, as that of `keras_fpn.matcher`.

    Source: Lin et al. 2017 (arXiv:1612.03144), Appendix A, which says nothing of
    several objects, crowds or padding.

    Args:
        windows: dict "P<l>" -> float32 (N_l, 4), xyxy, input-image pixels.
        padding: float, side of a window relative to that of its objects.
        truth: `GroundTruth` with masks.
        image_sizes: float (B, 2), height and width without the padding, pixels.

    Returns:
        labels: int32 (B, N), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, N), 0..G-1, index of the matched object.
    """
    boxes = all_windows(windows)
    x, y = _centers(boxes)
    sides = box_sides(boxes)[0] / padding
    octaves = _octaves(sides)
    reach = ops.concatenate(
        [
            ops.full(ops.shape(windows[name])[:1], 2.0 ** level_number(name))
            for name in ordered_names(windows)
        ],
        axis=0,
    )
    half = ops.stack([-sides, -sides, sides, sides], axis=-1) / 2
    squares = ops.stack([x, y, x, y], axis=-1) + half  # what their objects fill
    inside = centered_inside(boxes, image_sizes)
    has_mask = ops.any(ops.cast(truth.masks, "bool"), axis=(2, 3))
    targets = ops.logical_and(truth.objects, has_mask)
    crowds = ops.logical_and(truth.valid, truth.is_crowd)

    def compare(index, nearest, matches, ignored):
        def of_this(values):
            return ops.take(values, index, axis=1)[:, None]

        box = of_this(truth.boxes)  # (B, 1, 4)
        scale = _octaves(ops.max(ops.stack(box_sides(box)), axis=0))
        apart = ops.abs(octaves - scale)
        of_scale = apart <= ops.min(apart, axis=1, keepdims=True) + _EQUAL
        center_x, center_y = _centers(box)
        dx, dy = ops.abs(x - center_x), ops.abs(y - center_y)
        near = ops.logical_and(of_scale, ops.maximum(dx, dy) <= reach)
        target = of_this(targets)
        distance = ops.where(near, dx * dx + dy * dy, math.inf)
        closer = ops.logical_and(target, distance < nearest)
        half_in = intersections(box, squares) >= 0.5 * box_areas(squares)
        without = ops.logical_and(
            near, ops.logical_and(of_this(truth.objects), ~target)
        )
        in_crowd = ops.logical_and(half_in, of_this(crowds))
        nearest = ops.where(closer, distance, nearest)
        matches = ops.where(closer, index, matches)
        ignored = ops.logical_or(ignored, ops.logical_or(without, in_crowd))
        return index + 1, nearest, matches, ignored

    shape = ops.shape(truth.labels)[0], ops.shape(boxes)[0]
    start = (
        0,
        ops.full(shape, math.inf, "float32"),
        ops.zeros(shape, "int32"),
        ops.zeros(shape, "bool"),
    )
    counts = ops.arange(1, ops.shape(truth.valid)[1] + 1)
    last = ops.max(ops.where(truth.valid, counts, 0), initial=0)
    _, nearest, matches, ignored = ops.while_loop(
        lambda index, *_: index < last, compare, start
    )
    labels = ops.where(ignored, IGNORED, NEGATIVE)
    labels = ops.where(nearest < math.inf, POSITIVE, labels)
    return ops.cast(ops.where(inside, labels, IGNORED), "int32"), matches


def _centers(boxes):
    """Returns x and y of the centers of boxes, each float (...)."""
    corners = (boxes[..., :2] + boxes[..., 2:]) / 2
    return corners[..., 0], corners[..., 1]


def _octaves(sides):
    """Returns the binary logarithm of sides, float (...); finite for empty boxes."""
    return ops.log(ops.maximum(sides, 1e-3)) / math.log(2)
