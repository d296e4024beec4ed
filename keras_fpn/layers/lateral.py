"""The pyramid's convolutions: lateral connections and smoothing."""

import keras

from keras_fpn.layers.conv_norm import ConvNorm


@keras.saving.register_keras_serializable(package="keras_fpn")
class LateralConnection(ConvNorm):
    """Reduces a bottom-up map C_l to the pyramid's channels by a 1x1 convolution.

    There is no activation.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3 and Fig. 3. A norm after the
    convolution is an option in detectron2 and used by torchvision's v2 models.

    Args:
        channels: int, channels of the pyramid.
        norm: as in `ConvNorm`.

    Call arguments:
        inputs: float (B, H, W, C_l).

    Returns:
        float (B, H, W, channels).
    """

    def __init__(self, channels: int = 256, norm: str | None = None, **kwargs):
        super().__init__(
            channels,
            kernel_size=1,
            norm=norm,
            kernel_initializer=_pyramid_initializer(),
            **kwargs,
        )

    def get_config(self):
        return _as_channels(super().get_config())


def _pyramid_initializer():
    # Uniform within +-sqrt(3 / fan_in), as in the FPN of torchvision and Detectron.
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")


def _as_channels(config):
    """Turns a `ConvNorm`'s config into arguments of this module's layers."""
    own = ("filters", "kernel_size", "kernel_initializer")
    kept = {name: value for name, value in config.items() if name not in own}
    return {**kept, "channels": config["filters"]}


@keras.saving.register_keras_serializable(package="keras_fpn")
class SmoothingConvolution(ConvNorm):
    """Smooths a merged map by a 3x3 convolution, to reduce aliasing from upsampling.

    There is no activation.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3.

    Args:
        channels: int, channels of the pyramid.
        norm: as in `ConvNorm`.

    Call arguments:
        inputs: float (B, H, W, C).

    Returns:
        float (B, H, W, channels).
    """

    def __init__(self, channels: int = 256, norm: str | None = None, **kwargs):
        super().__init__(
            channels,
            kernel_size=3,
            norm=norm,
            kernel_initializer=_pyramid_initializer(),
            **kwargs,
        )

    def get_config(self):
        return _as_channels(super().get_config())
