"""The head of one-stage detectors: classes and boxes at every cell of the pyramid."""

import math

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.levels import ordered_names, rows_of_map

# Probability of every class at the start. With 0.5, the many negatives would make the
# first steps diverge (Lin et al. 2017, arXiv:1708.02002, Sec. 3.3).
PRIOR = 0.01


@keras.saving.register_keras_serializable(package="keras_fpn")
class DenseHead(keras.layers.Layer):
    """Two towers of 3x3 convolutions, one for classes and one for boxes.

    All levels share the weights. The statistics of norms are those of each level.

    Source: Lin et al. 2017 (arXiv:1708.02002), Sec. 4 and Fig. 3. torchvision's v2 has
    group norms.

    Args:
        num_convs: int >= 1, number of convolutions in each tower.
        norm: as in `ConvNorm`, after each convolution.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C).
        training: bool, as in `ConvNorm`.

    Returns:
        class_features, box_features: dicts "P<l>" -> float (B, H_l, W_l, C).

    Raises:
        ValueError: `num_convs` is below 1.
    """

    def __init__(self, num_convs: int = 4, norm: str | None = None, **kwargs):
        super().__init__(**kwargs)
        if num_convs < 1:
            raise ValueError(
                "A dense head must have at least one convolution; received "
                f"num_convs={num_convs}."
            )
        self.num_convs = num_convs
        self.norm = norm

    def build(self, pyramid_shape):
        shape = tuple(pyramid_shape[ordered_names(pyramid_shape)[0]])
        self.class_tower = self._tower("class", shape)
        self.box_tower = self._tower("box", shape)

    def call(self, pyramid, training=False):
        class_features, box_features = {}, {}
        for name in ordered_names(pyramid):
            class_features[name] = box_features[name] = pyramid[name]
            for convolution in self.class_tower:
                class_features[name] = convolution(
                    class_features[name], training=training
                )
            for convolution in self.box_tower:
                box_features[name] = convolution(box_features[name], training=training)
        return class_features, box_features

    def compute_output_shape(self, pyramid_shape):
        return dict(pyramid_shape), dict(pyramid_shape)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, DenseHead)}

    def _tower(self, name, shape):
        tower = []
        for number in range(1, self.num_convs + 1):
            convolution = self.convolution(shape[-1], f"{name}_{number}")
            convolution.build(shape)
            tower.append(convolution)
        return tower

    def convolution(self, channels: int, name: str):
        """Returns a new convolution of a tower, not built."""
        return ConvNorm(
            channels,
            3,
            norm=self.norm,
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=self.dtype_policy,
            name=name,
        )


@keras.saving.register_keras_serializable(package="keras_fpn")
class DensePredictor(keras.layers.Layer):
    """Predicts class logits and box deltas for every anchor on every level.

    Source: Lin et al. 2017 (arXiv:1708.02002), Sec. 4.

    Args:
        num_classes: int, K.
        num_anchors: int, A, anchors per cell.

    Call arguments:
        class_features, box_features: dicts "P<l>" -> float (B, H_l, W_l, C), as
            returned by `DenseHead`.

    Returns:
        logits: dict "P<l>" -> float (B, H_l * W_l * A, K).
        deltas: dict "P<l>" -> float (B, H_l * W_l * A, 4), as in
            `keras_fpn.box_coder`.
    """

    def __init__(self, num_classes: int, num_anchors: int = 9, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.num_anchors = num_anchors

    first_delta = 0.0  # bias of the box deltas at the start: boxes are their anchors

    def build(self, class_features_shape, box_features_shape):
        self.class_logits = self.predicting(
            self.num_anchors * self.num_classes,
            "class_logits",
            class_features_shape,
            bias=-math.log(1 / PRIOR - 1),
        )
        self.box_deltas = self.predicting(
            4 * self.num_anchors, "box_deltas", box_features_shape, self.first_delta
        )

    def call(self, class_features, box_features):
        logits, deltas = {}, {}
        for name in ordered_names(class_features):
            classes = self.class_logits(class_features[name])
            logits[name] = rows_of(classes, self.num_classes)
            deltas[name] = rows_of(self.box_deltas(box_features[name]), 4)
        return logits, deltas

    def compute_output_shape(self, class_features_shape, box_features_shape):
        rows = {
            name: (shape[0], rows_of_map(shape, self.num_anchors))
            for name, shape in class_features_shape.items()
        }
        logits = {name: (*shape, self.num_classes) for name, shape in rows.items()}
        return logits, {name: (*shape, 4) for name, shape in rows.items()}

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, DensePredictor)}

    def predicting(self, filters: int, name: str, shapes: dict, bias: float = 0.0):
        """Returns a new 3x3 convolution that predicts from a tower's maps, built.

        Args:
            filters: int, predictions per cell.
            name: str.
            shapes: dict "P<l>" -> shape of the map.
            bias: float, its bias at the start.
        """
        layer = ConvNorm(
            filters,
            3,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.bias_initializer = keras.initializers.Constant(bias)
        layer.build(tuple(shapes[ordered_names(shapes)[0]]))
        return layer


def rows_of(predictions, width: int):
    """Returns a map of predictions (B, H, W, A * width) as (B, H * W * A, width).

    The anchors of a cell are next to each other, in the order of the anchors' layer.
    """
    return ops.reshape(predictions, (ops.shape(predictions)[0], -1, width))
