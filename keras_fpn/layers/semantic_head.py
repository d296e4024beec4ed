"""The semantic head: it assigns classes to pixels, not to objects."""

import keras
from keras import KerasTensor, ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.ops.bilinear_upsample import bilinear_upsample

STRIDE = 4  # pixels per cell of the semantic head's maps
FINEST = "P2"  # the level with this stride
MOST_CLASSES = 255  # labels are uint8, of which 255 means "not labelled"


@keras.saving.register_keras_serializable(package="keras_fpn")
class SemanticFPNHead(keras.layers.Layer):
    """Merges all levels of a pyramid into one map of stride 4.

    On each level, 3x3 convolutions with norm and ReLU, of which all but those of P2 are
    followed by bilinear upsampling by 2, until the map has the size of P2. The maps of
    all levels are added.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3, Fig. 3; numbers as in
    detectron2.

    Args:
        channels: int, D, channels of each convolution.
        norm: as in `ConvNorm`.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C), from P2 on.
        training: bool, as in `ConvNorm`.

    Returns:
        float (B, H_2, W_2, D).

    Raises:
        ValueError: the pyramid does not begin at P2.
    """

    def __init__(self, channels: int = 128, norm: str | None = "group", **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = norm

    def build(self, pyramid_shape):
        names = ordered_names(pyramid_shape)
        if names[0] != FINEST:
            raise ValueError(
                "A semantic head reads the levels from P2 on, whose stride is 4; "
                f"received a pyramid of {names}. Use a backbone with a map C2."
            )
        # Keras tracks the layers of lists that are whole when they are assigned.
        self.convolutions = {
            name: self._convolutions(name, pyramid_shape[name]) for name in names
        }

    def call(self, pyramid, training=False):
        height, width = ops.shape(pyramid[FINEST])[1:3]
        merged = 0.0
        for name in ordered_names(pyramid):
            features = pyramid[name]
            for convolution in self.convolutions[name]:
                features = convolution(features, training=training)
                if _doublings(name):
                    features = bilinear_upsample(features, 2)
            # Of an odd number of cells, a coarser level has half, rounded up.
            merged = merged + features[:, :height, :width]
        return merged

    def compute_output_shape(self, pyramid_shape):
        return (*pyramid_shape[FINEST][:-1], self.channels)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, SemanticFPNHead)}

    def _convolutions(self, name, shape):
        """Returns the convolutions of a level, built, a list."""
        built = []
        for number in range(1, max(1, _doublings(name)) + 1):
            convolution = ConvNorm(
                self.channels,
                3,
                norm=self.norm,
                activation="relu",
                dtype=self.dtype_policy,
                name=f"{name}_conv{number}",
            )
            convolution.build(tuple(shape))
            built.append(convolution)
            shape = (shape[0], None, None, self.channels)
        return built


def _doublings(name):
    """Returns how often a level's map must be upsampled by 2, int."""
    return level_number(name) - level_number(FINEST)


class _PixelPredictor(keras.layers.Layer):
    """A 1x1 convolution to logits, which are float32 under every dtype policy."""

    def build(self, features_shape):
        if not 1 <= self.outputs <= MOST_CLASSES:
            raise ValueError(
                f"Pixels must have 1 to {MOST_CLASSES} classes, because labels are "
                f"uint8 and 255 means not labelled; received {self.outputs}."
            )
        self.logits = keras.layers.Conv2D(
            self.outputs,
            1,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="logits",
        )
        self.logits.build(features_shape)

    def call(self, features):
        return ops.cast(self.logits(features), "float32")

    def compute_output_spec(self, features):
        return KerasTensor((*features.shape[:-1], self.outputs), "float32")

    @property
    def outputs(self) -> int:
        """Number of logits per cell."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_fpn")
class SemanticPredictor(_PixelPredictor):
    """Predicts the class of every cell.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3.

    Args:
        num_classes: int, K, 1..255.

    Call arguments:
        features: float (B, h, w, D).

    Returns:
        float32 (B, h, w, K), logits of a softmax.

    Raises:
        ValueError: the number of classes is out of range.
    """

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes

    @property
    def outputs(self):
        return self.num_classes

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="keras_fpn")
class StuffPredictor(_PixelPredictor):
    """Predicts the stuff class of every cell, or that it belongs to some thing.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3: all things are one class.

    Args:
        num_stuff: int, classes of stuff, 0..254.

    Call arguments:
        features: float (B, h, w, D).

    Returns:
        float32 (B, h, w, 1 + num_stuff), logits of a softmax; 0 is "things".

    Raises:
        ValueError: the number of classes is out of range.
    """

    def __init__(self, num_stuff: int, **kwargs):
        super().__init__(**kwargs)
        self.num_stuff = num_stuff

    @property
    def outputs(self):
        return 1 + self.num_stuff

    def get_config(self):
        return {**super().get_config(), "num_stuff": self.num_stuff}
