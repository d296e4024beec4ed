"""Decodes the boxes of one stage of a cascade, which are the RoIs of the next."""

import keras
from keras import KerasTensor, ops

from keras_fpn.box_coder import BoxCoder, with_coder
from keras_fpn.boxes import clip_boxes


@keras.saving.register_keras_serializable(package="keras_fpn")
class RefinedBoxes(keras.layers.Layer):
    """Decodes the box that all classes share, and clips it to the image.

    No gradient flows through the boxes.

    Source: Cai and Vasconcelos 2018 (arXiv:1712.00726), Sec. 4.1.

    Args:
        coder: `BoxCoder` that decodes the deltas.

    Call arguments:
        box_deltas: float (B, R, 1, 4).
        rois: float (B, R, 4), xyxy, input-image pixels.
        image_sizes: float (B, 2), height and width without the padding, pixels.

    Returns:
        float32 (B, R, 4), xyxy, input-image pixels.
    """

    def __init__(self, coder: BoxCoder, **kwargs):
        # Boxes are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.coder = coder

    def call(self, box_deltas, rois, image_sizes):
        deltas = ops.cast(box_deltas, "float32")[:, :, 0]
        boxes = self.coder.decode(deltas, ops.cast(rois, "float32"))
        boxes = clip_boxes(boxes, ops.cast(image_sizes, "float32"))
        return ops.stop_gradient(boxes)

    def compute_output_spec(self, box_deltas, rois, image_sizes):
        return KerasTensor(rois.shape, "float32")

    def get_config(self):
        coder = keras.saving.serialize_keras_object(self.coder)
        return {**super().get_config(), "coder": coder}

    @classmethod
    def from_config(cls, config):
        return cls(**with_coder(config))


@keras.saving.register_keras_serializable(package="keras_fpn")
class MeanProbabilities(keras.layers.Layer):
    """Averages the class probabilities of the stages of a cascade.

    Source: Cai and Vasconcelos 2018 (arXiv:1712.00726), Sec. 4.2; the mean is
    detectron2's.

    Call arguments:
        class_logits: list of float (B, R, K + 1), one for each stage.

    Returns:
        float32 (B, R, K + 1), logits whose softmax is the mean of the probabilities.
    """

    def __init__(self, **kwargs):
        # Probabilities are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, class_logits):
        stages = [ops.softmax(ops.cast(one, "float32")) for one in class_logits]
        return ops.log(sum(stages) / len(stages))

    def compute_output_spec(self, class_logits):
        return KerasTensor(class_logits[0].shape, "float32")
