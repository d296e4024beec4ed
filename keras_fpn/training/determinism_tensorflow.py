"""Bit-equal repetition on TensorFlow."""

import tensorflow as tf


def make_deterministic():
    """Lets TensorFlow use only operations that repeat their results to the bit.

    `keras.utils.set_random_seed` must have been called, or be called, too.
    """
    tf.config.experimental.enable_op_determinism()
