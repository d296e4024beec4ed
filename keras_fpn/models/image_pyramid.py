"""An image pyramid at test time: several sizes of a photo, and their mirror images."""

from collections.abc import Callable, Sequence

import numpy as np

from keras_fpn.box_merging import (
    merge_by_nms,
    merge_by_soft_nms,
    merge_by_weighted_boxes,
)
from keras_fpn.models.results import SCORES, mirrored

MERGES = {
    "nms": merge_by_nms,
    "soft_nms": merge_by_soft_nms,
    "weighted_boxes": merge_by_weighted_boxes,
}


def detect_in_views(
    detect: Callable,
    photo,
    size: tuple[int, int],
    scales: Sequence[float],
    flip: bool,
    merge: str,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
    proposals=None,
    flip_pairs: Sequence[tuple[int, int]] = (),
):
    """Returns what a detector finds in all views of a photo, merged within each class.

    A view is the photo at one scale, as it is or mirrored.

    Source: Lin et al. 2017 (arXiv:1612.03144), Fig. 1(a). Others call it test-time
    augmentation.

    Args:
        detect: function of a list of photos, their size and a list of proposals or
            None that returns a list of results; see `of_photo`.
        photo: uint8 (H, W, 3).
        size: pixels of the shorter side at scale 1, and limit of the longer side.
        scales: floats > 0, factors of `size`.
        flip: whether each scale has a mirrored view too.
        merge: a key of `MERGES`.
        iou_threshold: as in `keras_fpn.box_merging`.
        score_threshold, max_detections: limits of the merged results.
        proposals: float (n, 4), xyxy, pixels of the photo; None for a detector that
            takes none.
        flip_pairs: pairs of keypoints that a mirror exchanges.

    Returns:
        dict, as one of those that `detect` returns.
    """
    views = []
    for scale in scales:
        scaled = tuple(max(1, round(side * scale)) for side in size)
        views += detect([photo], scaled, None if proposals is None else [proposals])
        if flip:
            given = None
            if proposals is not None:
                boxes = np.asarray(proposals, np.float32).reshape(-1, 4)
                given = [mirrored({"boxes": boxes}, photo.shape[1])["boxes"]]
            [found] = detect([np.ascontiguousarray(photo[:, ::-1])], scaled, given)
            views.append(mirrored(found, photo.shape[1], flip_pairs))
    found = {name: np.concatenate([view[name] for view in views]) for name in views[0]}
    if merge == "weighted_boxes" and {"masks", "keypoints"} & set(found):
        raise ValueError(
            "Boxes of a detector of masks or keypoints must be kept as they are, "
            f"because these have no mean; received merge={merge!r}. Use 'nms' or "
            "'soft_nms'."
        )
    rows, boxes, scores = MERGES[merge](
        found["boxes"], found[SCORES], found["labels"], iou_threshold, len(views)
    )
    merged = {name: value[rows] for name, value in found.items()}
    merged |= {"boxes": boxes, SCORES: scores}
    kept = scores > score_threshold
    return {name: value[kept][:max_detections] for name, value in merged.items()}


def check_image_pyramid(scales: Sequence[float], merge: str):
    """Raises an error unless the arguments are in range.

    Raises:
        ValueError: scales are not numbers above 0, or the merge is unknown.
    """
    factors = np.asarray(scales, float)
    in_range = np.isfinite(factors) & (factors > 0)
    if factors.ndim != 1 or not factors.size or not in_range.all():
        raise ValueError(
            "scales must be numbers above 0, factors of the photo's usual size; "
            f"received scales={factors.tolist()}. Use, for example, (0.5, 1, 1.5)."
        )
    if merge not in MERGES:
        raise ValueError(
            f"merge must be one of {sorted(MERGES)}; received merge={merge!r}."
        )
