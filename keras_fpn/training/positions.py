"""Where in a training the next step is."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """The next step of a training.

    Attributes:
        epoch: int, counted from 0.
        batch: int, counted from 0 in its epoch.
    """

    epoch: int = 0
    batch: int = 0


class PositionedCallback(keras.callbacks.Callback):
    """A callback that knows the position, also if `fit` begins within an epoch.

    `fit` counts the batches of such an epoch from 0, too. A subclass that overrides a
    method of this one calls it first.

    Args:
        loader: `keras_fpn.data.Loader` of the training photos.

    Attributes:
        start_batch: int, the batch that the epochs of the next `fit` begin with.
        position: `Position` of the next step.
    """

    def __init__(self, loader):
        super().__init__()
        self.loader = loader
        self.start_batch = 0
        self.position = Position()

    def on_epoch_begin(self, epoch, logs=None):
        self.position = Position(epoch, self.start_batch)

    def on_train_batch_end(self, batch, logs=None):
        done = self.start_batch + batch + 1
        if done == len(self.loader):
            self.position = Position(self.position.epoch + 1)
        else:
            self.position = Position(self.position.epoch, done)
