"""A detector as one TensorFlow function for servers."""

import keras
import tensorflow as tf

from keras_fpn.models.fold import fold_batch_norms


def detect_call(model, frozen):
    """Returns the model as a function of its inputs, for inference alone.

    Args:
        model: `keras_fpn.models.Detector`; it is not changed.
        frozen: bool, whether the weights are constants of the function or variables.

    Returns:
        the tf.function, traced; and list of tf.Variable, all that it refers to.
    """
    model = fold_batch_norms(model)
    constants = [(w, w.numpy()) for w in model.weights] if frozen else []

    shapes = {"images": (None, None, 3), "image_sizes": (2,), **model.extra_inputs}
    specs = {
        name: tf.TensorSpec((None, *shape), tf.float32, name)
        for name, shape in shapes.items()
    }

    @tf.function(input_signature=[specs], autograph=False)
    def detect(inputs):
        mapping = [(weight, tf.constant(value)) for weight, value in constants]
        with keras.StatelessScope(mapping):
            return model(inputs, training=False)

    return detect, list(detect.get_concrete_function().graph.variables)
