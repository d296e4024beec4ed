"""The callback that checks, measures and saves a run after its steps and epochs."""

import math
import time
from collections.abc import Callable

import numpy as np

from keras_fpn.training.checkpoints import (
    averaged_weights,
    not_finite,
    restore_weights,
    trained_weights,
)
from keras_fpn.training.run_folder import Position, RunFolder
from keras_fpn.training.steps import StepCallback, learning_rate

_NAMED = 16  # images of a batch that a message names


class RunRecorder(StepCallback):
    """Writes a run into its folder, and ends it when it has diverged.

    After each step it checks that the loss is finite. After each epoch, and after
    `save_every` steps or `save_seconds` within one, it checks all variables, because a
    loss is computed before its step changes them, and saves a checkpoint. At the end of
    an epoch it also measures, with the averages of the weights if the optimizer keeps
    any, and saves the logs and the best model.

    When `fit` ends the model has the weights of the last step, even where Keras has
    overwritten them by their averages; `RunFolder.finish` sets those. Do not use
    Keras's `SwapEMAWeights` beside it: see `keras_fpn.training.checkpoints`.

    Args:
        folder: restored.
        loader: `keras_fpn.data.Loader` of the training photos.
        evaluation: `keras.callbacks.Callback` that adds "val_" and the model's
            `monitor`, such as "val_AP", to the logs at the end of an epoch, such as
            `keras_fpn.metrics.CocoEvaluation`; None saves no best model. Of its other
            methods only `set_model` and `set_params` are called.
        save_every: steps of an epoch between checkpoints; None, only at its end.
        start_step: steps that were taken before, by an earlier process.
        save_seconds: float, seconds between checkpoints at most, but for the time of a
            step and of an evaluation.
        asked_to_end: function that returns the exception that ends the training after
            this step, or epoch, which is saved first; or None.
        skipped: function that returns the photos that could not be read so far, image
            id -> why, to be saved.

    Raises:
        ValueError: save_every is below 1.
        Terminated, KeyboardInterrupt: in `fit`, when it has saved because it was asked
            to end.
        TrainingDiverged: in `fit`, when the loss or a variable is not finite.
    """

    def __init__(
        self,
        folder: RunFolder,
        loader,
        evaluation=None,
        save_every: int | None = None,
        start_step: int = 0,
        save_seconds: float = math.inf,
        asked_to_end: Callable[[], type[BaseException] | None] = lambda: None,
        skipped: Callable[[], dict[int, str]] = dict,
    ):
        super().__init__(len(loader), start_step)
        if save_every is not None and save_every < 1:
            raise ValueError(
                "save_every must be at least 1 step, or None; received "
                f"save_every={save_every}."
            )
        self.folder, self.loader = folder, loader
        self.evaluation, self.save_every = evaluation, save_every
        self.save_seconds, self.asked_to_end = save_seconds, asked_to_end
        self._skipped = skipped
        self._weights: list = []
        self._saved = time.monotonic()

    def set_params(self, params):
        super().set_params(params)
        if self.evaluation is not None:
            self.evaluation.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self.evaluation is not None:
            self.evaluation.set_model(model)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self.step_of_epoch:
            self.folder.restore_metrics(self.model)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        # The mean over the epoch so far: not finite as soon as that of one step is not.
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss).all():
            value = float(np.mean(loss))
            self._raise("the loss", "NaN" if math.isnan(value) else "infinite")
        done = self.step % len(self.loader)
        if done == 0:  # the end of an epoch: saved below
            return
        late = time.monotonic() - self._saved >= self.save_seconds
        ending = self.asked_to_end()
        if late or ending or (self.save_every and done % self.save_every == 0):
            self._check_variables()
            self._save()
        if ending:
            raise ending

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        self._check_variables()
        if self.evaluation is not None:
            with averaged_weights(self.model):
                self.evaluation.on_epoch_end(epoch, logs)
        # Before the checkpoint: an epoch that it contains is not trained again.
        self.folder.add_epoch(epoch, logs)
        if self.evaluation is not None:
            monitor = getattr(self.model, "monitor", "AP")  # any Keras model may train
            self.folder.save_best(self.model, logs[f"val_{monitor}"])
        self._save()
        self._weights = trained_weights(self.model)
        if ending := self.asked_to_end():
            raise ending

    def on_train_end(self, logs=None):
        if self._weights:
            restore_weights(self.model, self._weights)
        self._weights = []

    def _save(self):
        position = Position(*divmod(self.step, len(self.loader)))
        self.folder.save(self.model, position, self._skipped())
        self._saved = time.monotonic()

    def _check_variables(self):
        name = not_finite(self.model)
        if name is not None:
            self._raise(f"the variable {name}", "not finite")

    def _raise(self, what, kind):
        """Raises what the user must know of the last step, which went wrong."""
        step = self.step - 1
        epoch, batch = divmod(step, len(self.loader))
        images = f"images {self._images(step)}"
        if step:  # its update made the weights that this step began with
            images += f", and before it images {self._images(step - 1)}"
        raise self.folder.diverged(
            f"loss and weights must be finite; {what} was {kind} after step {step} "
            f"(batch {batch} of epoch {epoch}, all from 0), {images}, learning rate "
            f"{learning_rate(self.model):.3g}",
            "Look at these images. ",
        )

    def _images(self, step):
        """Returns the image ids of the batch of a step, str."""
        epoch, batch = divmod(step, len(self.loader))
        indices = self.loader.batches(epoch)[batch].indices
        photos = self.loader.dataset.photos
        ids = [photos[index].image_id for index in indices if index >= 0]
        more = ", ..." if len(ids) > _NAMED else ""
        return f"[{', '.join(map(str, ids[:_NAMED]))}{more}]"
