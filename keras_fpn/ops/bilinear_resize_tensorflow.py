"""`bilinear_resize` by TensorFlow's own kernel, which XLA does not compile."""

import tensorflow as tf


def bilinear_resize_tensorflow(inputs, height, width):
    """Returns the same as `keras_fpn.ops.bilinear_resize.bilinear_resize`."""
    resized = tf.image.resize(inputs, (height, width))  # float32
    resized.set_shape((*resized.shape[:3], inputs.shape[3]))
    return tf.cast(resized, inputs.dtype)
