"""The predictors of FCOS: classes, distances to sides, and centerness."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.dense_head import DensePredictor, rows_of
from keras_fpn.levels import ordered_names


@keras.saving.register_keras_serializable(package="keras_fpn")
class PointPredictor(DensePredictor):
    """Predicts class logits, distances to four sides and centerness at every cell.

    Source: Tian et al. 2019 (arXiv:1904.01355), Sec. 3.1 and 3.3. As in torchvision,
    distances are in strides and end in a ReLU, and centerness is predicted from the box
    tower.

    At the start all distances are one stride, as in the paper. In torchvision they are
    about 0, where the ReLU leaves half of them without a gradient.

    Args:
        num_classes: int, K.

    Call arguments:
        class_features, box_features: dicts "P<l>" -> float (B, H_l, W_l, C), as
            returned by `DenseHead`.

    Returns:
        logits: dict "P<l>" -> float (B, H_l * W_l, K).
        deltas: dict "P<l>" -> float (B, H_l * W_l, 4), at least 0, as in
            `keras_fpn.point_coder`.
        centerness: dict "P<l>" -> float (B, H_l * W_l), logits.
    """

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(num_classes, num_anchors=1, **kwargs)

    first_delta = 1.0  # strides

    def build(self, class_features_shape, box_features_shape):
        super().build(class_features_shape, box_features_shape)
        self.centerness = self.predicting(1, "centerness", box_features_shape)

    def call(self, class_features, box_features):
        logits, deltas = super().call(class_features, box_features)
        deltas = {name: ops.relu(deltas[name]) for name in deltas}
        centerness = {
            name: rows_of(self.centerness(box_features[name]), 1)[..., 0]
            for name in ordered_names(box_features)
        }
        return logits, deltas, centerness

    def compute_output_shape(self, class_features_shape, box_features_shape):
        logits, deltas = super().compute_output_shape(
            class_features_shape, box_features_shape
        )
        return logits, deltas, {name: shape[:-1] for name, shape in deltas.items()}

    def get_config(self):
        config = super().get_config()
        del config["num_anchors"]
        return {**config, **arguments_of(self, PointPredictor)}
