"""Cuts the padding of detections, so that heads run on the found boxes only."""

import keras
from keras import KerasTensor, ops

from keras_fpn.ops.kernels import native_kernels_run


@keras.saving.register_keras_serializable(package="keras_fpn")
class LeadingRows(keras.layers.Layer):
    """Cuts the rows after the last detection of the image that has most of them.

    One row is left at least. Where shapes must be known when a graph is traced, on JAX
    and under XLA, nothing is cut.

    Call arguments:
        boxes: float32 (B, D, 4).
        num_detections: int32 (B,), 0..D.

    Returns:
        float32 (B, D', 4), the first D' <= D rows.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})

    def call(self, boxes, num_detections):
        if not native_kernels_run():
            return boxes
        rows = ops.cast(ops.max(num_detections), "int32")
        return boxes[:, : ops.maximum(rows, 1)]

    def compute_output_spec(self, boxes, num_detections):
        batch, rows, sides = boxes.shape
        dynamic = keras.backend.backend() == "tensorflow"
        return KerasTensor((batch, None if dynamic else rows, sides), "float32")
