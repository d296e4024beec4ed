"""Ends a training whose loss or weights are no numbers any more."""

import math

import numpy as np

from keras_fpn.data.batches import FILLER
from keras_fpn.training.checkpoint_file import not_finite
from keras_fpn.training.positions import Position, PositionedCallback
from keras_fpn.training.recent_means import learning_rate

_NAMED = 16  # images that a message names of each batch
_REMEDY = (
    "train anew, in another output folder, with a lower learning rate, a longer "
    "warm-up or clipped gradients."
)


class TrainingDiverged(ValueError):
    """The loss or a variable of a training became NaN or infinite."""


class StopOnDivergence(PositionedCallback):
    """Ends the training, with `TrainingDiverged`, when the loss is not finite.

    The variables of model and optimizer are looked at too, at the end of an epoch and
    where a checkpoint is due within one: a loss is computed before its step changes
    them. Put it before all that evaluates or saves.

    Args:
        loader: `keras_fpn.data.Loader` of the training photos.
        folder: `RunFolder`, whose last good checkpoint the message names.
        check_every: int, after how many steps of an epoch they are looked at, too:
            the `save_every` of `RunCheckpoints`; None.
    """

    def __init__(self, loader, folder, check_every=None):
        super().__init__(loader)
        self.folder = folder
        self.check_every = check_every

    def on_train_batch_end(self, batch, logs=None):
        # The mean over the epoch so far: not finite as soon as one step's is not.
        loss = (logs or {}).get("loss", 0.0)
        step = self.position
        super().on_train_batch_end(batch, logs)
        if not np.isfinite(loss).all():
            value = float(np.mean(loss))
            kind = "NaN" if math.isnan(value) else "infinite"
            raise TrainingDiverged(self._message("the loss", kind, step, self.model))
        if self.check_every and (step.batch + 1) % self.check_every == 0:
            self._check_variables(step)

    def on_epoch_end(self, epoch, logs=None):
        ended = self.position.batch or len(self.loader)
        self._check_variables(Position(epoch, ended - 1))

    def _check_variables(self, step):
        name = not_finite(self.model)
        if name is not None:
            what = f"the variable {name}"
            raise TrainingDiverged(self._message(what, "not finite", step, self.model))

    def _message(self, what, kind, step, model):
        """Returns what the user must know of the step that went wrong."""
        place = step.epoch * len(self.loader) + step.batch
        images = f"images {self._images(place)}"
        if place:  # its update made the weights that this step began with
            images += f", and before it images {self._images(place - 1)}"
        return (
            f"Training diverged: loss and weights must be finite; {what} was {kind} "
            f"after step {place} (batch {step.batch} of epoch {step.epoch}, all from "
            f"0), {images}, learning rate {learning_rate(model):.3g}. "
            f"{_last_good(self.folder)}. Look at these images, or {_REMEDY}"
        )

    def _images(self, step):
        """Returns the image ids of a step's batch, str."""
        epoch, batch = divmod(step, len(self.loader))
        indices = self.loader.batches(epoch)[batch].indices
        photos = self.loader.dataset.photos
        ids = [photos[index].image_id for index in indices if index != FILLER]
        more = ", ..." if len(ids) > _NAMED else ""
        return f"[{', '.join(map(str, ids[:_NAMED]))}{more}]"


def diverged_while_saving(name, folder):
    """Returns the `TrainingDiverged` for a weight that must not be saved."""
    return TrainingDiverged(
        f"Training diverged: only finite values are saved; {name} is not. "
        f"{_last_good(folder)}. To go on, {_REMEDY}"
    )


def _last_good(folder):
    if folder.newest is None:
        return "There is no checkpoint"
    return f"The last good checkpoint is {folder.newest}"
