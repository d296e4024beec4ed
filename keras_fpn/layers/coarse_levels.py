"""Adds levels coarser than the pyramid's, by subsampling or by convolutions."""

import keras
from keras import ops

from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.levels import level_number, ordered_names


@keras.saving.register_keras_serializable(package="keras_fpn")
class SubsampledLevel(keras.layers.Layer):
    """Adds one level: every second row and column of the coarsest map.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 4.1, footnote 2, where it makes P6
    for the RPN.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C).

    Returns:
        dict, the pyramid and one more level, float (B, ceil(H / 2), ceil(W / 2), C),
        where H and W are the size of the coarsest map.
    """

    def call(self, pyramid):
        coarsest = ordered_names(pyramid)[-1]
        added = f"P{level_number(coarsest) + 1}"
        return {**pyramid, added: pyramid[coarsest][:, ::2, ::2]}

    def compute_output_shape(self, pyramid_shape):
        coarsest = ordered_names(pyramid_shape)[-1]
        added = f"P{level_number(coarsest) + 1}"
        return {**pyramid_shape, added: _halved(pyramid_shape[coarsest])}


@keras.saving.register_keras_serializable(package="keras_fpn")
class ConvolvedLevels(keras.layers.Layer):
    """Adds two levels by 3x3 convolutions with stride 2 and a ReLU between them.

    Source: Lin et al. 2017 (arXiv:1708.02002), Sec. 4, footnote 2, where they make
    RetinaNet's P6 and P7 from C5. torchvision's first RetinaNet and its FCOS start from
    P5.

    Args:
        channels: int, channels of the added maps.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C).
        source: float (B, H, W, C), the map to start from, as large as the coarsest
            level's; None starts from the coarsest level.

    Returns:
        dict, the pyramid and two more levels.
    """

    def __init__(self, channels: int = 256, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, pyramid_shape, source_shape=None):
        coarsest = ordered_names(pyramid_shape)[-1]
        shape = tuple(source_shape or pyramid_shape[coarsest])
        self.convolutions = {}
        for name in _two_above(coarsest):
            self.convolutions[name] = ConvNorm(
                self.channels,
                kernel_size=3,
                strides=2,
                kernel_initializer=keras.initializers.VarianceScaling(
                    1.0, "fan_in", "uniform"
                ),
                dtype=self.dtype_policy,
                name=f"convolution_{name}",
            )
            self.convolutions[name].build(shape)
            shape = (*_halved(shape)[:-1], self.channels)

    def call(self, pyramid, source=None):
        coarsest = ordered_names(pyramid)[-1]
        finer, coarser = _two_above(coarsest)
        start = pyramid[coarsest] if source is None else source
        added = {finer: self.convolutions[finer](start)}
        added[coarser] = self.convolutions[coarser](ops.relu(added[finer]))
        return {**pyramid, **added}

    def compute_output_shape(self, pyramid_shape, source_shape=None):
        shapes = dict(pyramid_shape)
        coarsest = ordered_names(pyramid_shape)[-1]
        shape = shapes[coarsest]
        for name in _two_above(coarsest):
            shape = (*_halved(shape)[:-1], self.channels)
            shapes[name] = shape
        return shapes

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def _two_above(name):
    level = level_number(name)
    return f"P{level + 1}", f"P{level + 2}"


def _halved(shape):
    sides = (None if side is None else -(-side // 2) for side in shape[1:3])
    return (shape[0], *sides, shape[3])
