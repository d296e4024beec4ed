"""The mask head: it predicts a mask of each class within every RoI."""

import keras

from keras_fpn.config import arguments_of
from keras_fpn.layers.roi_convolutions import (
    built_convolutions,
    convolved,
    of_each_roi,
)


@keras.saving.register_keras_serializable(package="keras_fpn")
class FCNMaskHead(keras.layers.Layer):
    """Applies 3x3 convolutions with norm and ReLU to the features of RoIs.

    Source: He et al. 2017 (arXiv:1703.06870), Fig. 4, right; torchvision's v2 models
    have it with batch norm.

    Args:
        num_convs: int, number of convolutions.
        channels: int, channels of each convolution.
        norm: as in `ConvNorm`.

    Call arguments:
        roi_features: float (B, R, P, P, C).
        training: bool.

    Returns:
        float (B, R, P, P, channels).
    """

    def __init__(
        self, num_convs: int = 4, channels: int = 256, norm: str | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_convs = num_convs
        self.channels = channels
        self.norm = norm

    def build(self, roi_features_shape):
        self.convolutions = built_convolutions(
            roi_features_shape,
            self.num_convs,
            self.channels,
            self.norm,
            self.dtype_policy,
        )

    def call(self, roi_features, training=False):
        return convolved(self.convolutions, roi_features, training)

    def compute_output_shape(self, roi_features_shape):
        channels = self.channels if self.num_convs else roi_features_shape[-1]
        return (*roi_features_shape[:-1], channels)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, FCNMaskHead)}


@keras.saving.register_keras_serializable(package="keras_fpn")
class MaskPredictor(keras.layers.Layer):
    """Predicts a mask of every class, of twice as many cells as the features.

    A transposed convolution of 2x2 cells with stride 2 and ReLU, then a 1x1
    convolution.

    Source: He et al. 2017 (arXiv:1703.06870), Fig. 4, right.

    Args:
        num_classes: int, K.
        channels: int, of the transposed convolution; None for those of the features.

    Call arguments:
        hidden: float (B, R, P, P, C).

    Returns:
        float (B, R, 2 P, 2 P, K), logits.
    """

    def __init__(self, num_classes: int, channels: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.channels = channels

    def build(self, hidden_shape):
        height, width, depth = hidden_shape[2:]
        channels = depth if self.channels is None else self.channels
        self.upsample = keras.layers.Conv2DTranspose(
            channels,
            2,
            strides=2,
            activation="relu",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="upsample",
        )
        self.upsample.build((None, height, width, depth))
        self.mask_logits = keras.layers.Conv2D(
            self.num_classes,
            1,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="mask_logits",
        )
        self.mask_logits.build((None, 2 * height, 2 * width, channels))

    def call(self, hidden):
        return of_each_roi(lambda x: self.mask_logits(self.upsample(x)), hidden)

    def compute_output_shape(self, hidden_shape):
        batch, rois, height, width, _ = hidden_shape
        return (batch, rois, 2 * height, 2 * width, self.num_classes)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, MaskPredictor)}
