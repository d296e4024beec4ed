"""A detector that finds one box in each image and compiles in a second."""

import keras
from keras import layers, ops

from keras_fpn.layers import ConvNorm
from keras_fpn.models.detector import Detector
from keras_fpn.preprocessing import Preprocessing


class MeanBox(Detector):
    """One convolution with a live batch norm; its loss depends on the step too."""

    loss_names = ("box_loss",)

    def __init__(self, class_names, category_ids):
        images = keras.Input((None, None, 3), name="images")
        sizes = keras.Input((2,), name="image_sizes")
        x = layers.Rescaling(1 / 255, name="rescale")(images)
        x = ConvNorm(8, 3, 4, norm="batch", activation="relu", name="stem")(x)
        x = layers.Concatenate(name="join")([layers.GlobalAvgPool2D()(x), sizes / 96])
        box = layers.Dense(4, name="box")(x)
        super().__init__(
            {"images": images, "image_sizes": sizes},
            {"box": box},
            lambda box: box,
            Preprocessing(64, 96),
            class_names,
            category_ids,
            name="mean_box",
        )
        self.trunk = keras.Model(self.input, {"box": box}, name="trunk")

    def stage_losses(self, stages, truth, seed, step, training):
        growth = 1.0 + ops.cast(step, "float32")
        wanted = growth * ops.mean(truth.boxes, axis=1) / 96
        squares = ops.sum((stages["box"] - wanted) ** 2, axis=1)
        yield {"box_loss": ops.sum(squares * truth.weights)}, ops.sum(truth.weights)

    def parts(self):
        return {}
