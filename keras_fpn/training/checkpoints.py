"""The callback that saves a training into its folder."""

from keras_fpn.training.averaging import put_back, trained_weights
from keras_fpn.training.positions import PositionedCallback


class RunCheckpoints(PositionedCallback):
    """Saves a checkpoint after each epoch, and the best model so far.

    Put it after the callback that measures what is monitored, and that one into
    `OnAverages` if the optimizer keeps averages: it is they that `best.keras` gets.
    Do not use Keras's `SwapEMAWeights` beside it, see `keras_fpn.training.averaging`.

    `fit` then ends with the weights of the last step in the model, also where Keras has
    overwritten them by their averages; `RunFolder.finish` does that in the end.

    Args:
        folder: `RunFolder`, restored.
        loader: `keras_fpn.data.Loader` of the training photos.
        monitor: str, the name in the logs of what the best model has most of; None, no
            model is called the best.
        save_every: int, a checkpoint also after so many steps of an epoch; None.
    """

    def __init__(self, folder, loader, monitor=None, save_every=None):
        super().__init__(loader)
        if save_every is not None and save_every < 1:
            raise ValueError(
                "Steps between checkpoints must be at least 1; received "
                f"save_every={save_every}."
            )
        self.folder = folder
        self.monitor = monitor
        self.save_every = save_every
        self._weights = []

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self.start_batch:
            self.folder.restore_metrics(self.model)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        done = self.position.batch  # 0 at the end of the epoch, which is saved below
        if self.save_every and done and done % self.save_every == 0:
            self.folder.save(self.model, self.position)

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        if self.monitor is not None:
            self.folder.save_best(model, self._monitored(logs))
        self.folder.save(model, self.position)
        self._weights = trained_weights(model)

    def on_train_end(self, logs=None):
        if self._weights:
            put_back(self.model, self._weights)
        self._weights = []

    def _monitored(self, logs):
        if self.monitor not in (logs or {}):
            raise ValueError(
                "What is monitored must be in the logs of an epoch; received "
                f"monitor={self.monitor!r} and {sorted(logs or {})}. Put the callback "
                "that measures it before RunCheckpoints."
            )
        return logs[self.monitor]
