"""One compiled function for a model, outside `predict` and its cost per call."""

import keras
import numpy as np


def compiled_call(model):
    """Returns a function from a dict of arrays to the model's outputs, compiled.

    TensorFlow traces it once for images of every size; JAX compiles it for each.

    Args:
        model: functional `keras.Model` with a dict of inputs.
    """
    if keras.backend.backend() == "tensorflow":
        from keras_fpn.models.compiled_tensorflow import tensorflow_call

        return tensorflow_call(model)
    import jax

    @jax.jit
    def call(trainable, fixed, inputs):
        outputs, _ = model.stateless_call(trainable, fixed, inputs, training=False)
        return outputs

    def call_with_weights(inputs):
        trainable = [variable.value for variable in model.trainable_variables]
        fixed = [variable.value for variable in model.non_trainable_variables]
        inputs = {name: np.asarray(value) for name, value in inputs.items()}
        return call(trainable, fixed, inputs)

    return call_with_weights
