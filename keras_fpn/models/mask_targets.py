"""The targets of a mask head: the masks of objects within RoIs."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.boxes import take_rows
from keras_fpn.config import Config
from keras_fpn.ops.mask_samples import mask_samples

_FULL = 255.0  # coverage of a cell that is completely inside the mask


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class MaskTargets(Config):
    """How the targets of masks within RoIs are made.

    The defaults are torchvision's. detectron2 has aligned targets of 0 and 1, with a
    threshold of 0.5.

    Args:
        aligned: bool, as in `keras_fpn.ops.roi_align`; it should be that of the RoIs'
            features.
        threshold: float, 0..1; a cell with at least this coverage is 1, another 0. None
            keeps the coverage.

    Call arguments:
        truth: `GroundTruth` with masks.
        boxes: float32 (B, S, 4), xyxy, input-image pixels.
        matches: int32 (B, S), 0..G-1, index of the object of each box.
        image_sizes: float (B, 2), height and width without the padding, pixels.
        size: int, m, cells along each side of a target.

    Returns:
        float32 (B, S, m, m), 0..1.

    Raises:
        ValueError: the threshold is not within 0..1.
    """

    aligned: bool = False
    threshold: float | None = None

    def __post_init__(self):
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise ValueError(
                "threshold must be within 0..1, or None; received "
                f"threshold={self.threshold}."
            )

    def __call__(self, truth, boxes, matches, image_sizes, size: int):
        covered = mask_samples(
            take_rows(truth.masks, matches),
            take_rows(truth.mask_windows, matches),
            boxes,
            image_sizes,
            size,
            self.aligned,
        )
        covered = covered / _FULL
        if self.threshold is None:
            return ops.clip(covered, 0.0, 1.0)  # sums of weights may be a bit above 1
        return ops.cast(covered >= self.threshold, "float32")
