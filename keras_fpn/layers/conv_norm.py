"""Convolution, norm, activation: the building block of backbones, necks and heads."""

import math
from collections.abc import Callable

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.distribute.replicas import global_sum, replica_count
from keras_fpn.layers.channel_means import channel_means
from keras_fpn.layers.group_norm import GroupNorm

NORMS = ("frozen_batch", "batch", "group", "biased_group")
BATCH_MOMENTUM = 0.9  # PyTorch's 0.1: it defines the momentum as 1 minus this
GROUPS = 32  # Wu & He 2018 (arXiv:1803.08494), Sec. 4


@keras.saving.register_keras_serializable(package="keras_fpn")
class ConvNorm(keras.layers.Layer):
    """Applies a convolution, a norm and an activation.

    In inference, and always if its statistics are frozen, a batch norm is folded into
    the kernel and bias of the convolution. It then costs nothing per pixel, and because
    it is folded in float32, an epsilon of 0 is safe in half precision.

    Source: frozen batch norm as in torchvision.ops.FrozenBatchNorm2d; group norm as in
    Wu & He 2018 (arXiv:1803.08494).

    Args:
        filters: int, output channels.
        kernel_size: int, side of the kernel in cells.
        strides: int, the same in both directions.
        padding: str. "symmetric" pads kernel_size // 2 zeros on every side, as PyTorch
            does. "same" is TensorFlow's, which with strides above 1 may pad more at the
            bottom and right than at the top and left.
        norm: str or None. None means no norm. "frozen_batch" is a batch norm whose
            statistics, scale and offset are never changed by training. "batch" is a
            batch norm whose statistics in training are those of the batch on all
            replicas. "group" is a group norm; "biased_group" is one after a bias, which
            is not without effect, because groups have several channels.
        epsilon: float, added to the variance.
        activation: str or callable as in `keras.activations`, or None.
        kernel_initializer: str or `keras.initializers.Initializer`.
        use_bias: bool, whether there is a bias where `norm` is None.

    Call arguments:
        inputs: float (B, H, W, C).
        training: bool, whether norm "batch" uses the batch's statistics and updates the
            moving ones.

    Returns:
        float (B, ceil(H / strides), ceil(W / strides), filters).

    Raises:
        ValueError: `norm` or `padding` is unknown.

    Attributes:
        bias_initializer: str or `keras.initializers.Initializer`; a layer that makes
            this one can replace it before it is built.
    """

    # Not an argument: runs that older versions began are resumed only with equal
    # configs, and theirs do not have it.
    bias_initializer: str | keras.initializers.Initializer = "zeros"

    def __init__(
        self,
        filters: int,
        kernel_size: int = 1,
        strides: int = 1,
        padding: str = "symmetric",
        norm: str | None = None,
        epsilon: float = 1e-5,
        activation: str | Callable | None = None,
        kernel_initializer: str | keras.initializers.Initializer = "he_normal",
        use_bias: bool = True,
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
        self.use_bias = use_bias

    def build(self, input_shape):
        self.kernel = self._float32_weight(
            "kernel", self._kernel_shape(input_shape[-1]), self.kernel_initializer
        )
        channels = (self.filters,)
        self.bias = None
        if self.norm == "biased_group" or (self.norm is None and self.use_bias):
            self.bias = self._float32_weight("bias", channels, self.bias_initializer)
        if self._is_group:
            self.group_norm = GroupNorm(
                math.gcd(GROUPS, channels[0]),
                epsilon=self.epsilon,
                dtype=self.dtype_policy,
                name="group_norm",
            )
            self.group_norm.build((*input_shape[:-1], *channels))
        elif self.norm is not None:
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
        if self._is_group:
            outputs = self._convolve(inputs, self.kernel)
            if self.bias is not None:
                outputs = outputs + ops.cast(self.bias, outputs.dtype)
            outputs = self.group_norm(outputs)
        elif self.norm == "batch" and training and self.trainable:
            outputs = self._batch_norm(self._convolve(inputs, self.kernel))
        else:
            kernel, bias = self.folded()
            outputs = self._convolve(inputs, kernel)
            if bias is not None:
                outputs = outputs + ops.cast(bias, outputs.dtype)
        return self.activation(outputs)

    def folded(self):
        """Returns the kernel and the bias, float32, with the batch norm folded in.

        Without a norm and with use_bias=False, the bias is None.

        Raises:
            ValueError: the norm is a group norm, which cannot be folded because its
                statistics depend on each image.
        """
        if self._is_group:
            raise ValueError(
                "To be folded into the kernel, norm must be None, 'frozen_batch' or "
                f"'batch'; received norm={self.norm!r} of the layer {self.name!r}, "
                "whose statistics depend on each image. Leave that layer as it is."
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
            **arguments_of(self, ConvNorm),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @property
    def _is_group(self):
        return self.norm in ("group", "biased_group")

    def _float32_weight(self, name, shape, initializer, trainable=True):
        # autocast=False: under mixed precision, folding still needs float32 values.
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
            # With stride 1, or a kernel of one cell, both kinds of padding are equal.
            return self.bare_convolution(inputs, kernel, "same")
        sides = ((0, 0), (margin, margin), (margin, margin), (0, 0))
        return self.bare_convolution(ops.pad(inputs, sides), kernel, "valid")

    def bare_convolution(self, inputs, kernel, padding):
        """Returns the convolution without bias, norm and activation; see `ops.conv`.

        Args:
            inputs: float (B, H, W, C).
            kernel: float (k, k, C, filters), of the dtype of the inputs.
            padding: "same" or "valid".
        """
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
    """Returns mean and variance, float32 (C,), of the batch on all replicas."""
    mean = _batch_means(outputs)
    return mean, _batch_means(ops.square(outputs - mean))


def _batch_means(maps):
    """Returns the mean of each channel, float32 (C,), of the batch on all replicas."""
    return global_sum(ops.mean(channel_means(maps), axis=0)) / replica_count()


@keras.saving.register_keras_serializable(package="keras_fpn")
class DepthwiseConvNorm(ConvNorm):
    """`ConvNorm` with one kernel per channel.

    `filters` must be the number of channels of the input, because a depthwise
    convolution does not change it.
    """

    def _kernel_shape(self, channels):
        if channels != self.filters:
            raise ValueError(
                "filters of a depthwise convolution must be the input's channels; "
                f"received filters={self.filters} for {channels} channels."
            )
        return (self.kernel_size, self.kernel_size, channels, 1)

    def _scale_kernel(self, kernel, scale):
        return kernel * scale[:, None]

    def bare_convolution(self, inputs, kernel, padding):
        """Returns the depthwise convolution alone; its kernel is (k, k, C, 1)."""
        return ops.depthwise_conv(
            inputs, kernel, self.strides, padding, "channels_last"
        )
