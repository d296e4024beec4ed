"""What Keras 3.15 lacks to train a detector on several replicas of `tf.distribute`.

With one replica all is as in `keras.Model`, but that `fit` recovers from a failed one.
"""

import keras
import tensorflow as tf

from keras_fpn.distribute.optimizer_tensorflow import adapt_to_replicas


class DistributedModel(keras.Model):
    """A `keras.Model` for `fit` and `evaluate` on several replicas and machines.

    It must be built when it is first trained, as functional models are.
    """

    def train_step(self, data):
        """Returns the metrics after one step on the share of a batch of a replica."""
        return _reducible(super().train_step(data), self.distribute_strategy)

    def test_step(self, data):
        """Returns the metrics after the share of a batch, without training."""
        return _reducible(super().test_step(data), self.distribute_strategy)

    def make_train_function(self, force=False):
        """Makes `train_function`, with an optimizer that updates as on one replica.

        The optimizer is built here. Keras would build it while it makes the graph, and
        if the graph then failed, for wrong targets say, the next could not be made:
        TensorFlow lets a graph create variables only once.
        """
        strategy, optimizer = self.distribute_strategy, self.optimizer
        if optimizer is not None and not optimizer.built:
            with strategy.scope():
                optimizer.build(self.trainable_variables)
        if strategy.num_replicas_in_sync > 1:
            adapt_to_replicas(optimizer)
        return super().make_train_function(force)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds nothing on several replicas: a functional model is built.

        Keras would load a batch for its shapes and add it up over all replicas, which
        fails for booleans and on several machines.
        """
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super()._maybe_symbolic_build(iterator, data_batch)


def _reducible(logs, strategy):
    """Returns the logs of a step in the shape that Keras reduces over all replicas.

    On several machines it takes the mean along the first axis, which scalars lack
    (Keras issue 20585).
    """
    machines = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if machines and strategy.extended._in_multi_worker_mode():
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
    return logs
