"""The keypoint head: heat maps of an object's keypoints from its RoI."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.ops.bilinear_resize import bilinear_resize


@keras.saving.register_keras_serializable(package="keras_fpn")
class KeypointHead(keras.layers.Layer):
    """Applies 3x3 convolutions with ReLU to the features of each RoI.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 5.

    Args:
        num_convs: int, number of convolutions.
        channels: int, D, channels of each convolution.

    Call arguments:
        roi_features: float (B, R, P, P, C).

    Returns:
        float (B, R, P, P, D).
    """

    def __init__(self, num_convs: int = 8, channels: int = 512, **kwargs):
        super().__init__(**kwargs)
        self.num_convs = num_convs
        self.channels = channels

    def build(self, roi_features_shape):
        shape = (None, *roi_features_shape[2:])
        self.convolutions = []
        for number in range(1, self.num_convs + 1):
            convolution = ConvNorm(
                self.channels,
                kernel_size=3,
                activation="relu",
                dtype=self.dtype_policy,
                name=f"conv{number}",
            )
            convolution.build(shape)
            self.convolutions.append(convolution)
            shape = (*shape[:-1], self.channels)

    def call(self, roi_features):
        hidden = ops.reshape(roi_features, (-1, *roi_features.shape[2:]))
        for convolution in self.convolutions:
            hidden = convolution(hidden)
        outer = ops.shape(roi_features)[:2]
        return ops.reshape(hidden, (*outer, *hidden.shape[1:]))

    def compute_output_shape(self, roi_features_shape):
        return (*roi_features_shape[:-1], self.channels)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, KeypointHead)}


@keras.saving.register_keras_serializable(package="keras_fpn")
class KeypointPredictor(keras.layers.Layer):
    """Predicts a heat map for each keypoint, four times as large as the features.

    A transposed 4x4 convolution doubles the resolution, and bilinear interpolation
    doubles it again.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 5; the order of the two as in
    torchvision and detectron2.

    Args:
        num_keypoints: int, J.

    Call arguments:
        hidden: float (B, R, P, P, D).

    Returns:
        float (B, R, 4 P, 4 P, J), logits of a softmax over the cells of each map.
    """

    def __init__(self, num_keypoints: int = 17, **kwargs):
        super().__init__(**kwargs)
        self.num_keypoints = num_keypoints

    def build(self, hidden_shape):
        self.upsample = keras.layers.Conv2DTranspose(
            self.num_keypoints,
            kernel_size=4,
            strides=2,
            padding="same",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="upsample",
        )
        self.upsample.build((None, *hidden_shape[2:]))

    def call(self, hidden):
        maps = self.upsample(ops.reshape(hidden, (-1, *hidden.shape[2:])))
        height, width = maps.shape[1:3]
        maps = bilinear_resize(maps, 2 * height, 2 * width)
        outer = ops.shape(hidden)[:2]
        return ops.reshape(maps, (*outer, *maps.shape[1:]))

    def compute_output_shape(self, hidden_shape):
        batch, rois, height, width, _ = hidden_shape
        return (batch, rois, 4 * height, 4 * width, self.num_keypoints)

    def get_config(self):
        return {**super().get_config(), "num_keypoints": self.num_keypoints}
