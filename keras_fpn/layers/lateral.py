"""The lateral connection: bottom-up maps of any depth become equally deep."""

import keras

from keras_fpn.layers.conv_norm import ConvNorm


@keras.saving.register_keras_serializable(package="keras_fpn")
class LateralConnection(ConvNorm):
    """Reduces a bottom-up map C_l to the pyramid's channels by a 1x1 convolution.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3 and Fig. 3; a norm after it is
    torchvision's v2 and detectron2's option. No activation.

    Args:
        channels: int, channels of the pyramid.
        norm: as in `ConvNorm`.

    Call arguments:
        inputs: float (B, H, W, C_l).

    Returns:
        float (B, H, W, channels).
    """

    def __init__(self, channels=256, norm=None, **kwargs):
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
    # Uniform within sqrt(3 / fan_in): torchvision's and Detectron's FPN start.
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")


def _as_channels(config):
    """Returns a ConvNorm's config under the arguments of the layers here."""
    own = ("filters", "kernel_size", "kernel_initializer")
    kept = {name: value for name, value in config.items() if name not in own}
    return {**kept, "channels": config["filters"]}


@keras.saving.register_keras_serializable(package="keras_fpn")
class SmoothingConvolution(ConvNorm):
    """Smooths a merged map by a 3x3 convolution, against the aliasing of upsampling.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 3. No activation.

    Args:
        channels: int, channels of the pyramid.
        norm: as in `ConvNorm`.

    Call arguments:
        inputs: float (B, H, W, C).

    Returns:
        float (B, H, W, channels).
    """

    def __init__(self, channels=256, norm=None, **kwargs):
        super().__init__(
            channels,
            kernel_size=3,
            norm=norm,
            kernel_initializer=_pyramid_initializer(),
            **kwargs,
        )

    def get_config(self):
        return _as_channels(super().get_config())
