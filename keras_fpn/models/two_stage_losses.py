"""The four losses of Faster R-CNN, as sums and what to divide them by."""

from keras import ops

from keras_fpn.box_coder import encode_boxes
from keras_fpn.boxes import box_areas, take_rows
from keras_fpn.layers.detections import BOX_WEIGHTS
from keras_fpn.levels import ordered_names
from keras_fpn.losses import binary_cross_entropy, smooth_l1, softmax_cross_entropy
from keras_fpn.matcher import NEGATIVE, POSITIVE

# torchvision's, in both stages: Detectron's choice for the RPN.
BETA = 1.0 / 9.0

# Two draws of one step and image must differ.
RPN_PURPOSE, ROI_PURPOSE = 0, 1


def rpn_losses(stages, truth, assignment, seed, step):
    """Returns the region proposal network's losses.

    Source: Ren et al. 2015 (arXiv:1506.01497), Eq. 1, with torchvision's divisor: both
    sums are divided by the number of sampled anchors.

    Args:
        stages: dict, the outputs of a trunk.
        truth: `GroundTruth`.
        assignment: `Assignment` of anchors.
        seed, step: what chance is drawn for.

    Returns:
        sums: dict, "objectness_loss" and "rpn_box_loss", float32 scalars.
        count: float32 scalar, sampled anchors.
    """
    names = ordered_names(stages["anchors"])
    anchors = ops.concatenate([stages["anchors"][name] for name in names], axis=0)
    logits = ops.concatenate([stages["objectness"][name] for name in names], axis=1)
    deltas = ops.concatenate([stages["deltas"][name] for name in names], axis=1)
    places, labels, matches = assignment(
        anchors[None], truth, (seed, step, RPN_PURPOSE)
    )
    weights = _sampled(labels, truth)
    logits = ops.cast(ops.take_along_axis(logits, places, axis=1), "float32")
    entropy = binary_cross_entropy(logits, ops.cast(labels == POSITIVE, "float32"))
    wanted = encode_boxes(
        take_rows(truth.boxes, matches), ops.take(anchors, places, axis=0)
    )
    deltas = ops.cast(take_rows(deltas, places), "float32")
    box_loss = _box_loss(deltas - wanted, labels, weights)
    sums = {
        "objectness_loss": ops.sum(entropy * weights),
        "rpn_box_loss": box_loss,
    }
    return sums, ops.sum(weights)


def sampled_rois(stages, truth, assignment, seed, step):
    """Returns the RoIs a step trains on: proposals and the ground truth itself.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.2; the ground truth is appended
    as in torchvision and Detectron.

    Args:
        as `rpn_losses`.

    Returns:
        rois: float32 (B, S, 4), xyxy, input pixels.
        labels: int32 (B, S), POSITIVE, NEGATIVE or IGNORED.
        matches: int32 (B, S), 0..G-1.
    """
    objects = ops.where(truth.objects[..., None], truth.boxes, 0.0)
    boxes = ops.concatenate([stages["rois"], objects], axis=1)
    boxes = ops.stop_gradient(boxes)
    places, labels, matches = assignment(
        boxes, truth, (seed, step, ROI_PURPOSE), usable=box_areas(boxes) > 0
    )
    return take_rows(boxes, places), labels, matches


def box_head_losses(class_logits, box_deltas, rois, labels, matches, truth):
    """Returns the box head's losses on sampled RoIs.

    Source: Girshick 2015 (arXiv:1504.08083), Eq. 1, with torchvision's divisor: both
    sums are divided by the number of sampled RoIs.

    Args:
        class_logits: float (B, S, K + 1), background last.
        box_deltas: float (B, S, K, 4).
        rois, labels, matches: from `sampled_rois`.
        truth: `GroundTruth`.

    Returns:
        sums: dict, "class_loss" and "box_loss", float32 scalars.
        count: float32 scalar, sampled RoIs.
    """
    weights = _sampled(labels, truth)
    classes = box_deltas.shape[2]
    gt_labels = ops.take_along_axis(truth.labels, matches, axis=1)
    gt_labels = ops.maximum(gt_labels, 0)  # padding, in slots that do not count
    wanted = ops.where(labels == POSITIVE, gt_labels, classes)
    class_loss = softmax_cross_entropy(ops.cast(class_logits, "float32"), wanted)
    chosen = ops.one_hot(gt_labels, classes, dtype="float32")[..., None]
    deltas = ops.sum(ops.cast(box_deltas, "float32") * chosen, axis=2)
    goals = encode_boxes(take_rows(truth.boxes, matches), rois, BOX_WEIGHTS)
    box_loss = _box_loss(deltas - goals, labels, weights)
    sums = {"class_loss": ops.sum(class_loss * weights), "box_loss": box_loss}
    return sums, ops.sum(weights)


def _sampled(labels, truth):
    """Returns float32 (B, S), the image's weight in slots that count, else 0."""
    counts = ops.logical_or(labels == POSITIVE, labels == NEGATIVE)
    return ops.cast(counts, "float32") * truth.weights[:, None]


def _box_loss(differences, labels, weights):
    """Returns the sum over positives; other slots may hold NaN, which stays out."""
    positive = (labels == POSITIVE)[..., None]
    loss = smooth_l1(ops.where(positive, differences, 0.0), BETA)
    return ops.sum(loss * weights[..., None])
