"""The head of the region proposal network (RPN)."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.levels import ordered_names, rows_of_map


@keras.saving.register_keras_serializable(package="keras_fpn")
class RPNHead(keras.layers.Layer):
    """Predicts objectness and box deltas for every anchor on every level.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1. The weights are shared by all
    levels as in Lin et al. 2017 (arXiv:1612.03144), Sec. 4.1, who also compare with
    heads that are not shared. torchvision's v2 models have two convolutions.

    Args:
        num_anchors: int, A, anchors per cell.
        num_convs: int >= 1, number of 3x3 convolutions before the predictors.
        shared: bool; True uses the same weights on all levels, False separate ones.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C).

    Returns:
        objectness: dict "P<l>" -> float (B, H_l * W_l * A), logits.
        deltas: dict "P<l>" -> float (B, H_l * W_l * A, 4), as in
            `keras_fpn.box_coder`.

    Raises:
        ValueError: `num_convs` is below 1.
    """

    def __init__(
        self, num_anchors: int = 3, num_convs: int = 1, shared: bool = True, **kwargs
    ):
        super().__init__(**kwargs)
        if num_convs < 1:
            raise ValueError(
                "An RPN head must have at least one convolution; received "
                f"num_convs={num_convs}."
            )
        self.num_anchors = num_anchors
        self.num_convs = num_convs
        self.shared = shared

    def build(self, pyramid_shape):
        self.towers = {}
        for name in ordered_names(pyramid_shape):
            if self.shared and self.towers:
                self.towers[name] = next(iter(self.towers.values()))
            else:
                suffix = "" if self.shared else f"_{name}"
                self.towers[name] = self._tower(pyramid_shape[name], suffix)

    def call(self, pyramid):
        objectness, deltas = {}, {}
        for name, tower in self.towers.items():
            convolutions, predict_objectness, predict_deltas = tower
            hidden = pyramid[name]
            for convolution in convolutions:
                hidden = convolution(hidden)
            batch = ops.shape(hidden)[0]
            logits = predict_objectness(hidden)
            objectness[name] = ops.reshape(logits, (batch, -1))
            deltas[name] = ops.reshape(predict_deltas(hidden), (batch, -1, 4))
        return objectness, deltas

    def compute_output_shape(self, pyramid_shape):
        objectness = {
            name: (shape[0], rows_of_map(shape, self.num_anchors))
            for name, shape in pyramid_shape.items()
        }
        return objectness, {name: (*shape, 4) for name, shape in objectness.items()}

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, RPNHead)}

    def _tower(self, shape, suffix):
        channels = shape[-1]
        convolutions = [
            self._convolution(channels, 3, f"conv{number}{suffix}", "relu")
            for number in range(1, self.num_convs + 1)
        ]
        objectness = self._convolution(self.num_anchors, 1, f"objectness{suffix}")
        deltas = self._convolution(4 * self.num_anchors, 1, f"deltas{suffix}")
        for layer in (*convolutions, objectness, deltas):
            layer.build(shape)
        return convolutions, objectness, deltas

    def _convolution(self, filters, kernel_size, name, activation=None):
        return ConvNorm(
            filters,
            kernel_size,
            activation=activation,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=self.dtype_policy,
            name=name,
        )
