"""Sums over all replicas of `tf.distribute`."""

import tensorflow as tf


def all_reduced(value):
    """Returns the sum of a tensor, or of each in a list, over the replicas in sync."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def replicas_in_sync():
    """Returns the number of replicas that `all_reduced` adds up, int."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync
