"""A detector's call for servers: batch norms are folded into the kernels."""

import contextlib

import keras
import tensorflow as tf

from keras_fpn.layers import ConvNorm

_BATCH_NORMS = ("frozen_batch", "batch")


def folded_call(model, frozen: bool):
    """Returns the model as a function of images and sizes, for inference only.

    `ConvNorm` multiplies its batch norm into its kernel in every call, because the
    statistics may have changed. Those of a served model cannot change: here it is done
    once, and the products replace kernels and statistics.

    Args:
        model: `keras_fpn.models.Detector`; it is not changed.
        frozen: whether the weights are constants of the function instead of variables.

    Returns:
        the traced tf.function; and the list of all tf.Variables that it uses.
    """
    folded = {
        layer: [_held(layer, value, frozen) for value in layer.folded()]
        # Keras has no public way to list all nested layers.
        for layer in model._flatten_layers()
        if isinstance(layer, ConvNorm) and layer.norm in _BATCH_NORMS
    }
    constants = _constants(model, folded) if frozen else []

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, None, 3), tf.float32, "images"),
            tf.TensorSpec((None, 2), tf.float32, "image_sizes"),
        ],
        autograph=False,
    )
    def detect(images, image_sizes):
        inputs = {"images": images, "image_sizes": image_sizes}
        with contextlib.ExitStack() as stack:
            for layer, values in folded.items():
                kernel, bias = map(tf.constant, values) if frozen else values
                stack.enter_context(layer.folded_before(kernel, bias))
            mapping = [(variable, tf.constant(value)) for variable, value in constants]
            stack.enter_context(keras.StatelessScope(mapping))
            return model(inputs, training=False)

    return detect, list(detect.get_concrete_function().graph.variables)


def _held(layer, value, frozen):
    value = keras.ops.convert_to_numpy(value)
    return value if frozen else tf.Variable(value, trainable=False, name=layer.name)


def _constants(model, folded):
    """Returns the weights that were not replaced by folded ones, with their values.

    Replaced ones are left out, because a function keeps constants that nothing uses.
    """
    replaced = {id(weight) for layer in folded for weight in layer.weights}
    return [
        (weight, weight.numpy())
        for weight in model.weights
        if id(weight) not in replaced
    ]
