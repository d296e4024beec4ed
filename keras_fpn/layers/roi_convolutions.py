"""Rows of convolutions on the features of RoIs, as several heads have them."""

from keras import ops

from keras_fpn.layers.conv_norm import ConvNorm


def built_convolutions(
    roi_features_shape, num_convs: int, channels: int, norm: str | None, dtype
):
    """Returns 3x3 convolutions with norm and ReLU, a list of built `ConvNorm`s.

    Args:
        roi_features_shape: (B, R, P, P, C) of what the first one reads.
        num_convs: int, how many.
        channels: int, of each.
        norm: as in `ConvNorm`.
        dtype: dtype policy of the head.
    """
    shape = (None, *roi_features_shape[2:])
    convolutions = []
    for number in range(1, num_convs + 1):
        convolution = ConvNorm(
            channels,
            kernel_size=3,
            norm=norm,
            activation="relu",
            dtype=dtype,
            name=f"conv{number}",
        )
        convolution.build(shape)
        convolutions.append(convolution)
        shape = (*shape[:-1], channels)
    return convolutions


def convolved(convolutions, roi_features, training: bool = False):
    """Returns what the last of the convolutions gives, float (B, R, P, P, channels).

    Args:
        convolutions: list, as returned by `built_convolutions`.
        roi_features: float (B, R, P, P, C).
        training: bool.
    """

    def in_turn(maps):
        for convolution in convolutions:
            maps = convolution(maps, training=training)
        return maps

    return of_each_roi(in_turn, roi_features)


def of_each_roi(function, roi_features):
    """Returns the result of a function of maps (N, H, W, C) for RoIs (B, R, H, W, C).

    Args:
        function: float (N, H, W, C) -> float (N, H', W', C').
        roi_features: float (B, R, H, W, C).

    Returns:
        float (B, R, H', W', C').
    """
    outer = ops.shape(roi_features)[:2]
    maps = function(ops.reshape(roi_features, (-1, *roi_features.shape[2:])))
    return ops.reshape(maps, (*outer, *maps.shape[1:]))
