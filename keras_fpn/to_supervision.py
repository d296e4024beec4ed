"""Results of a detector as objects of supervision, for its annotators and trackers.

supervision comes with the extra `video`, and is imported when a function is called.
"""

from collections.abc import Sequence

import numpy as np

from keras_fpn.data.masks import segment_mask
from keras_fpn.extras import from_extra
from keras_fpn.visualize.colors import check_labels


def to_detections(found: dict, class_names: Sequence[str]):
    """Returns the objects found in a photo as `supervision.Detections`.

    Masks become arrays of the photo's size, one byte per pixel and object.

    Args:
        found: a dict of those that `model.detect` returns; masks as "rle" or "full".
        class_names: names by label, such as `model.class_names`.

    Returns:
        `supervision.Detections` with `xyxy` float32 (n, 4), pixels of the photo,
        `confidence` float32 (n,), `class_id` int (n,), the labels, the names in
        `data["class_name"]`, and `mask` bool (n, H, W), or None if there are no masks.

    Raises:
        ValueError: there are no boxes, masks are crops, or a label has no name.
        ImportError: supervision is not installed.
    """
    supervision = _load_supervision()
    labels, names = _labels(found, class_names)
    return supervision.Detections(
        xyxy=np.reshape(found["boxes"], (-1, 4)).astype(np.float32),
        confidence=np.asarray(found["scores"], np.float32),
        class_id=labels,
        mask=_full_masks(found),
        data={"class_name": names},
    )


def to_key_points(
    found: dict, class_names: Sequence[str], threshold: float | None = None
):
    """Returns the keypoints found in a photo as `supervision.KeyPoints`.

    Args:
        found: a dict of those that `model.detect` returns, with "keypoints".
        class_names: names by label, such as `model.class_names`.
        threshold: score above which a keypoint is visible, such as
            `model.keypoint_threshold`; None for all.

    Returns:
        `supervision.KeyPoints` with `xy` float32 (n, J, 2), pixels of the photo,
        `keypoint_confidence` float32 (n, J), the scores as the model returns them,
        `visible` bool (n, J) or None, `detection_confidence` float32 (n,), `class_id`
        int (n,), and the names in `data["class_name"]`.

    Raises:
        ValueError: there are no keypoints, or a label has no name.
        ImportError: supervision is not installed.
    """
    supervision = _load_supervision()
    if "keypoints" not in found:
        raise ValueError(
            "found must have keypoints; received the results "
            f"{sorted(found)}. Use a detector of keypoints, or to_detections."
        )
    labels, names = _labels(found, class_names)
    keypoints = np.asarray(found["keypoints"], np.float32)
    scores = keypoints[..., 2]
    return supervision.KeyPoints(
        xy=keypoints[..., :2],
        class_id=labels,
        keypoint_confidence=scores,
        detection_confidence=np.asarray(found["scores"], np.float32),
        visible=None if threshold is None else scores > threshold,
        data={"class_name": names},
    )


def _load_supervision():
    return from_extra("supervision", "video", "The conversion")


def _labels(found, class_names):
    """Returns the labels, int (n,), and their names, str (n,)."""
    if "boxes" not in found:
        raise ValueError(
            f"found must have boxes; received the results {sorted(found)}. A detector "
            "that only labels pixels finds no objects."
        )
    labels = np.asarray(found["labels"], int)
    check_labels(labels, class_names)
    return labels, np.array([class_names[label] for label in labels], str)


def _full_masks(found):
    """Returns bool (n, H, W), or None without masks, also of no objects."""
    if "mask_windows" in found:
        raise ValueError(
            "Masks must be run lengths or of the photo's size; received crops. Call "
            "model.detect(photo, masks='rle')."
        )
    masks = found.get("masks", ())
    if len(masks) == 0:
        return None
    if isinstance(masks[0], dict):
        return np.stack([segment_mask(mask, tuple(mask["size"])) for mask in masks])
    return np.asarray(masks, bool)
