"""The class of models that can be trained on several devices, and after a failure."""

import keras


def model_class():
    """Returns the subclass of `keras.Model` for the backend."""
    if keras.backend.backend() == "tensorflow":
        from keras_fpn.distribute.model_tensorflow import DistributedModel

        return DistributedModel
    from keras_fpn.distribute.model_jax import RecoveringModel

    return RecoveringModel
