"""What Keras 3.15 lacks to train a detector on several replicas under `tf.distribute`.

With one replica all is as `keras.Model` has it.
"""

import keras
import tensorflow as tf

from keras_fpn.distribute.optimizer_tensorflow import adapt_to_replicas


class DistributedModel(keras.Model):
    """A `keras.Model` that `fit` and `evaluate` bring to several replicas and machines.

    It must be complete when it is first trained, as functional models are.
    """

    def train_step(self, data):
        """Returns the metrics after one step on a replica's share of a batch."""
        return _reducible(super().train_step(data), self.distribute_strategy)

    def test_step(self, data):
        """Returns the metrics after one batch's share, without training."""
        return _reducible(super().test_step(data), self.distribute_strategy)

    def make_train_function(self, force=False):
        """Makes `train_function`, with an optimizer that works as on one replica."""
        if self.distribute_strategy.num_replicas_in_sync > 1:
            adapt_to_replicas(self.optimizer)
        return super().make_train_function(force)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds the optimizer, all that is left to build of a functional model.

        Keras looks at the shapes of a first batch, which it adds up over all replicas:
        that is loaded for nothing, and fails for booleans, and on several machines.
        """
        strategy = self._distribute_strategy
        if strategy is None or strategy.num_replicas_in_sync == 1:
            super()._maybe_symbolic_build(iterator, data_batch)
        elif self.optimizer is not None and not self.optimizer.built:
            with strategy.scope():
                self.optimizer.build(self.trainable_variables)


def _reducible(logs, strategy):
    """Returns a step's logs in the shape that Keras reduces over all replicas.

    On several machines it takes the mean along the first axis, which scalars have not
    (Keras issue 20585).
    """
    machines = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if machines and strategy.extended._in_multi_worker_mode():
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
    return logs
