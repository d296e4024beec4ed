"""Convolution, normalisation, activation: the one building block of all parts."""

import math

import keras
from keras import ops

from keras_fpn.distribute.replicas import global_sum, replica_count

NORMS = ("frozen_batch", "batch", "group")
BATCH_MOMENTUM = 0.9  # torchvision's 0.1, said the other way round
GROUPS = 32  # Wu & He 2018 (arXiv:1803.08494), Sec. 4


@keras.saving.register_keras_serializable(package="keras_fpn")
class ConvNorm(keras.layers.Layer):
    """Convolves, normalises, activates.

    In inference, and always with frozen statistics, a batch norm is folded into the
    convolution's kernel and bias, in float32: it costs nothing per pixel, and an
    epsilon of 0 stays safe in half precision.

    Source: frozen batch norm as in torchvision.ops.FrozenBatchNorm2d; group norm of
    Wu & He 2018 (arXiv:1803.08494).

    Args:
        filters: int, output channels.
        kernel_size: int, cells per side.
        strides: int.
        padding: "symmetric", the same zeros on both sides, kernel_size // 2 (torch); or
            "same", more at the bottom and right where strides leave a choice (TF).
        norm: None, a bias and no norm; "frozen_batch", stored statistics and affine,
            nothing trained; "batch", live statistics in training, of the batch on all
            replicas; "group".
        epsilon: float, added to the variance.
        activation: str or callable as in `keras.activations`, or None.
        kernel_initializer: str or `keras.initializers.Initializer`.

    Call arguments:
        inputs: float (B, H, W, C).
        training: bool, whether a live batch norm uses and updates the batch's own
            statistics.

    Returns:
        float (B, ceil(H / strides), ceil(W / strides), filters).

    Raises:
        ValueError: an unknown norm or padding.
    """

    def __init__(
        self,
        filters,
        kernel_size=1,
        strides=1,
        padding="symmetric",
        norm=None,
        epsilon=1e-5,
        activation=None,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if norm is not None and norm not in NORMS:
            raise ValueError(
                f"norm must be None or one of {NORMS}; received norm={norm!r}."
            )
        if padding not in ("symmetric", "same"):
            raise ValueError(
                f"padding must be 'symmetric' or 'same'; received padding={padding!r}."
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.norm = norm
        self.epsilon = epsilon
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self._float32_weight(
            "kernel", self._kernel_shape(input_shape[-1]), self.kernel_initializer
        )
        channels = (self.filters,)
        if self.norm is None:
            self.bias = self._float32_weight("bias", channels, "zeros")
        elif self.norm == "group":
            self.group_norm = keras.layers.GroupNormalization(
                math.gcd(GROUPS, channels[0]),
                epsilon=self.epsilon,
                dtype=self.dtype_policy,
                name="group_norm",
            )
            self.group_norm.build((*input_shape[:-1], *channels))
        else:
            live = self.norm == "batch"
            for name, start, trained in (
                ("gamma", "ones", live),
                ("beta", "zeros", live),
                ("moving_mean", "zeros", False),
                ("moving_variance", "ones", False),
            ):
                weight = self._float32_weight(name, channels, start, trained)
                setattr(self, name, weight)

    def call(self, inputs, training=False):
        if self.norm == "group":
            outputs = self.group_norm(self._convolve(inputs, self.kernel))
        elif self.norm == "batch" and training and self.trainable:
            outputs = self._batch_norm(self._convolve(inputs, self.kernel))
        else:
            kernel, bias = self.folded()
            outputs = self._convolve(inputs, kernel)
            outputs = outputs + ops.cast(bias, outputs.dtype)
        return self.activation(outputs)

    def folded(self):
        """Returns the kernel and the bias, float32, with a batch norm folded in.

        Raises:
            ValueError: the norm is a group norm: it depends on each image.
        """
        if self.norm == "group":
            raise ValueError(
                "A norm must be none or a batch norm to be folded into its kernel; "
                f"received norm='group' of the layer {self.name!r}, whose statistics "
                "are each image's own. Leave that layer as it is."
            )
        if self.norm is None:
            return self.kernel, self.bias
        scale = self.gamma / ops.sqrt(self.moving_variance + self.epsilon)
        bias = self.beta - self.moving_mean * scale
        return self._scale_kernel(self.kernel, scale), bias

    def compute_output_shape(self, input_shape):
        height, width = (
            None if side is None else -(-side // self.strides)
            for side in input_shape[1:3]
        )
        return input_shape[0], height, width, self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "norm": self.norm,
            "epsilon": self.epsilon,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _float32_weight(self, name, shape, initializer, trainable=True):
        # autocast=False: folding needs the full float32 value under mixed precision.
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=trainable,
            autocast=False,
        )

    def _kernel_shape(self, channels):
        return (self.kernel_size, self.kernel_size, channels, self.filters)

    def _scale_kernel(self, kernel, scale):
        return kernel * scale

    def _convolve(self, inputs, kernel):
        kernel = ops.cast(kernel, self.compute_dtype)
        margin = self.kernel_size // 2
        if self.padding == "same" or margin == 0 or self.strides == 1:
            return self._bare_convolution(inputs, kernel, "same")
        sides = ((0, 0), (margin, margin), (margin, margin), (0, 0))
        return self._bare_convolution(ops.pad(inputs, sides), kernel, "valid")

    def _bare_convolution(self, inputs, kernel, padding):
        return ops.conv(inputs, kernel, self.strides, padding, "channels_last")

    def _batch_norm(self, outputs):
        outputs = ops.cast(outputs, "float32")
        mean, variance = _batch_moments(outputs)
        for stored, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            stored.assign(stored * BATCH_MOMENTUM + value * (1.0 - BATCH_MOMENTUM))
        outputs = (outputs - mean) / ops.sqrt(variance + self.epsilon)
        return ops.cast(outputs * self.gamma + self.beta, self.compute_dtype)


def _batch_moments(outputs):
    """Returns mean and variance, float32 (C,), of a batch, on all of its replicas."""
    axes, replicas = (0, 1, 2), replica_count()
    if replicas == 1:
        return ops.moments(outputs, axes)
    mean = global_sum(ops.mean(outputs, axes)) / replicas
    variance = ops.mean(ops.square(outputs - mean), axes)
    return mean, global_sum(variance) / replicas


@keras.saving.register_keras_serializable(package="keras_fpn")
class DepthwiseConvNorm(ConvNorm):
    """`ConvNorm` with one kernel per channel; `filters` is the input's channels."""

    def _kernel_shape(self, channels):
        if channels != self.filters:
            raise ValueError(
                "filters must be the input's channel count, a depthwise convolution "
                f"keeps it; received filters={self.filters} for {channels} channels."
            )
        return (self.kernel_size, self.kernel_size, channels, 1)

    def _scale_kernel(self, kernel, scale):
        return kernel * scale[:, None]

    def _bare_convolution(self, inputs, kernel, padding):
        return ops.depthwise_conv(
            inputs, kernel, self.strides, padding, "channels_last"
        )
