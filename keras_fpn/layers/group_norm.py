"""Group norm."""

import keras
from keras import ops

from keras_fpn.layers.channel_means import channel_means


@keras.saving.register_keras_serializable(package="keras_fpn")
class GroupNorm(keras.layers.GroupNormalization):
    """Normalizes the channels of each group to mean 0 and variance 1 in each image.

    As `keras.layers.GroupNormalization` with channels last, from which it has its
    arguments and weights. Means of groups are those of their channels' means, which on
    a CPU with TensorFlow takes less time.

    Source: Wu & He 2018 (arXiv:1803.08494), Sec. 3.

    Raises:
        ValueError: channels are not last, or there is no scale or no offset.

    Call arguments:
        inputs: float (B, H, W, C).

    Returns:
        float (B, H, W, C); computed in float32 whatever the dtype of the inputs.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.axis != -1 or not (self.scale and self.center):
            raise ValueError(
                "A GroupNorm must have channels last, a scale and an offset; received "
                f"axis={self.axis}, scale={self.scale}, center={self.center}. Use "
                "keras.layers.GroupNormalization."
            )

    def call(self, inputs):
        inputs = ops.cast(inputs, "float32")
        centered = inputs - self._group_means(inputs)
        variance = self._group_means(ops.square(centered))
        scale = self.gamma * ops.rsqrt(variance + self.epsilon)
        return ops.cast(centered * scale + self.beta, self.compute_dtype)

    def _group_means(self, maps):
        """Returns the mean of each channel's group, float (B, 1, 1, C)."""
        channels = maps.shape[-1]
        shape = (-1, self.groups, channels // self.groups)
        groups = ops.reshape(channel_means(maps), shape)
        means = ops.mean(groups, axis=-1, keepdims=True) + ops.zeros_like(groups)
        return ops.reshape(means, (-1, 1, 1, channels))
