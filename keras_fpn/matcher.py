"""Which ground-truth box an anchor or RoI stands for, if any."""

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
    """The numbers by which boxes are matched with the ground truth.

    Args:
        lower, upper: float, 0..1. A box whose best IoU is below `lower` is negative, a
            box whose best IoU reaches `upper` is positive.
        allow_low_quality: bool, whether the best boxes of each ground truth are
            positive whatever their IoU.

    Call arguments:
        boxes: float32 (B, N, 4) or (1, N, 4), xyxy, pixels.
        truth: `keras_fpn.models.GroundTruth`.

    Returns:
        labels, matches: int32 (B, N), as from `match`.
    """

    lower: float
    upper: float
    allow_low_quality: bool = False

    def __post_init__(self):
        if not 0.0 <= self.lower <= self.upper <= 1.0:
            raise ValueError(
                "IoU thresholds must be 0 <= lower <= upper <= 1; received "
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


def match(boxes, gt_boxes, gt_valid, gt_crowd, thresholds, allow_low_quality=False):
    """Assigns every box to the ground truth it overlaps most, or to none.

    A box is positive where its best IoU reaches the upper threshold, negative where it
    is below the lower one, ignored between. Low-quality matches make the best boxes of
    every ground truth (all of them, where several are equally good) positive too, each
    for the ground truth it overlaps most itself. Crowd regions match nothing; a
    negative at least half inside one is ignored, by intersection over its own area.

    Ground truths are compared one at a time, up to the last that is not padding. So
    only arrays (B, N) are held: at most 60 MB for 2 images and 270,000 anchors, for 300
    objects as for 1.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1.2; ties as in torchvision's
    Matcher; crowds as in COCO's evaluation.

    Args:
        boxes: float32 (B, N, 4), xyxy, pixels, N anchors or RoIs.
        gt_boxes: float32 (B, G, 4), xyxy, pixels, G at least 1.
        gt_valid: bool (B, G), False for padding.
        gt_crowd: bool (B, G), crowd regions.
        thresholds: (lower, upper), floats 0..1.
        allow_low_quality: bool.

    Returns:
        labels: int32 (B, N), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, N), 0..G-1, the ground truth of the best IoU.
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
    """Returns what `match` knows of every box after all ground truths, each (B, N).

    The best IoU, float32, -1 without any ground truth; whose it is, int32; whether the
    box is a best one of some ground truth, bool, never without low-quality matches;
    whether at least half of it lies in a crowd region, bool.
    """
    target = ops.logical_and(gt_valid, ops.logical_not(gt_crowd))
    target = ops.logical_and(target, box_areas(gt_boxes) > 0)
    crowd = ops.logical_and(gt_valid, gt_crowd)
    areas = box_areas(boxes)
    half = ops.where(areas > 0, 0.5 * areas, float("inf"))  # empty boxes: in no crowd

    def compare(index, best, matches, best_of_any, in_crowd):
        def of_this(values):
            return ops.take(values, index, axis=1)[:, None]

        gt = of_this(gt_boxes)
        shared = intersections(gt, boxes)
        iou = iou_of_areas(shared, box_areas(gt), areas)
        iou = ops.where(of_this(target), iou, -1.0)
        better = iou > best  # of equal ones the first stays
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
    no = ops.zeros(shape, "bool")
    start = (0, ops.full(shape, -1.0, "float32"), ops.zeros(shape, "int32"), no, no)
    counts = ops.arange(1, ops.shape(gt_valid)[1] + 1)
    last = ops.max(ops.where(gt_valid, counts, 0), initial=0)
    return ops.while_loop(lambda index, *_: index < last, compare, start)[1:]
