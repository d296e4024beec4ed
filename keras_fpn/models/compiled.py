"""One compiled function for a model, outside `predict` and its cost per call."""

import keras
import numpy as np


def compiled_call(model):
    """Returns a function from a dict of arrays to the model's outputs, compiled.

    Args:
        model: functional `keras.Model` with a dict of inputs.
    """
    return compiled_function(model, lambda inputs: model(inputs, training=False))


def compiled_function(model, function):
    """Returns a function of a model's inputs, compiled.

    TensorFlow traces it once for images of every size; JAX compiles it for each.

    Args:
        model: functional `keras.Model` with a dict of inputs.
        function: from that dict to tensors; it may call any of the model's layers.
    """
    if keras.backend.backend() == "tensorflow":
        from keras_fpn.models.compiled_tensorflow import tensorflow_function

        return tensorflow_function(model, function)
    import jax

    @jax.jit
    def call(values, inputs):
        # Layers read these values in place of the variables' own.
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(inputs)

    def call_with_weights(inputs):
        values = [variable.value for variable in model.variables]
        return call(values, {key: np.asarray(value) for key, value in inputs.items()})

    return call_with_weights
