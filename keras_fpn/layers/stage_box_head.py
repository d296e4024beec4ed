"""A box head that is the last stage of a backbone."""

import copy

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_fpn")
class StageBoxHead(keras.layers.Layer):
    """Applies a stage of a backbone to each RoI, and averages over its cells.

    Source: He et al. 2015 (arXiv:1512.03385), Appendix A, where the stage is conv5 on
    RoI features of 14x14 cells of C4; row (a) of Tables 2 and 3 of Lin et al. 2017
    (arXiv:1612.03144).

    Args:
        stage: functional model, float (N, P, P, C) -> float (N, p, p, D), such as that
            of `keras_fpn.backbones.split.split_backbone`.

    Call arguments:
        roi_features: float (B, R, P, P, C).
        training: bool.

    Returns:
        float (B, R, D).
    """

    def __init__(self, stage: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.stage = stage

    def call(self, roi_features, training=False):
        batch, rois = ops.shape(roi_features)[:2]
        hidden = ops.reshape(roi_features, (-1, *roi_features.shape[2:]))
        hidden = ops.mean(self.stage(hidden, training=training), axis=(1, 2))
        hidden = ops.reshape(hidden, (batch, rois, hidden.shape[-1]))
        return ops.cast(hidden, self.compute_dtype)  # the stage may have another dtype

    def compute_output_shape(self, roi_features_shape):
        return (*roi_features_shape[:2], self.stage.output.shape[-1])

    def get_config(self):
        stage = keras.saving.serialize_keras_object(self.stage)
        del stage["build_config"]  # it depends on the calls
        return {**super().get_config(), "stage": stage}

    @classmethod
    def from_config(cls, config):
        # Keras empties the config of a functional model that it reads.
        stage = keras.saving.deserialize_keras_object(copy.deepcopy(config["stage"]))
        return cls(**{**config, "stage": stage})
