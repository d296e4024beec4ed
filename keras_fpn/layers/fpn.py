"""The feature pyramid: lateral connections, top-down merges, smoothing."""

import keras

from keras_fpn.layers.lateral import LateralConnection, SmoothingConvolution
from keras_fpn.layers.top_down import TopDownMerge
from keras_fpn.levels import ordered_names, pyramid_name


@keras.saving.register_keras_serializable(package="keras_fpn")
class FeaturePyramid(keras.layers.Layer):
    """Adds the meaning of coarse levels to the detail of fine ones.

    M_l = lateral(C_l) + upsample(M_{l+1}) and P_l = smooth(M_l); the coarsest level has
    nothing added.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3, Fig. 3. No deviation.

    Args:
        channels: int, channels of every pyramid map.
        norm: as in `ConvNorm`, after each of its convolutions.
        fuse: as in `TopDownMerge`.

    Call arguments:
        bottom_up: dict "C<l>" -> float (B, H_l, W_l, C_l), contiguous levels.

    Returns:
        dict "P<l>" -> float (B, H_l, W_l, channels), the same levels.

    Raises:
        ValueError: no level, or one missing between the finest and the coarsest.
    """

    def __init__(self, channels=256, norm=None, fuse="sum", **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = norm
        self.fuse = fuse

    def build(self, bottom_up_shape):
        self.names = ordered_names(bottom_up_shape)
        self.merge = TopDownMerge(self.fuse, dtype=self.dtype_policy, name="merge")
        self.lateral, self.smooth = {}, {}
        for name in self.names:
            shape = bottom_up_shape[name]
            self.lateral[name] = self._convolution(LateralConnection, "lateral", name)
            self.lateral[name].build(shape)
            self.smooth[name] = self._convolution(SmoothingConvolution, "smooth", name)
            self.smooth[name].build((*shape[:-1], self.channels))

    def call(self, bottom_up, training=False):
        pyramid, coarser = {}, None
        for name in reversed(self.names):  # top-down
            merged = self.lateral[name](bottom_up[name], training=training)
            if coarser is not None:
                merged = self.merge(merged, coarser)
            smoothed = self.smooth[name](merged, training=training)
            pyramid[pyramid_name(name)] = smoothed
            coarser = merged
        return pyramid

    def compute_output_shape(self, bottom_up_shape):
        return {
            pyramid_name(name): (*shape[:-1], self.channels)
            for name, shape in bottom_up_shape.items()
        }

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "norm": self.norm,
            "fuse": self.fuse,
        }

    def _convolution(self, kind, role, name):
        return kind(
            self.channels,
            norm=self.norm,
            dtype=self.dtype_policy,
            name=f"{role}_{name}",
        )
