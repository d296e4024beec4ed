"""RoIAlign on the pyramid: each box reads the level that fits its size."""

import math

import keras
from keras import ops

from keras_fpn.boxes import box_areas
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.ops.roi_align import roi_align

CANONICAL_SIZE = 224  # pixels, ImageNet's; a box of this size reads the canonical level
CANONICAL_LEVEL = 4


def levels_of_boxes(boxes, finest, coarsest):
    """Returns the level each box reads, int32 (...): k = 4 + log2(sqrt(wh) / 224).

    Source: Lin et al. 2017 (arXiv:1612.03144), Eq. 1; 1e-6 is added before rounding
    down, as in torchvision, so that 224 px read level 4 in spite of rounding.

    Args:
        boxes: float (..., 4), xyxy, input-image pixels.
        finest, coarsest: int, levels to stay within.
    """
    side = ops.sqrt(box_areas(boxes))
    octaves = ops.log(side / CANONICAL_SIZE) / math.log(2.0)  # -inf for empty boxes
    level = ops.floor(CANONICAL_LEVEL + octaves + 1e-6)
    return ops.cast(ops.clip(level, finest, coarsest), "int32")


@keras.saving.register_keras_serializable(package="keras_fpn")
class PyramidRoIAlign(keras.layers.Layer):
    """Resamples the features under each RoI from the level of its size.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 4.2, with RoIAlign of He et al.
    2017 (arXiv:1703.06870) in place of RoI pooling; details as in `ops.roi_align`.

    Args:
        output_size: int, P, bins per side.
        sampling_ratio: int, sample points per side of a bin.
        aligned: bool, as in `ops.roi_align`.
        levels: names of the levels that are read, such as ("P2", "P3"); None, all
            those of the pyramid that the layer is built with.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H / 2^l, W / 2^l, C); levels that the layer
            was not built with are not read.
        rois: float (B, R, 4), xyxy, input-image pixels.

    Returns:
        float (B, R, P, P, C).

    Raises:
        ValueError: a level of `levels` is not in the pyramid.
    """

    def __init__(
        self, output_size=7, sampling_ratio=2, aligned=False, levels=None, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.levels = None if levels is None else tuple(levels)

    def build(self, pyramid_shape, rois_shape):
        missing = sorted(set(self.levels or ()) - set(pyramid_shape))
        if missing:
            raise ValueError(
                f"The pyramid must hold the levels to read; received levels "
                f"{ordered_names(pyramid_shape)}, without {missing}."
            )
        # Fixed here: a later call with coarser levels, such as the RPN's P6, must not
        # move large RoIs to them.
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
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "sampling_ratio": self.sampling_ratio,
            "aligned": self.aligned,
            "levels": self.levels,
        }
