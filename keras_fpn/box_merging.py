"""Merges detections of the same objects that come from several views of a photo.

Each function takes and returns boxes float (n, 4), xyxy, scores float (n,) and labels
int (n,), as NumPy arrays. Only boxes with the same label are merged.
"""

import numpy as np


def merge_by_nms(boxes, scores, labels, iou_threshold: float, views: int = 1):
    """Drops each box that overlaps a better one.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.3.

    Args:
        boxes, scores, labels: arrays; see the module.
        iou_threshold: 0..1; a box is dropped if its IoU with a better one is above it.
        views: int, number of views; not read.

    Returns:
        indices: int (m,), rows of the boxes that are kept, best first.
        boxes: float (m, 4).
        scores: float (m,).
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[_overlaps(best, left, boxes, labels) <= iou_threshold]
    rows = np.array(kept, np.intp)
    return rows, boxes[rows], scores[rows]


def merge_by_soft_nms(
    boxes, scores, labels, iou_threshold: float, views: int = 1, sigma: float = 0.5
):
    """Lowers the score of each box by its overlap with better ones; drops none.

    Source: Bodla et al. 2017 (arXiv:1704.04503), Sec. 3, the Gaussian penalty
    exp(-IoU^2 / sigma).

    Args:
        boxes, scores, labels: arrays; see the module.
        iou_threshold, views: not read.
        sigma: float > 0; smaller values lower scores more.

    Returns:
        indices, boxes, scores: as `merge_by_nms`, with the lowered scores.
    """
    lowered = np.array(scores, np.float64)
    left, kept = np.arange(len(scores)), []
    while len(left):
        first = np.argmax(lowered[left])
        best, left = left[first], np.delete(left, first)
        kept.append(best)
        lowered[left] *= np.exp(-(_overlaps(best, left, boxes, labels) ** 2) / sigma)
    rows = np.array(kept, np.intp)
    return rows, boxes[rows], lowered[rows].astype(scores.dtype)


def merge_by_weighted_boxes(boxes, scores, labels, iou_threshold: float, views: int):
    """Replaces boxes that overlap by their mean, weighted by their scores.

    The score is the mean of the boxes' scores, times the share of views that found the
    object, at most 1.

    Source: Solovyev et al. 2019 (arXiv:1910.13302), Sec. 3.

    Args:
        boxes, scores, labels: arrays; see the module.
        iou_threshold: 0..1; a box belongs to the mean with which it has the largest
            IoU, if that is above it.
        views: int, number of views.

    Returns:
        indices: int (m,), for each mean, the row of its box with the highest score.
        boxes, scores: the means, highest score first.
    """
    best, sums, means = [], np.zeros((0, 6)), np.zeros((0, 4))
    for row in np.argsort(-scores, kind="stable"):
        # Rows of sums: the weighted box, the sum of scores, the number of boxes.
        one = np.append(boxes[row].astype(np.float64) * scores[row], [scores[row], 1])
        overlaps = box_overlaps(boxes[row], means)
        overlaps[labels[best] != labels[row]] = 0
        if len(best) and overlaps.max() > iou_threshold:
            cluster = overlaps.argmax()
            sums[cluster] += one
        else:
            cluster = len(best)
            best.append(row)
            sums = np.concatenate([sums, one[None]])
            means = np.concatenate([means, boxes[row][None]])
        if sums[cluster, 4] > 0:
            means[cluster] = sums[cluster, :4] / sums[cluster, 4]
    counts = sums[:, 5]
    merged = sums[:, 4] / np.maximum(counts, 1) * np.minimum(counts / views, 1)
    order = np.argsort(-merged, kind="stable")
    rows = np.array(best, np.intp)[order]
    return rows, means[order].astype(boxes.dtype), merged[order].astype(scores.dtype)


def box_overlaps(box, others):
    """Returns the IoU of one box, (4,), with others, (n, 4), xyxy: float64 (n,)."""
    box, others = np.asarray(box, np.float64), np.asarray(others, np.float64)
    corner = np.maximum(box[:2], others[:, :2])
    sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - corner, 0)
    shared = sides.prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + areas - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _overlaps(row, others, boxes, labels):
    """Returns the IoU of a row with others; 0 where labels differ."""
    overlaps = box_overlaps(boxes[row], boxes[others])
    return np.where(labels[others] == labels[row], overlaps, 0)
