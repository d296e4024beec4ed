"""The cross entropy of upsampled logits by TensorFlow's own kernels.

The kernel of the cross entropy computes its gradient in the same pass, over the logits.
So only one tensor of all pixels is held, and the loop over phases would be slower.
"""

import tensorflow as tf

from keras_fpn.ops.bilinear_resize_tensorflow import bilinear_resize_tensorflow


def cross_entropy_tensorflow(logits, labels, weights, factor: int):
    """Returns the same as `cross_entropy_portable` of `upsampled_cross_entropy`."""
    height, width = tf.unstack(tf.shape(labels)[1:])
    logits = bilinear_resize_tensorflow(logits, height, width)
    entropies = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.reduce_sum(entropies * weights)
