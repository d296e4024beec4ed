"""What Keras 3.15 lacks to train a detector on several replicas of `tf.distribute`.

With one replica everything is as in `keras.Model`.
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
        """Makes `train_function`, with an optimizer that updates as on one replica."""
        if self.distribute_strategy.num_replicas_in_sync > 1:
            adapt_to_replicas(self.optimizer)
        return super().make_train_function(force)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds the optimizer, the only part of a functional model left to build.

        Keras would load a batch for its shapes and add it up over all replicas, which
        fails for booleans and on several machines.
        """
        strategy = self._distribute_strategy
        if strategy is None or strategy.num_replicas_in_sync == 1:
            super()._maybe_symbolic_build(iterator, data_batch)
        elif self.optimizer is not None and not self.optimizer.built:
            with strategy.scope():
                self.optimizer.build(self.trainable_variables)


def _reducible(logs, strategy):
    """Returns the logs of a step in the shape that Keras reduces over all replicas.

    On several machines it takes the mean along the first axis, which scalars lack
    (Keras issue 20585).
    """
    machines = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if machines and strategy.extended._in_multi_worker_mode():
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
    return logs
