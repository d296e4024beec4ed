"""Makes TensorFlow look for devices at a time of our choice."""

import tensorflow as tf


def look_for_devices():
    """Lets TensorFlow say now, and not amid a command's output, what it finds.

    It computes nothing: devices can still be configured.
    """
    tf.config.list_physical_devices()
