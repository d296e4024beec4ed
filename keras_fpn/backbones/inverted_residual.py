"""The block of which MobileNets consist.

Source: Sandler et al. 2018 (arXiv:1801.04381), Fig. 3; Howard et al. 2019
(arXiv:1905.02244), Fig. 4, with squeeze and excitation.
"""

import keras

from keras_fpn.layers.conv_norm import ConvNorm, DepthwiseConvNorm


def inverted_residual(
    x, kernel_size, expanded, filters, excite, activation, strides, name, settings
):
    """Returns the map after one block: expanded, convolved by channel, projected.

    Args:
        x: float (B, H, W, C).
        kernel_size, strides: int, of the convolution by channel.
        expanded: int, channels within the block; if C, nothing is expanded.
        filters: int, channels of the result.
        excite: bool, whether to weight the channels by squeeze and excitation.
        activation: str, within the block.
        name: str, prefix of the names of the layers.
        settings: dict, further arguments of every `ConvNorm`.
    """
    hidden = x
    if expanded != x.shape[-1]:
        expand = ConvNorm(
            expanded, 1, activation=activation, name=f"{name}_expand", **settings
        )
        hidden = expand(hidden)
    depthwise = DepthwiseConvNorm(
        expanded,
        kernel_size,
        strides,
        activation=activation,
        name=f"{name}_depthwise",
        **settings,
    )
    hidden = depthwise(hidden)
    if excite:
        hidden = _squeeze_and_excite(hidden, f"{name}_excite")
    hidden = ConvNorm(filters, 1, name=f"{name}_project", **settings)(hidden)
    if strides == 1 and x.shape[-1] == filters:
        hidden = keras.layers.Add(name=f"{name}_add")([x, hidden])
    return hidden


def _squeeze_and_excite(x, name):
    channels = x.shape[-1]
    squeezed = rounded_channels(channels / 4)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    gate = ConvNorm(squeezed, activation="relu", name=f"{name}_squeeze")(gate)
    gate = ConvNorm(channels, activation="hard_sigmoid", name=f"{name}_gate")(gate)
    return keras.layers.Multiply(name=f"{name}_multiply")([x, gate])


def rounded_channels(channels):
    """Returns the multiple of 8 nearest to `channels`, not below 90 % of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
