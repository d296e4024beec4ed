"""Sums over all replicas of a distributed training step."""

import keras


def global_sum(value):
    """Returns the sum of a tensor over all replicas; with one, the tensor itself."""
    if keras.backend.backend() != "tensorflow":
        return value  # arrays on JAX are global
    from keras_fpn.distribute.replicas_tensorflow import all_reduced

    return all_reduced(value)


def replica_count():
    """Returns how many replicas share a step, int."""
    if keras.backend.backend() != "tensorflow":
        return 1
    from keras_fpn.distribute.replicas_tensorflow import replicas_in_sync

    return replicas_in_sync()
