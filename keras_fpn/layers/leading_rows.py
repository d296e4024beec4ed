"""Cuts off the rows of a batch in which no image has found anything."""

import keras
from keras import KerasTensor, ops

from keras_fpn.ops.kernels import native_kernels_run


@keras.saving.register_keras_serializable(package="keras_fpn")
class LeadingRows(keras.layers.Layer):
    """Cuts boxes after the last detection of the image that has the most.

    A head on the remaining boxes computes nothing for padding. This needs shapes that
    depend on values, which only TensorFlow without XLA has: elsewhere the boxes are
    returned unchanged.

    Call arguments:
        boxes: float32 (B, D, 4), of which those found come first.
        num_detections: int (B,), how many are found in each image.

    Returns:
        float32 (B, D', 4), with D' between 1 and D.
    """

    def __init__(self, **kwargs):
        # Boxes are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, boxes, num_detections):
        if not native_kernels_run():
            return boxes
        # At least one, because kernels fail without any row.
        most = ops.maximum(ops.max(ops.cast(num_detections, "int32")), 1)
        return boxes[:, :most]

    def compute_output_spec(self, boxes, num_detections):
        cut = keras.backend.backend() == "tensorflow"
        rows = None if cut else boxes.shape[1]
        return KerasTensor((boxes.shape[0], rows, 4), boxes.dtype)
