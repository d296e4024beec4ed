"""Assigns the points of a pyramid to objects by place and size, as FCOS does."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.boxes import box_areas, box_sides
from keras_fpn.config import Config
from keras_fpn.levels import ordered_names
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.point_coder import centers, side_distances

_FARTHEST = (4.0, 8.0)  # largest distance to a side on a level, in strides


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class PointMatch(Config):
    """Assigns a point to the smallest of the boxes that it belongs to.

    A point belongs to a box if it is inside, less than `radius` strides from the center
    in x and in y, and if the largest of its distances to the four sides is between 4
    and 8 strides of its level; the finest level has no lower and the coarsest no upper
    limit. All limits are strict. Points of crowd regions and of no other box are
    ignored.

    Source: Tian et al. 2019 (arXiv:1904.01355), Sec. 3.2, with the sampling around
    centers that was added later; numbers as in torchvision.

    Args:
        radius: float > 0, strides.

    Call arguments:
        anchors: dict "P<l>" -> float32 (N_l, 4), xyxy, pixels. A point is the center of
            an anchor, whose width is the stride.
        truth: `keras_fpn.models.GroundTruth`.

    Returns:
        labels: int32 (B, N), POSITIVE, NEGATIVE or IGNORED, finest level first.
        matches: int32 (B, N), 0..G-1, index of the box of a positive point.

    Raises:
        ValueError: `radius` is not above 0.
    """

    radius: float = 1.5

    def __post_init__(self):
        if self.radius <= 0:
            raise ValueError(f"radius must be above 0; received radius={self.radius}.")

    def __call__(self, anchors, truth):
        points, limits = _points_and_limits(anchors)
        smallest, matches, in_crowd = self._compared(points, limits, truth)
        labels = ops.where(in_crowd, IGNORED, NEGATIVE)
        labels = ops.where(smallest < float("inf"), POSITIVE, labels)
        return ops.cast(labels, "int32"), matches

    def _compared(self, points, limits, truth):
        """Compares every point with every box, one box at a time to save memory.

        Args:
            points: float32 (1, N, 4), the anchors of all levels.
            limits: pair of float32 (1, N), of the largest distance, pixels.
            truth: `GroundTruth`.

        Returns:
            smallest: float32 (B, N), area of the smallest box, infinite without one.
            matches: int32 (B, N), its index.
            in_crowd: bool (B, N), whether the point is in a crowd region.
        """
        strides, _ = box_sides(points)
        x, y = centers(points)
        crowds = ops.logical_and(truth.valid, truth.is_crowd)

        def compare(index, smallest, matches, in_crowd):
            def of_this(values):
                return ops.take(values, index, axis=1)[:, None]

            box = of_this(truth.boxes)
            distances = side_distances(points, box)
            inside = ops.min(distances, axis=-1) > 0
            center_x, center_y = centers(box)
            off = ops.maximum(ops.abs(x - center_x), ops.abs(y - center_y))
            farthest = ops.max(distances, axis=-1)
            belongs = inside
            for condition in (
                off < self.radius * strides,
                farthest > limits[0],
                farthest < limits[1],
                of_this(truth.objects),
            ):
                belongs = ops.logical_and(belongs, condition)
            area = box_areas(box)
            # Among equal areas, the first box wins.
            better = ops.logical_and(belongs, area < smallest)
            smallest = ops.where(better, area, smallest)
            matches = ops.where(better, index, matches)
            crowd = ops.logical_and(inside, of_this(crowds))
            return index + 1, smallest, matches, ops.logical_or(in_crowd, crowd)

        shape = ops.shape(truth.labels)[0], ops.shape(points)[1]
        start = (
            0,
            ops.full(shape, float("inf"), "float32"),
            ops.zeros(shape, "int32"),
            ops.zeros(shape, "bool"),
        )
        counts = ops.arange(1, ops.shape(truth.valid)[1] + 1)
        last = ops.max(ops.where(truth.valid, counts, 0), initial=0)
        return ops.while_loop(lambda index, *_: index < last, compare, start)[1:]


def _points_and_limits(anchors):
    """Returns the anchors of all levels and limits of their largest distances.

    Returns:
        points: float32 (1, N, 4).
        limits: pair of float32 (1, N), lower and upper, pixels.
    """
    names = ordered_names(anchors)
    lower, upper = [], []
    for name in names:
        strides, _ = box_sides(anchors[name])
        first, last = name == names[0], name == names[-1]
        lower.append(strides * (0.0 if first else _FARTHEST[0]))
        upper.append(strides * (float("inf") if last else _FARTHEST[1]))
    points = ops.concatenate([anchors[name] for name in names], axis=0)[None]
    return points, tuple(ops.concatenate(one, axis=0)[None] for one in (lower, upper))
