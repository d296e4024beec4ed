"""Box heads: they classify RoIs and refine their boxes."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.roi_convolutions import built_convolutions, convolved


@keras.saving.register_keras_serializable(package="keras_fpn")
class TwoFCBoxHead(keras.layers.Layer):
    """Applies two fully connected layers with ReLU to the flattened RoI features.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 4.2.

    Args:
        channels: int, D, units of each layer.

    Call arguments:
        roi_features: float (B, R, P, P, C).

    Returns:
        float (B, R, D).
    """

    def __init__(self, channels: int = 1024, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, roi_features_shape):
        batch, rois, height, width, depth = roi_features_shape
        self.fc1 = self._fully_connected("fc1", (batch, rois, height * width * depth))
        self.fc2 = self._fully_connected("fc2", (batch, rois, self.channels))

    def call(self, roi_features):
        return self.fc2(self.fc1(_flatten(roi_features)))

    def compute_output_shape(self, roi_features_shape):
        return (*roi_features_shape[:2], self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}

    def _fully_connected(self, name, input_shape):
        layer = keras.layers.Dense(
            self.channels, activation="relu", dtype=self.dtype_policy, name=name
        )
        layer.build(input_shape)
        return layer


@keras.saving.register_keras_serializable(package="keras_fpn")
class ConvBoxHead(keras.layers.Layer):
    """Applies 3x3 convolutions with norm and ReLU, then one fully connected layer.

    Source: Wu & He 2018 (arXiv:1803.08494), Sec. 4.2 ("4conv1fc"); torchvision's v2
    models have it with batch norm.

    Args:
        num_convs: int, number of convolutions.
        conv_channels: int, channels of each convolution.
        channels: int, D, units of the fully connected layer.
        norm: as in `ConvNorm`.

    Call arguments:
        roi_features: float (B, R, P, P, C).
        training: bool.

    Returns:
        float (B, R, D).
    """

    def __init__(
        self,
        num_convs: int = 4,
        conv_channels: int = 256,
        channels: int = 1024,
        norm: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_convs = num_convs
        self.conv_channels = conv_channels
        self.channels = channels
        self.norm = norm

    def build(self, roi_features_shape):
        self.convolutions = built_convolutions(
            roi_features_shape,
            self.num_convs,
            self.conv_channels,
            self.norm,
            self.dtype_policy,
        )
        batch, rois, height, width, depth = roi_features_shape
        if self.num_convs:
            depth = self.conv_channels
        self.fc = keras.layers.Dense(
            self.channels, activation="relu", dtype=self.dtype_policy, name="fc"
        )
        self.fc.build((batch, rois, height * width * depth))

    def call(self, roi_features, training=False):
        return self.fc(_flatten(convolved(self.convolutions, roi_features, training)))

    def compute_output_shape(self, roi_features_shape):
        return (*roi_features_shape[:2], self.channels)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, ConvBoxHead)}


@keras.saving.register_keras_serializable(package="keras_fpn")
class BoxPredictor(keras.layers.Layer):
    """Predicts class logits, and box deltas for every class, by two sibling layers.

    Source: Girshick 2015 (arXiv:1504.08083), Sec. 2.1. The background is the last
    column of the logits and has no deltas.

    Args:
        num_classes: int, K, without the background.

    Call arguments:
        hidden: float (B, R, D).

    Returns:
        class_logits: float (B, R, K + 1).
        box_deltas: float (B, R, K, 4), as in `keras_fpn.box_coder`.
    """

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes

    # Whether all classes share one box.
    class_agnostic = False

    @property
    def boxes_per_roi(self):
        """int, how many boxes are predicted for each RoI."""
        return 1 if self.class_agnostic else self.num_classes

    def build(self, hidden_shape):
        self.class_logits = self._dense("class_logits", self.num_classes + 1, 0.01)
        self.box_deltas = self._dense("box_deltas", self.boxes_per_roi * 4, 0.001)
        self.class_logits.build(hidden_shape)
        self.box_deltas.build(hidden_shape)

    def call(self, hidden):
        batch, rois = ops.shape(hidden)[:2]
        deltas = self.box_deltas(hidden)
        deltas = ops.reshape(deltas, (batch, rois, self.boxes_per_roi, 4))
        return self.class_logits(hidden), deltas

    def compute_output_shape(self, hidden_shape):
        outer = tuple(hidden_shape[:2])
        return (*outer, self.num_classes + 1), (*outer, self.boxes_per_roi, 4)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}

    def _dense(self, name, units, stddev):
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
            dtype=self.dtype_policy,
            name=name,
        )


@keras.saving.register_keras_serializable(package="keras_fpn")
class ClassAgnosticBoxPredictor(BoxPredictor):
    """A `BoxPredictor` whose classes share one box.

    Source: Dai et al. 2016 (arXiv:1605.06409), Sec. 3; Cascade R-CNN in detectron2.

    Args:
        num_classes: int, K, without the background.

    Call arguments:
        hidden: float (B, R, D).

    Returns:
        class_logits: float (B, R, K + 1).
        box_deltas: float (B, R, 1, 4), as in `keras_fpn.box_coder`.
    """

    class_agnostic = True


def _flatten(roi_features):
    """Returns float (B, R, P * P * C), in the order rows, columns, channels."""
    shape = roi_features.shape
    flat = shape[2] * shape[3] * shape[4]
    return ops.reshape(roi_features, (*ops.shape(roi_features)[:2], flat))
