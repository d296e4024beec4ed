"""The class of models that can be trained on several devices."""

import keras


def model_class():
    """Returns `keras.Model`, or the subclass that `tf.distribute` can train."""
    if keras.backend.backend() != "tensorflow":
        return keras.Model
    from keras_fpn.distribute.model_tensorflow import DistributedModel

    return DistributedModel
