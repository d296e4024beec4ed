"""`global_sum` under `tf.distribute`."""

import tensorflow as tf


def all_reduced(value):
    """Returns the sum of `value` over the replicas in sync."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def replicas_in_sync():
    """Returns the number of replicas in sync, int."""
    return tf.distribute.get_strategy().num_replicas_in_sync
