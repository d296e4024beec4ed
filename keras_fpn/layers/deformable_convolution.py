"""A convolution that learns where its kernel reads."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.ops.deform_conv import deform_conv


@keras.saving.register_keras_serializable(package="keras_fpn")
class DeformableConvolution(keras.layers.Layer):
    """Applies a modulated deformable convolution, whose offsets are predicted.

    A plain convolution of the same size predicts an offset and a factor, 0..1, for each
    position in the kernel, from the inputs or from other features. It starts at zero:
    offsets of 0 and factors of 0.5. There is no activation.

    Source: Zhu et al. 2019 (arXiv:1811.11168), Sec. 3.2; initial values and the order
    of the offsets as in the DCNv2 of FaPN's code.

    Args:
        filters: int, output channels.
        kernel_size: int, side of the kernel in cells, odd.
        deformable_groups: int, groups of channels that each have their own offsets.

    Call arguments:
        inputs: float (B, H, W, C).
        offset_features: float (B, H, W, D), from which offsets and factors are
            predicted; None means the inputs.

    Returns:
        float (B, H, W, filters).

    Raises:
        ValueError: the kernel is even, or `deformable_groups` does not divide C.
    """

    def __init__(
        self, filters: int, kernel_size: int = 3, deformable_groups: int = 1, **kwargs
    ):
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(
                "kernel_size must be odd, so that the output has the input's size; "
                f"received kernel_size={kernel_size}."
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.deformable_groups = deformable_groups

    def build(self, inputs_shape, offset_features_shape=None):
        channels = inputs_shape[-1]
        if channels % self.deformable_groups:
            raise ValueError(
                "deformable_groups must divide the channels of the inputs; received "
                f"deformable_groups={self.deformable_groups} for {channels} channels. "
                f"Use a divisor of {channels}, or other channels."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, channels, self.filters),
            # Uniform within +-1 / sqrt(fan_in).
            initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
            autocast=False,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros", autocast=False
        )
        self.predict_points = ConvNorm(
            3 * self.deformable_groups * self.kernel_size**2,
            self.kernel_size,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="predict_points",
        )
        self.predict_points.build(offset_features_shape or inputs_shape)

    def call(self, inputs, offset_features=None):
        source = inputs if offset_features is None else offset_features
        predicted = self.predict_points(source)
        count = predicted.shape[-1] // 3
        outputs = deform_conv(
            inputs,
            ops.cast(self.kernel, self.compute_dtype),
            predicted[..., : 2 * count],
            ops.sigmoid(predicted[..., 2 * count :]),
            padding=self.kernel_size // 2,
            deformable_groups=self.deformable_groups,
        )
        return outputs + ops.cast(self.bias, outputs.dtype)

    def compute_output_shape(self, inputs_shape, offset_features_shape=None):
        return (*inputs_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, DeformableConvolution)}
