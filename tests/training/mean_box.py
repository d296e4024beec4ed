"""A detector that finds one box in each image and compiles in a second."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from keras_fpn.layers import ConvNorm
from keras_fpn.models import Detector, Parts
from keras_fpn.preprocessing import Preprocessing


@dataclass(frozen=True)
class MeanBoxParts(Parts):
    backbone: Any
    box: Any


class MeanBox(Detector):
    """One convolution with a live batch norm; its loss depends on the step too."""

    loss_names = ("box_loss",)

    def __init__(self, class_names, category_ids):
        images = keras.Input((None, None, 3), name="images")
        x = ConvNorm(8, 3, 4, norm="batch", activation="relu", name="stem")(images)
        backbone = keras.Model(images, {"C2": x}, name="backbone")
        parts = MeanBoxParts(backbone, layers.Dense(4, name="box"))
        preprocessing = Preprocessing(64, 96, mean=(0.0,) * 3, std=(1.0,) * 3)
        super().__init__(
            parts, preprocessing, class_names, category_ids, name="mean_box"
        )

    @staticmethod
    def stages(parts, images, image_sizes):
        mean = ops.mean(parts.backbone(images)["C2"], axis=(1, 2))
        seen = ops.concatenate([mean, image_sizes / 96], axis=-1)
        return {"image_sizes": image_sizes, "box": parts.box(seen)}

    @staticmethod
    def results(parts, stages, **limits):
        boxes = stages["box"][:, None]
        scores = ops.ones_like(boxes[:, :, 0])
        return {
            "boxes": boxes,
            "labels": ops.cast(ops.zeros_like(scores), "int32"),
            "scores": scores,
            "num_detections": ops.cast(scores[:, 0], "int32"),
        }

    def stage_losses(self, stages, truth, seed, step, training):
        growth = 1.0 + ops.cast(step, "float32")
        wanted = growth * ops.mean(truth.boxes, axis=1) / 96
        squares = ops.sum((stages["box"] - wanted) ** 2, axis=1)
        yield {"box_loss": ops.sum(squares * truth.weights)}, ops.sum(truth.weights)
