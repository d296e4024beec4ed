"""A detector as one TensorFlow function for servers."""

import keras
import tensorflow as tf

from keras_fpn.models.fold import fold_batch_norms


def detect_call(model, frozen):
    """Returns the model as a function of images and sizes, for inference alone.

    Args:
        model: `keras_fpn.models.Detector`; it is not changed.
        frozen: bool, whether the weights are constants of the function or variables.

    Returns:
        the tf.function, traced; and list of tf.Variable, all that it refers to.
    """
    model = fold_batch_norms(model)
    constants = [(w, w.numpy()) for w in model.weights] if frozen else []

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, None, 3), tf.float32, "images"),
            tf.TensorSpec((None, 2), tf.float32, "image_sizes"),
        ],
        autograph=False,
    )
    def detect(images, image_sizes):
        mapping = [(weight, tf.constant(value)) for weight, value in constants]
        with keras.StatelessScope(mapping):
            inputs = {"images": images, "image_sizes": image_sizes}
            return model(inputs, training=False)

    return detect, list(detect.get_concrete_function().graph.variables)
