"""`compiled_function` for the TensorFlow backend."""

import tensorflow as tf


def tensorflow_function(model, function):
    """Returns the function as a `tf.function`, traced once for all image sizes."""
    signature = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }

    @tf.function(input_signature=[signature], autograph=False)
    def call(inputs):
        return function(inputs)

    return call
