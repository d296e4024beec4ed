"""Detection in photos of any size: in batches, or in an image pyramid of each."""

import difflib
import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

from keras_fpn.models.given_proposals import check_given
from keras_fpn.models.image_pyramid import check_image_pyramid, detect_in_views
from keras_fpn.models.limits import check_limits, check_whole_number
from keras_fpn.models.results import (
    SEMANTIC_LOGITS,
    Frame,
    check_mask_form,
    of_photo,
    with_masks,
)
from keras_fpn.preprocessing import proposal_batch, read_photo

# What other libraries call arguments of `detect`.
_OTHER_NAMES = {
    "score_threshold": ["threshold", "conf", "confidence", "conf_thres", "score_thr"],
    "max_detections": ["max_det", "max_dets", "detections_per_img"],
    "min_size": ["imgsz", "img_size", "image_size", "size"],
    "batch_size": ["batch"],
    "flip": ["augment", "tta"],
}


def detect(
    model,
    images,
    min_size: int | None = None,
    max_size: int | None = None,
    score_threshold: float | None = None,
    max_detections: int | None = None,
    batch_size: int = 1,
    scales: Sequence[float] | None = None,
    flip: bool = False,
    merge: str = "nms",
    masks: str = "rle",
    proposals=None,
    **others,
):
    """Detects objects in photos of any size.

    Args:
        images: a photo or a list of photos, each a path, a PIL image, or a uint8 array
            (H, W, 3), (H, W, 4) or (H, W). Paths and PIL images are rotated as their
            EXIF data says.
        min_size: int, pixels, to which the shorter side is resized. None takes the size
            in `preprocessing`.
        max_size: int, pixels, limit of the longer side. None takes the limit in
            `preprocessing`.
        score_threshold: float, 0..1; only objects with a score above it are returned.
            None takes the model's own.
        max_detections: int, maximum number of detections per photo. None takes the
            model's own.
        batch_size: int, number of photos per batch. With 1, each photo is padded to a
            multiple of 32 and its result equals the reference's. In a larger batch,
            photos are padded to the size of the largest. This slightly shifts the
            anchors of coarse levels and so the boxes, in the reference too.
        scales: floats, factors of `min_size` and `max_size`. Each photo is detected in
            at each of them, one by one, and the results are merged. None means (1,).
        flip: bool, whether to detect in the mirrored photo too.
        merge: str, how the results of several scales, and of the mirrored photo, are
            merged within each class: "nms" keeps the best of boxes that overlap,
            "soft_nms" keeps all with lowered scores, "weighted_boxes" takes their mean;
            see `keras_fpn.box_merging`.
        masks: form of masks, if the detector has any: "rle", "full" or "crops"; see
            `keras_fpn.models.results.with_masks`.
        proposals: for a detector that takes them, such as `FastRCNN`: float (n, 4),
            xyxy, pixels of the photo, or a list of such arrays, one per photo.
        **others: none; a name that other libraries use is answered by the one here.

    Returns:
        list with a dict for each photo: "boxes" float32 (n, 4), xyxy, pixels of the
        photo; "labels" int32 (n,), indices into `class_names`; "scores" float32 (n,),
        highest first; and the detector's other outputs, if it has any, such as
        "keypoints" float32 (n, J, 3), x, y, pixels of the photo, and score, or
        "semantic_map" uint8 (H, W), classes of pixels. `SemanticFPN` has that alone.

    Raises:
        ValueError: a photo cannot be read, an argument is out of range, proposals are
            missing, not taken, or not of their photo, or the detector has no scores to
            limit or cannot merge several views.
        TypeError: there is no such argument.
    """
    _check_no(others)
    check_limits(score_threshold, max_detections)
    check_whole_number("batch_size", batch_size)
    check_mask_form(masks)
    check_image_pyramid((1,) if scales is None else scales, merge)
    if not isinstance(images, (list, tuple)):
        images, proposals = [images], None if proposals is None else [proposals]
    check_given(model, proposals, len(images))
    limits = _limits(model, score_threshold, max_detections)
    preprocessing = model.preprocessing
    size = (
        preprocessing.min_size if min_size is None else min_size,
        preprocessing.max_size if max_size is None else max_size,
    )
    in_views = scales is not None or flip
    if in_views and SEMANTIC_LOGITS in model.output:
        raise ValueError(
            "A detector of semantic maps must see each photo once, because maps of "
            f"several views are not merged; received scales={scales}, flip={flip}. "
            "Leave both out."
        )
    views: dict[str, Any] = {
        "scales": (1,) if scales is None else scales,
        "flip": flip,
        "merge": merge,
    }
    batch_size = 1 if in_views else batch_size
    results = []
    for start in range(0, len(images), batch_size):
        photos = [read_photo(image) for image in images[start : start + batch_size]]
        given = None if proposals is None else proposals[start : start + batch_size]
        detect_batch = partial(_detect_batch, model, limits=limits, start=start)
        if in_views:
            found = [
                detect_in_views(
                    detect_batch,
                    photos[0],
                    size,
                    proposals=None if given is None else given[0],
                    iou_threshold=model.nms_threshold,
                    flip_pairs=model.keypoint_set.flip_pairs
                    if model.keypoint_set
                    else (),
                    **views,
                    **limits,
                )
            ]
        else:
            found = detect_batch(photos, size, given)
        results += [
            with_masks(
                model.merged(one, photo.shape[:2]),
                photo.shape[:2],
                masks,
                model.mask_paste,
            )
            for one, photo in zip(found, photos, strict=True)
        ]
    return results


def _check_no(others):
    """Raises for arguments that `detect` does not have."""
    for name in others:
        meant = [ours for ours, theirs in _OTHER_NAMES.items() if name in theirs]
        own = inspect.signature(detect).parameters
        meant = meant or difflib.get_close_matches(name, own, 1)
        hint = f" Did you mean {meant[0]}?" if meant else ""
        raise TypeError(f"detect must get its own arguments; received {name}=.{hint}")


def _limits(model, score_threshold, max_detections):
    """Returns the limits of the results, dict; empty for one that finds no objects."""
    own = model.final_part()
    given = {"score_threshold": score_threshold, "max_detections": max_detections}
    if own is None:
        if any(value is not None for value in given.values()):
            raise ValueError(
                f"A {type(model).__name__} finds no objects, so it has no scores and "
                f"no limits; received {given}. Leave them out."
            )
        return {}
    return {
        name: getattr(own, name) if value is None else value
        for name, value in given.items()
    }


def _detect_batch(model, photos, size, proposals, limits, start):
    """Returns the results for photos that are one batch, list of dict."""
    inputs, resized = model.preprocessing.prepare(photos, *size)
    if proposals is not None:
        own = [photo.shape[:2] for photo in photos]
        inputs["proposals"] = proposal_batch(proposals, own, resized, start)
    outputs = model.found(inputs, **limits)
    return [
        of_photo(outputs, index, Frame(image_size, photo.shape[:2]), **limits)
        for index, (image_size, photo) in enumerate(zip(resized, photos, strict=True))
    ]
