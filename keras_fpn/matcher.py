"""Matches each anchor or RoI with a ground-truth box, or with none."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.boxes import box_areas, intersections, iou_of_areas
from keras_fpn.config import Config

# Labels of anchors and RoIs.
POSITIVE = 1
NEGATIVE = 0
IGNORED = -1


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class Match(Config):
    """Matches boxes with the ground truth by their IoU.

    Args:
        lower, upper: float, 0..1. A box is negative if its best IoU is below `lower`,
            positive if it is at least `upper`, and ignored between the two.
        allow_low_quality: bool, whether the best boxes of each ground truth are
            positive even if their IoU is below `upper`.

    Call arguments:
        boxes: float32 (B, N, 4) or (1, N, 4), xyxy, pixels.
        truth: `keras_fpn.models.GroundTruth`.

    Returns:
        labels, matches: int32 (B, N), as returned by `match`.

    Raises:
        ValueError: the thresholds are not 0 <= lower <= upper <= 1.
    """

    lower: float
    upper: float
    allow_low_quality: bool = False

    def __post_init__(self):
        if not 0.0 <= self.lower <= self.upper <= 1.0:
            raise ValueError(
                "IoU thresholds must satisfy 0 <= lower <= upper <= 1; received "
                f"lower={self.lower}, upper={self.upper}."
            )

    def __call__(self, boxes, truth):
        return match(
            boxes,
            truth.boxes,
            truth.valid,
            truth.is_crowd,
            (self.lower, self.upper),
            self.allow_low_quality,
        )


def match(
    boxes,
    gt_boxes,
    gt_valid,
    gt_crowd,
    thresholds: tuple[float, float],
    allow_low_quality: bool = False,
):
    """Matches each box with the ground truth it overlaps most, or with none.

    A box is positive if its best IoU is at least the upper threshold, negative if it is
    below the lower one, and ignored between the two. With low-quality matches, the best
    boxes of each ground truth are positive too (all of them, if several are equally
    good); each still matches the ground truth that it overlaps most itself. Crowd
    regions match no box, but a negative box with at least half of its area inside one
    is ignored.

    The loop compares one ground truth at a time, up to the last that is not padding, so
    memory does not grow with their number: only arrays (B, N) are held, at most 60 MB
    for 2 images and 270,000 anchors.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1.2; ties as in torchvision's
    Matcher; crowds as in COCO's evaluation.

    Args:
        boxes: float32 (B, N, 4), xyxy, pixels, N anchors or RoIs.
        gt_boxes: float32 (B, G, 4), xyxy, pixels, G >= 1.
        gt_valid: bool (B, G), False for padding.
        gt_crowd: bool (B, G), crowd regions.
        thresholds: (lower, upper), floats 0..1.
        allow_low_quality: bool.

    Returns:
        labels: int32 (B, N), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, N), 0..G-1, index of the ground truth with the best IoU.
    """
    lower, upper = thresholds
    best, matches, best_of_any, in_crowd = _compared(
        ops.stop_gradient(boxes), gt_boxes, gt_valid, gt_crowd, allow_low_quality
    )
    labels = ops.where(best < lower, NEGATIVE, IGNORED)
    labels = ops.where(in_crowd, IGNORED, labels)
    positive = ops.logical_or(best >= upper, best_of_any)
    return ops.cast(ops.where(positive, POSITIVE, labels), "int32"), matches


def _compared(boxes, gt_boxes, gt_valid, gt_crowd, allow_low_quality):
    """Compares every box with every ground truth.

    Returns:
        best: float32 (B, N), the box's best IoU; -1 if there is no ground truth.
        matches: int32 (B, N), index of the ground truth with that IoU.
        best_of_any: bool (B, N), whether the box is a best box of some ground truth;
            always False without low-quality matches.
        in_crowd: bool (B, N), whether at least half of the box is in a crowd region.
    """
    target = ops.logical_and(gt_valid, ops.logical_not(gt_crowd))
    target = ops.logical_and(target, box_areas(gt_boxes) > 0)
    crowd = ops.logical_and(gt_valid, gt_crowd)
    areas = box_areas(boxes)
    # An empty box is in no crowd.
    half = ops.where(areas > 0, 0.5 * areas, float("inf"))

    def compare(index, best, matches, best_of_any, in_crowd):
        def of_this(values):
            return ops.take(values, index, axis=1)[:, None]

        gt = of_this(gt_boxes)
        shared = intersections(gt, boxes)
        iou = iou_of_areas(shared, box_areas(gt), areas)
        iou = ops.where(of_this(target), iou, -1.0)
        better = iou > best  # among equal IoUs, the first ground truth wins
        if allow_low_quality:
            highest = ops.max(iou, axis=1, keepdims=True, initial=0.0)
            equal = ops.logical_and(iou == highest, highest > 0)
            best_of_any = ops.logical_or(best_of_any, equal)
        half_in = ops.logical_and(of_this(crowd), shared >= half)
        best = ops.where(better, iou, best)
        matches = ops.where(better, index, matches)
        in_crowd = ops.logical_or(in_crowd, half_in)
        return index + 1, best, matches, best_of_any, in_crowd

    shape = ops.shape(gt_boxes)[0], ops.shape(boxes)[1]
    false = ops.zeros(shape, "bool")
    best, matches = ops.full(shape, -1.0, "float32"), ops.zeros(shape, "int32")
    start = (0, best, matches, false, false)
    counts = ops.arange(1, ops.shape(gt_valid)[1] + 1)
    last = ops.max(ops.where(gt_valid, counts, 0), initial=0)
    return ops.while_loop(lambda index, *_: index < last, compare, start)[1:]
