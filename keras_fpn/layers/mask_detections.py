"""Turns the mask predictor's logits into the masks of detections."""

import keras
from keras import KerasTensor, ops


@keras.saving.register_keras_serializable(package="keras_fpn")
class MaskDetections(keras.layers.Layer):
    """Takes the mask of each detection's own class, as probabilities.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 3.

    Call arguments:
        mask_logits: float (B, D', m, m, K), for the first D' of D detections, without
            which no detection is left out.
        labels: int (B, D), 0..K-1, -1 for padding.

    Returns:
        float32 (B, D, m, m), 0..1, padded with 0.
    """

    def __init__(self, **kwargs):
        # Probabilities are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, mask_logits, labels):
        rows, found = ops.shape(labels)[1], ops.shape(mask_logits)[1]
        own = ops.cast(labels[:, :found], "int32")
        column = ops.maximum(own, 0)[..., None, None, None]
        logits = ops.take_along_axis(
            mask_logits,
            ops.broadcast_to(column, (*ops.shape(mask_logits)[:-1], 1)),
            axis=-1,
        )
        masks = ops.sigmoid(ops.cast(logits[..., 0], "float32"))
        masks = ops.where((own >= 0)[..., None, None], masks, 0.0)
        return ops.pad(masks, ((0, 0), (0, rows - found), (0, 0), (0, 0)))

    def compute_output_spec(self, mask_logits, labels):
        return KerasTensor((*labels.shape, *mask_logits.shape[2:4]), "float32")
