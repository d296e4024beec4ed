"""The pyramid's convolutions: lateral connections and smoothing."""

import keras

from keras_fpn.layers.conv_norm import ConvNorm


class _PyramidConvolution(ConvNorm):
    """A convolution of one size to the pyramid's channels, without activation."""

    cells: int  # per side of the kernel

    def __init__(self, channels: int = 256, norm: str | None = None, **kwargs):
        # Uniform within +-sqrt(3 / fan_in), as in the FPN of torchvision and Detectron.
        start = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        super().__init__(
            channels, self.cells, norm=norm, kernel_initializer=start, **kwargs
        )

    def get_config(self):
        config = super().get_config()
        del config["kernel_size"], config["kernel_initializer"]
        config["channels"] = config.pop("filters")
        return config


@keras.saving.register_keras_serializable(package="keras_fpn")
class LateralConnection(_PyramidConvolution):
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

    cells = 1


@keras.saving.register_keras_serializable(package="keras_fpn")
class SmoothingConvolution(_PyramidConvolution):
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

    cells = 3
