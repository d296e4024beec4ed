"""A detector's call for servers: batch norms are in the kernels, weights held once."""

import contextlib

import keras
import tensorflow as tf

from keras_fpn.layers import ConvNorm

_BATCH_NORMS = ("frozen_batch", "batch")


def folded_call(model, frozen):
    """Returns the model as a function of images and sizes, for inference alone.

    `ConvNorm` multiplies its batch norm into its kernel with every call, for the
    statistics may have changed since. A served model's cannot: here it is done once,
    and the products take the place of kernels and statistics.

    Args:
        model: `keras_fpn.models.Detector`; it is not changed.
        frozen: bool, whether the weights are constants of the function or variables.

    Returns:
        the tf.function, traced; and list of tf.Variable, all that it refers to.
    """
    folded = {
        layer: [_held(layer, value, frozen) for value in layer.folded()]
        # Keras has no public name for the list of all layers within layers.
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
    """Returns the weights that have no folded ones in their place, with their values.

    A function keeps its constants even where nothing uses them.
    """
    replaced = {id(weight) for layer in folded for weight in layer.weights}
    return [
        (weight, weight.numpy())
        for weight in model.weights
        if id(weight) not in replaced
    ]
