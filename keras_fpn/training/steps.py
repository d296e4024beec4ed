"""What callbacks know of a step: its number, recent losses, the learning rate."""

import collections

import keras
import numpy as np

from keras_fpn.distribute.inner_optimizers import inner_optimizers

_STEPS = 50  # that a shown loss is the mean of


class StepCallback(keras.callbacks.Callback):
    """A callback that counts the steps of a training over all calls of `fit`.

    A subclass that overrides one of its methods calls it first.

    Args:
        steps_per_epoch: of a whole epoch.
        start_step: steps that were taken before, by an earlier process.

    Attributes:
        step: int, steps of the training so far.
        epoch: int, the current epoch, from 0.
        first_step: int, `step` when this process began or resumed the epoch.
    """

    def __init__(self, steps_per_epoch: int, start_step: int = 0):
        super().__init__()
        self.steps_per_epoch, self.step = steps_per_epoch, start_step
        self.epoch, self.first_step = 0, start_step

    @property
    def step_of_epoch(self):
        """int, steps of the current epoch so far, of all processes."""
        return self.step - self.epoch * self.steps_per_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.first_step = epoch, self.step

    def on_train_batch_end(self, batch, logs=None):
        # `fit` counts from 0 also when it begins within an epoch.
        self.step = self.first_step + batch + 1


class RecentMeans:
    """Turns the logs of Keras, means since the epoch began, into means of last steps.

    Args:
        steps: how many of the last steps a mean is over.
    """

    def __init__(self, steps: int = _STEPS):
        self.steps = steps
        self._sums = collections.deque(maxlen=steps + 1)  # (steps so far, sums by name)

    def begin_epoch(self, done: int = 0):
        """Forgets the previous epoch.

        Args:
            done: steps of the epoch that an earlier process took; the logs are means
                over these too.
        """
        self._sums.clear()
        if done == 0:
            self._sums.append((0, {}))

    def add(self, done: int, logs: dict | None):
        """Adds the logs after a step.

        Args:
            done: steps of the epoch so far.
            logs: name -> number, as Keras gives them.

        Returns:
            dict of name -> float, the means over the last steps.
        """
        means = {name: as_float(value) for name, value in (logs or {}).items()}
        self._sums.append((done, {name: done * mean for name, mean in means.items()}))
        first, before = self._sums[0]
        if first == done:  # nothing is known of earlier steps
            return means
        last = self._sums[-1][1]
        return {
            name: (last[name] - before.get(name, 0.0)) / (done - first) for name in last
        }


def as_float(value):
    """Returns a number in the logs of Keras as a float.

    Some strategies leave one value per replica: the mean of these.
    """
    return float(np.mean(np.asarray(value)))


def learning_rate(model):
    """Returns the learning rate of a model's next step, float, also within `fit`.

    With several optimizers, the highest of their rates.
    """
    # On JAX `fit` holds the step number, and writes it to the model when asked.
    synchronize = getattr(model, "jax_state_sync", None)
    if synchronize is not None:
        synchronize()
    optimizers = inner_optimizers(model.optimizer)
    return max(as_float(optimizer.learning_rate) for optimizer in optimizers)
