"""TensorFlow's kernel of the cross entropy of a softmax and its gradient."""

import tensorflow as tf


def entropy_and_gradient(logits, labels):
    """Returns the same as `_entropy_and_gradient` of `upsampled_cross_entropy`."""
    shape = tf.shape(logits)
    entropies, gradients = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
        features=tf.reshape(logits, (-1, logits.shape[-1])),
        labels=tf.reshape(labels, [-1]),
    )
    return tf.reshape(entropies, shape[:-1]), tf.reshape(gradients, shape)
