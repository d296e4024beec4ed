"""`compiled_function` on TensorFlow."""

import tensorflow as tf


def tensorflow_function(model, function):
    """Returns the function as one `tf.function`, traced once for all sizes."""
    signature = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }

    @tf.function(input_signature=[signature])
    def call(inputs):
        return function(inputs)

    return call
