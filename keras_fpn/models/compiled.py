"""Compiles functions of a model, without the overhead of `predict` per call."""

from collections.abc import Callable

import keras
import numpy as np


def compiled_call(model: keras.Model):
    """Returns a compiled function from a dict of arrays to the model's outputs.

    Args:
        model: functional `keras.Model` with a dict of inputs.
    """
    return compiled_function(model, lambda inputs: model(inputs, training=False))


def compiled_function(model: keras.Model, function: Callable):
    """Returns the compiled form of a function of a model's inputs.

    TensorFlow traces it once for all image sizes; JAX compiles it for each size.

    Args:
        model: functional `keras.Model` with a dict of inputs.
        function: function from that dict to tensors; it may call the model's layers.
    """
    if keras.backend.backend() == "tensorflow":
        from keras_fpn.models.compiled_tensorflow import tensorflow_function

        return tensorflow_function(model, function)
    import jax

    @jax.jit
    def call(values, inputs):
        # Values are arguments, so that training the model needs no new compilation.
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(inputs)

    def call_with_weights(inputs):
        values = [variable.value for variable in model.variables]
        return call(values, {key: np.asarray(value) for key, value in inputs.items()})

    return call_with_weights
