"""RoIAlign on a pyramid: the size of a box determines the level that it reads."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_fpn.boxes import box_areas
from keras_fpn.config import arguments_of
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.ops.roi_align import roi_align

CANONICAL_SIZE = 224  # pixels, as in ImageNet; such boxes read the canonical level
CANONICAL_LEVEL = 4


def levels_of_boxes(boxes, finest: int, coarsest: int):
    """Returns the level of each box, int32 (...): floor(4 + log2(sqrt(w h) / 224)).

    Source: Lin et al. 2017 (arXiv:1612.03144), Eq. 1. As in torchvision, 1e-6 is added
    before rounding down, so that a box of 224 px is on level 4 despite rounding errors.

    Args:
        boxes: float (..., 4), xyxy, input-image pixels.
        finest, coarsest: int, limits to which the level is clipped.
    """
    side = ops.sqrt(box_areas(boxes))
    octaves = ops.log(side / CANONICAL_SIZE) / math.log(2.0)  # -inf for empty boxes
    level = ops.floor(CANONICAL_LEVEL + octaves + 1e-6)
    return ops.cast(ops.clip(level, finest, coarsest), "int32")


@keras.saving.register_keras_serializable(package="keras_fpn")
class PyramidRoIAlign(keras.layers.Layer):
    """Resamples the features in each RoI, from the level that fits the RoI's size.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 4.2, with RoIAlign of He et al.
    2017 (arXiv:1703.06870) instead of RoI pooling; details as in
    `keras_fpn.ops.roi_align`.

    Args:
        output_size: int, P, bins per side.
        sampling_ratio: int, sample points per side of a bin; 0 adapts it to each RoI.
        aligned: bool, as in `keras_fpn.ops.roi_align`.
        levels: names of the levels to read, such as ("P2", "P3"). None means all levels
            of the pyramid with which the layer is built.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H / 2^l, W / 2^l, C). Levels with which the
            layer was not built are not read.
        rois: float (B, R, 4), xyxy, input-image pixels.

    Returns:
        float (B, R, P, P, C).

    Raises:
        ValueError: the pyramid does not contain all of `levels`.
    """

    def __init__(
        self,
        output_size: int = 7,
        sampling_ratio: int = 2,
        aligned: bool = False,
        levels: Sequence[str] | None = None,
        **kwargs,
    ):
        # No autocast: bfloat16 would round coordinates above 256.
        super().__init__(autocast=False, **kwargs)
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.levels = None if levels is None else tuple(levels)

    def build(self, pyramid_shape, rois_shape):
        missing = sorted(set(self.levels or ()) - set(pyramid_shape))
        if missing:
            raise ValueError(
                f"The pyramid must contain all levels to read; received levels "
                f"{ordered_names(pyramid_shape)}, without {missing}. Pass levels=, "
                "or a neck with these levels."
            )
        # The levels are fixed when the layer is built. Otherwise a later call with more
        # levels, such as the RPN's P6, would move large RoIs to them.
        self.names = ordered_names(self.levels or pyramid_shape)

    def call(self, pyramid, rois):
        numbers = [level_number(name) for name in self.names]
        rois = ops.cast(rois, "float32")
        levels = levels_of_boxes(rois, numbers[0], numbers[-1])
        features = roi_align(
            [pyramid[name] for name in self.names],
            rois,
            [2.0**-number for number in numbers],
            levels - numbers[0],
            self.output_size,
            self.sampling_ratio,
            self.aligned,
        )
        return ops.cast(features, self.compute_dtype)

    def compute_output_shape(self, pyramid_shape, rois_shape):
        channels = next(iter(pyramid_shape.values()))[-1]
        return (*rois_shape[:2], self.output_size, self.output_size, channels)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, PyramidRoIAlign)}
