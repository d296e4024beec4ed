"""The top-down merge: an upsampled coarse map is added to a finer one."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_fpn")
class TopDownMerge(keras.layers.Layer):
    """Upsamples the coarser map to the size of the lateral map and merges the two.

    Upsampling takes the nearest cell. It works for any two sizes, odd ones included.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3, Fig. 3; the average is the
    option FUSE_TYPE of detectron2.

    Args:
        fuse: str, "sum" or "average" of the two maps.

    Call arguments:
        lateral: float (B, H, W, C).
        coarser: float (B, h, w, C), the merged map of the next coarser level.

    Returns:
        float (B, H, W, C).

    Raises:
        ValueError: `fuse` is unknown.
    """

    def __init__(self, fuse: str = "sum", **kwargs):
        super().__init__(**kwargs)
        if fuse not in ("sum", "average"):
            raise ValueError(
                f"fuse must be 'sum' or 'average'; received fuse={fuse!r}."
            )
        self.fuse = fuse

    def call(self, lateral, coarser):
        merged = lateral + upsampled(coarser, lateral)
        return merged / 2 if self.fuse == "average" else merged

    def compute_output_shape(self, lateral_shape, coarser_shape):
        return lateral_shape

    def get_config(self):
        return {**super().get_config(), "fuse": self.fuse}


def upsampled(coarser, finer):
    """Returns a map upsampled to the size of another one, taking the nearest cell.

    Args:
        coarser: float (B, h, w, C).
        finer: float (B, H, W, any); only its size is read.

    Returns:
        float (B, H, W, C).
    """
    for axis in (1, 2):
        cells, coarse_cells = ops.shape(finer)[axis], ops.shape(coarser)[axis]
        nearest = ops.arange(cells) * coarse_cells // cells
        coarser = ops.take(coarser, nearest, axis=axis)
    return coarser
