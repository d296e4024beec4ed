"""The ways to use a backbone's maps with which the paper compares its pyramid.

Source: Lin et al. 2017 (arXiv:1612.03144), Fig. 1 and Tables 1 to 3.
"""

import keras

from keras_fpn.config import arguments_of
from keras_fpn.layers.lateral import LateralConnection, SmoothingConvolution
from keras_fpn.layers.top_down import upsampled
from keras_fpn.levels import ordered_names, pyramid_name


@keras.saving.register_keras_serializable(package="keras_fpn")
class SingleMap(keras.layers.Layer):
    """Passes on one of the backbone's maps, without any convolution.

    Source: Lin et al. 2017 (arXiv:1612.03144), Fig. 1(b), and rows (a) and (b) of
    Tables 1 to 3, where it is C4 or C5.

    Args:
        level: str, "C<l>".

    Call arguments:
        bottom_up: dict "C<l>" -> float (B, H_l, W_l, C_l).

    Returns:
        dict with only "P<l>", the map of that level.

    Raises:
        ValueError: the backbone does not have this level.
    """

    def __init__(self, level: str, **kwargs):
        super().__init__(**kwargs)
        self.level = level

    def build(self, bottom_up_shape):
        if self.level not in bottom_up_shape:
            raise ValueError(
                "level must be one of the backbone's maps, "
                f"{ordered_names(bottom_up_shape)}; received level={self.level!r}."
            )

    def call(self, bottom_up):
        return {pyramid_name(self.level): bottom_up[self.level]}

    def compute_output_shape(self, bottom_up_shape):
        return {pyramid_name(self.level): bottom_up_shape[self.level]}

    def get_config(self):
        return {**super().get_config(), "level": self.level}


@keras.saving.register_keras_serializable(package="keras_fpn")
class NoTopDown(keras.layers.Layer):
    """Merges nothing: the `merge` of a pyramid without the top-down pathway.

    Source: Lin et al. 2017 (arXiv:1612.03144), row (d) of Tables 1 and 2. It simulates
    the pyramidal feature hierarchy of Fig. 1(c).

    Call arguments:
        lateral: float (B, H, W, C).
        coarser: float (B, h, w, C), not read.

    Returns:
        lateral, unchanged.
    """

    def call(self, lateral, coarser):
        return lateral

    def compute_output_shape(self, lateral_shape, coarser_shape):
        return lateral_shape


@keras.saving.register_keras_serializable(package="keras_fpn")
class TopDownWithoutLateral(keras.layers.Layer):
    """Upsamples the coarsest map level by level, without lateral connections.

    M_l = upsample(M_{l+1}) and P_l = smooth(M_l). At the coarsest level, M_l is a 1x1
    convolution of C_l. Of the finer maps only the size is read.

    Source: Lin et al. 2017 (arXiv:1612.03144), row (e) of Tables 1 and 2.

    Args:
        channels, norm: as in `FeaturePyramid`.

    Call arguments:
        bottom_up: dict "C<l>" -> float (B, H_l, W_l, C_l), contiguous levels.

    Returns:
        dict "P<l>" -> float (B, H_l, W_l, channels), the same levels.
    """

    def __init__(self, channels: int = 256, norm: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = norm

    def build(self, bottom_up_shape):
        self.names = ordered_names(bottom_up_shape)
        coarsest = bottom_up_shape[self.names[-1]]
        self.reduce = self._convolution(LateralConnection, "reduce", coarsest)
        merged = (*coarsest[:-1], self.channels)
        self.smooth = {
            name: self._convolution(SmoothingConvolution, f"smooth_{name}", merged)
            for name in self.names
        }

    def call(self, bottom_up, training=False):
        pyramid = {}
        merged = self.reduce(bottom_up[self.names[-1]], training=training)
        for name in reversed(self.names):  # top-down
            merged = upsampled(merged, bottom_up[name])
            pyramid[pyramid_name(name)] = self.smooth[name](merged, training=training)
        return pyramid

    def compute_output_shape(self, bottom_up_shape):
        return {
            pyramid_name(name): (*shape[:-1], self.channels)
            for name, shape in bottom_up_shape.items()
        }

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, TopDownWithoutLateral)}

    def _convolution(self, kind, name, shape):
        layer = kind(self.channels, norm=self.norm, dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer
