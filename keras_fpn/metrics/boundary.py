"""Boundary IoU: how well the outline of a mask agrees with that of an object."""

from collections.abc import Iterable

import numpy as np
from pycocotools import mask as coco_mask

from keras_fpn.data.segments import segment_runs
from keras_fpn.metrics.check import checked_ground_truth

DILATION = 0.02  # of the image's diagonal, as in the paper for COCO


def boundary_iou(mask, other, dilation: float = DILATION):
    """Returns the IoU of those parts of two masks that are close to their outlines.

    The IoU of large masks hardly changes with errors at their outlines; this does.

    Source: Cheng et al. 2021 (arXiv:2103.16562), Sec. 4: pixels of a mask whose
    distance to its outline is at most d, in a square neighborhood; the border of the
    image is outline, too.

    Args:
        mask, other: bool (H, W).
        dilation: float > 0, d as a share of the image's diagonal; d is rounded to
            whole pixels, at least 1.

    Returns:
        float, 0..1; NaN if both masks are empty.

    Raises:
        ValueError: the masks differ in shape, or are not of an image.
    """
    mask, other = np.asarray(mask, bool), np.asarray(other, bool)
    if mask.shape != other.shape or mask.ndim != 2:
        raise ValueError(
            "Masks must be (H, W) of the same image; received shapes "
            f"{mask.shape} and {other.shape}."
        )
    distance = max(1, round(dilation * float(np.hypot(*mask.shape))))
    near, other_near = (_near_outline(each, distance) for each in (mask, other))
    union = np.count_nonzero(near | other_near)
    if union == 0:
        return float("nan")
    return np.count_nonzero(near & other_near) / union


def mean_boundary_iou(
    ground_truth: dict,
    proposals: Iterable[tuple],
    limit: int = 100,
    dilation: float = DILATION,
):
    """Returns how well proposals follow the outlines of objects, float, 0..1.

    Each object is compared with the one of the best `limit` proposals of its image
    whose mask has the highest IoU with it. An object that none overlaps counts as 0.

    Args:
        ground_truth: in the form of COCO's annotation files, with masks; crowd regions
            are left out.
        proposals: (image_id, masks, scores) of each image, as of `evaluate_proposals`
            with kind "segm".
        limit: int, proposals per image.
        dilation: float, as of `boundary_iou`.

    Returns:
        float, the mean of `boundary_iou` over all objects; NaN if there are none.
    """
    checked = checked_ground_truth(ground_truth, "segm")
    objects = {rank: [] for rank in checked.images.values()}
    for annotation in checked.annotations:
        if not annotation["iscrowd"]:
            objects[annotation["image_id"]].append(annotation["segmentation"])
    found, count = 0.0, sum(map(len, objects.values()))
    for image_id, masks, scores in proposals:
        rank = checked.images[image_id]
        own, size = objects[rank], checked.sizes[rank - 1]
        order = np.argsort(-np.asarray(scores), kind="stable")[:limit]
        best = [segment_runs(masks[index], size) for index in order]
        if not own or not best:
            continue
        overlaps = coco_mask.iou(best, own, [0] * len(own))  # (proposals, objects)
        for column, runs in enumerate(own):
            row = int(overlaps[:, column].argmax())
            if overlaps[row, column] > 0:
                mask, other = (coco_mask.decode(each) for each in (runs, best[row]))
                found += boundary_iou(mask, other, dilation)
    return found / count if count else float("nan")


def _near_outline(mask, distance):
    """Returns bool (H, W): pixels of a mask at most so far from one outside it."""
    inner = mask
    for _ in range(2):  # along rows, then along columns
        inner = _eroded_rows(inner, distance).T
    return mask & ~inner


def _eroded_rows(mask, distance):
    """Returns which pixels have only pixels of the mask up to a distance in their row.

    What is outside the image is not in the mask.
    """
    sums = np.cumsum(np.pad(mask, ((0, 0), (distance + 1, distance))), axis=1)
    side = 2 * distance + 1
    return sums[:, side:] - sums[:, :-side] == side
