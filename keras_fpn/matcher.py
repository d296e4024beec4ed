"""Which ground-truth box an anchor or RoI stands for, if any."""

from keras import ops

from keras_fpn.boxes import box_areas, intersections, pairwise_iou

# Labels of anchors and RoIs.
POSITIVE = 1
NEGATIVE = 0
IGNORED = -1


def match(boxes, gt_boxes, gt_valid, gt_crowd, thresholds, allow_low_quality=False):
    """Assigns every box to the ground truth it overlaps most, or to none.

    A box is positive where its best IoU reaches the upper threshold, negative where it
    is below the lower one, ignored between. Low-quality matches make the best boxes of
    every ground truth (all of them, where several are equally good) positive too, each
    for the ground truth it overlaps most itself. Crowd regions match nothing; a
    negative at least half inside one is ignored, by intersection over its own area.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1.2; ties as in torchvision's
    Matcher; crowds as in COCO's evaluation.

    Args:
        boxes: float32 (B, N, 4), xyxy, pixels, N anchors or RoIs.
        gt_boxes: float32 (B, G, 4), xyxy, pixels.
        gt_valid: bool (B, G), False for padding.
        gt_crowd: bool (B, G), crowd regions.
        thresholds: (lower, upper), floats 0..1.
        allow_low_quality: bool.

    Returns:
        labels: int32 (B, N), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, N), 0..G-1, the ground truth of the best IoU.
    """
    lower, upper = thresholds
    target = ops.logical_and(gt_valid, ops.logical_not(gt_crowd))
    target = ops.logical_and(target, box_areas(gt_boxes) > 0)
    iou = ops.where(
        target[:, :, None], pairwise_iou(gt_boxes, boxes), -1.0
    )  # (B, G, N)
    matches = ops.cast(ops.argmax(iou, axis=1), "int32")
    best = ops.max(iou, axis=1)
    positive = best >= upper
    if allow_low_quality:
        best_of_gt = ops.max(iou, axis=2, keepdims=True)
        equal = ops.logical_and(iou == best_of_gt, best_of_gt > 0)
        positive = ops.logical_or(positive, ops.any(equal, axis=1))
    labels = ops.where(best < lower, NEGATIVE, IGNORED)
    crowd = ops.logical_and(gt_valid, gt_crowd)
    labels = ops.where(_inside(boxes, gt_boxes, crowd), IGNORED, labels)
    return ops.cast(ops.where(positive, POSITIVE, labels), "int32"), matches


def _inside(boxes, regions, valid):
    """Returns bool (B, N), whether at least half of a box lies in one valid region."""
    shared = intersections(ops.expand_dims(regions, 2), ops.expand_dims(boxes, 1))
    half = 0.5 * ops.expand_dims(box_areas(boxes), 1)
    inside = ops.logical_and(shared >= half, valid[:, :, None])
    return ops.any(ops.logical_and(inside, half > 0), axis=1)
