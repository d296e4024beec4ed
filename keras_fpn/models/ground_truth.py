"""The ground truth of a batch of training images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import box_areas

TARGETS = ("boxes", "labels")  # what all detectors need
PAGE = "All targets are listed in docs/own_data.md."


@dataclass(frozen=True)
class GroundTruth:
    """The targets of a batch, complete and in the dtypes that the losses need.

    Attributes:
        boxes: float32 (B, G, 4), xyxy, input-image pixels.
        labels: int32 (B, G), 0..K-1, -1 for padding.
        valid: bool (B, G), False for padding.
        is_crowd: bool (B, G), whether the box is a crowd region.
        image_ids: int32 (B,), on which the random numbers depend.
        weights: float32 (B,), 0 for an image that only fills the batch.
        masks: uint8 (B, G, h, w), coverage, 0..255, within `mask_windows`; None if the
            batch has no masks.
        mask_windows: float32 (B, G, 4), xyxy, input-image pixels; None without masks.
        keypoints: float32 (B, G, J, 3), x, y, input-image pixels, and visibility: 0
            not annotated, 1 hidden, 2 visible; None if they are not needed.
        semantic_map: int (B, H, W), classes of the pixels of the padded images, 255
            where they are not labelled; None if it is not needed.
    """

    boxes: Any
    labels: Any
    valid: Any
    is_crowd: Any
    image_ids: Any
    weights: Any
    masks: Any = None
    mask_windows: Any = None
    keypoints: Any = None
    semantic_map: Any = None

    @property
    def objects(self):
        """bool (B, G), False for padding, crowd regions and empty boxes."""
        found = ops.logical_and(self.valid, ops.logical_not(self.is_crowd))
        return ops.logical_and(found, box_areas(self.boxes) > 0)


def ground_truth(targets: dict, sample_weight=None, needed: Sequence[str] = TARGETS):
    """Returns the `GroundTruth` of a batch.

    Args:
        targets: dict with "boxes" float (B, G, 4), xyxy, input-image pixels, and
            "labels" int (B, G), -1 for padding, both of which may be missing if they
            are not needed; optional "is_crowd" bool (B, G) and "image_ids" int (B,).
            "masks" uint8 (B, G, h, w) and "mask_windows" float (B, G, 4), as from
            `keras_fpn.data.Loader`, are read only if needed, and so are "keypoints"
            float (B, G, J, 3) and "semantic_map" int (B, H, W).
        sample_weight: float (B,); None means 1 for all images.
        needed: names of the targets that the losses read.

    Raises:
        ValueError: a needed target is missing, labels are not integers, or boxes and
            labels do not have such shapes.
    """
    missing = [name for name in needed if name not in targets]
    if missing:
        raise ValueError(
            f"Targets must contain {list(needed)}; received {sorted(targets)}, without "
            f"{missing}. Masks come from keras_fpn.data.Loader(..., masks=True), "
            "keypoints from the Loader of a data set that has some, semantic maps from "
            f"Loader(..., semantic=True). {PAGE}"
        )
    if not set(TARGETS) <= set(targets):  # not needed: there are no objects
        batch = ops.shape(targets[needed[0]])[0]
        targets = {
            **targets,
            "boxes": ops.zeros((batch, 0, 4), "float32"),
            "labels": ops.zeros((batch, 0), "int32"),
        }
    check_forms(*(ops.convert_to_tensor(targets[name]) for name in TARGETS))
    boxes = ops.cast(targets["boxes"], "float32")
    labels = ops.cast(targets["labels"], "int32")
    batch = ops.shape(labels)[0]
    if "is_crowd" in targets:
        is_crowd = ops.cast(targets["is_crowd"], "int32")
    else:
        is_crowd = ops.zeros_like(labels)
    if "image_ids" in targets:
        image_ids = ops.cast(targets["image_ids"], "int32")
    else:
        image_ids = ops.arange(batch)
    if sample_weight is None:
        weights = ops.ones((batch,), "float32")
    else:
        weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
    # One box of padding is added, so that batches without boxes need no special case.
    boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0)))
    labels = ops.pad(labels, ((0, 0), (0, 1)), constant_values=-1)
    is_crowd = ops.pad(is_crowd, ((0, 0), (0, 1)))
    masks, windows = None, None
    if "masks" in needed:
        masks = ops.pad(targets["masks"], ((0, 0), (0, 1), (0, 0), (0, 0)))
        windows = ops.cast(targets["mask_windows"], "float32")
        windows = ops.pad(windows, ((0, 0), (0, 1), (0, 0)))
    keypoints = None
    if "keypoints" in needed:
        keypoints = ops.cast(targets["keypoints"], "float32")
        keypoints = ops.pad(keypoints, ((0, 0), (0, 1), (0, 0), (0, 0)))
    return GroundTruth(
        boxes,
        labels,
        labels >= 0,
        is_crowd > 0,
        image_ids,
        weights,
        masks,
        windows,
        keypoints,
        targets["semantic_map"] if "semantic_map" in needed else None,
    )


def check_forms(boxes, labels):
    """Raises an error for a wrong dtype or shape of targets; their values do not count.

    Args:
        boxes, labels: arrays, or tensors or their specifications; of unknown rank, they
            are not checked.

    Raises:
        ValueError: labels are not integers (B, G), or boxes not (B, G, 4).
    """
    if None in (getattr(each.shape, "rank", 0) for each in (boxes, labels)):
        return
    shapes = tuple(boxes.shape), tuple(labels.shape)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    unequal = None not in (*shapes[0][:2], *shapes[1]) and shapes[0][:2] != shapes[1]
    if "int" not in dtype or len(shapes[1]) != 2 or shapes[0][2:] != (4,) or unequal:
        raise ValueError(
            "Targets must be boxes (B, G, 4) and integer labels (B, G); received boxes "
            f"{shapes[0]} and {dtype} labels {shapes[1]}. {PAGE}"
        )
