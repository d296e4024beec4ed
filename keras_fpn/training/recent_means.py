"""Losses of the last steps, from the means over an epoch that Keras reports."""

import collections

import numpy as np

from keras_fpn.distribute.inner_optimizers import inner_optimizers

_STEPS = 50  # that a shown loss is the mean of


class RecentMeans:
    """Turns the logs of a step, means since the epoch began, into means of late.

    Args:
        steps: int, how many of the last steps a mean is over.
    """

    def __init__(self, steps=_STEPS):
        self.steps = steps
        self._sums = collections.deque(maxlen=steps + 1)  # (steps so far, sums by name)

    def begin_epoch(self, done=0):
        """Forgets the epoch before.

        Args:
            done: int, steps of the epoch that an earlier process took: its means cover
                these, too.
        """
        self._sums.clear()
        if done == 0:
            self._sums.append((0, {}))

    def add(self, done, logs):
        """Takes the logs after a step.

        Args:
            done: int, steps of the epoch so far.
            logs: dict of name -> number, as Keras gives them.

        Returns:
            dict of name -> float, the means over the last steps.
        """
        means = {name: as_float(value) for name, value in (logs or {}).items()}
        self._sums.append((done, {name: done * mean for name, mean in means.items()}))
        first, before = self._sums[0]
        if first == done:  # nothing is known of the steps before
            return means
        last = self._sums[-1][1]
        return {
            name: (last[name] - before.get(name, 0.0)) / (done - first) for name in last
        }


def as_float(value):
    """Returns a number of Keras's logs as a float.

    Of several replicas' values, which some strategies leave as they are, the mean.
    """
    return float(np.mean(np.asarray(value)))


def learning_rate(model):
    """Returns the learning rate of a model's next step, float, also while it trains.

    Of several optimizers' rates the highest.
    """
    # JAX: `fit` holds the step's number, and gives it back to the model when asked.
    synchronize = getattr(model, "jax_state_sync", None)
    if synchronize is not None:
        synchronize()
    optimizers = inner_optimizers(model.optimizer)
    return max(as_float(optimizer.learning_rate) for optimizer in optimizers)
