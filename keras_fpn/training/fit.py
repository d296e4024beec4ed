"""Trains a detector as a plan says, and goes on where an earlier process stopped."""

import dataclasses
from typing import Any

import keras

from keras_fpn.data import Loader
from keras_fpn.distribute.devices import make_devices
from keras_fpn.metrics import CocoEvaluation
from keras_fpn.training.averaging import OnAverages
from keras_fpn.training.checkpoints import RunCheckpoints
from keras_fpn.training.divergence import StopOnDivergence
from keras_fpn.training.freezing import exclude_from_decay, freeze_bottom_up
from keras_fpn.training.history import History
from keras_fpn.training.photos_left import StopWithoutPhotos
from keras_fpn.training.positions import Position
from keras_fpn.training.run_folder import RunFolder
from keras_fpn.training.same_training import settings_of
from keras_fpn.training.stopping import StopTogether, check_callbacks

MONITORED = "val_AP"  # what the best checkpoint has most of


@dataclasses.dataclass(frozen=True)
class Training:
    """A training that is prepared: all that `run` needs.

    Attributes:
        plan: `TrainingPlan`.
        model: the detector, compiled, with the weights of `last.keras` or of the last
            checkpoint, if any.
        loader: `keras_fpn.data.Loader` of the training photos.
        devices: `Devices`.
        folder: `RunFolder`.
        start: `Position` of the next step; of a training that has ended, the end.
        evaluation: `keras_fpn.metrics.CocoEvaluation` or None.
    """

    plan: Any
    model: Any
    loader: Any
    devices: Any
    folder: Any
    start: Any
    evaluation: Any

    def run(self, callbacks=(), save_every=None, workers=None):
        """Trains to the plan's last epoch, from where the folder's checkpoint stands.

        Args:
            callbacks: list of `keras.callbacks.Callback`, after this package's own; all
                begin anew where training is resumed. One that stops the training, such
                as `EarlyStopping`, ends it for good, on all workers.
            save_every: int, steps between checkpoints within an epoch; None, one after
                each epoch.
            workers: int, threads that read photos; None, one per CPU core.

        Returns:
            list of dict, the logs of every epoch, also of those before a resumption.

        Raises:
            ValueError: a callback would put other weights in place of the trained.
            TrainingDiverged: the loss was not finite.
            OSError: a checkpoint could not be written, or more than 1 % of the photos
                not be read; one of few.
        """
        history = History(self.folder)
        if self.folder.finished:
            return history.epochs
        check_callbacks(callbacks)
        evaluation = self.evaluation
        guard = StopOnDivergence(self.loader, self.folder, save_every)
        saver = RunCheckpoints(
            self.folder, self.loader, MONITORED if evaluation else None, save_every
        )
        own = [
            StopWithoutPhotos(self.loader, self.devices),
            guard,
            *([OnAverages(evaluation)] if evaluation else []),
            # Before the saver: what it has saved is not trained, nor noted, again.
            history,
            saver,
        ]
        last = [StopTogether(self.devices)] if self.devices.workers > 1 else []
        for first, stop, start_batch, steps in self._stretches():
            guard.start_batch = saver.start_batch = start_batch
            data = self.devices.dataset(
                self.loader, stop - first, first, start_batch, workers
            )
            with self.devices.fit_scope():
                self.model.fit(
                    data,
                    initial_epoch=first,
                    epochs=stop,
                    steps_per_epoch=steps,
                    shuffle=False,
                    verbose=0,
                    callbacks=[*own, *callbacks, *last],
                )
            if self.model.stop_training:
                break
        self.folder.finish(self.model)
        return history.epochs

    @property
    def total_steps(self):
        """int, steps in all, from the first epoch's first."""
        return self.plan.total_steps(len(self.loader))

    def _stretches(self):
        """Yields (first epoch, last + 1, first batch, steps) of each call of `fit`.

        `fit` has as many steps in all its epochs: what is left of one that was
        interrupted needs a call of its own, and so does a last one that is cut short.
        """
        length, total = len(self.loader), self.total_steps
        step = self.start.epoch * length + self.start.batch
        while step < total:
            epoch, batch = divmod(step, length)
            stop = total // length
            if batch or stop == epoch:
                steps = min(length - batch, total - step)
                yield epoch, epoch + 1, batch, steps
                step += steps
            else:
                yield epoch, stop, 0, length
                step = stop * length


def prepare_training(plan, dataset, output, validation=None, devices=None, seed=0):
    """Builds and compiles a plan's detector, and opens the folder of its training.

    Called again with the same arguments, it goes on where the folder's last checkpoint
    was written, and ends with the same weights as a run that was never interrupted.

    Args:
        plan: `TrainingPlan`.
        dataset: `keras_fpn.data.Dataset` to train on.
        output: str or Path of the folder; new, empty, or this very training's.
        validation: Dataset to measure AP on after each epoch, or None.
        devices: `Devices`; None, one device.
        seed: int, what chance is drawn for.

    Returns:
        Training.

    Raises:
        ValueError: the folder holds something else, the data sets have other classes
            than each other, or the batch cannot be shared among the devices.
    """
    devices = devices or make_devices("none")
    if devices.workers > 1 and keras.backend.backend() == "jax":
        raise ValueError(
            "Checkpoints of several machines are written with TensorFlow alone; "
            f"received the backend 'jax' with {devices.workers} workers. Set "
            "KERAS_BACKEND=tensorflow, or call fit yourself: docs/distribution.md."
        )
    if not plan.keep_empty:
        dataset = dataset.without_empty()
    keras.utils.set_random_seed(seed)  # the initial weights are random, too
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(plan.dtype_policy)
    try:
        with devices.scope():
            model = plan.build(list(dataset.class_names), list(dataset.category_ids))
            model.seed = seed
            if plan.frozen_through is not None:
                freeze_bottom_up(model.backbone, plan.frozen_through)
            loader = Loader(
                dataset,
                model.preprocessing,
                plan.batch_size,
                plan.augment,
                seed,
                shuffle=True,
                shapes=plan.shapes,
                on_error="skip",  # up to 1 %, see StopWithoutPhotos
                fill=True,
            )
            schedule = plan.schedule(
                plan.learning_rate, len(loader), plan.total_steps(len(loader))
            )
            optimizer = plan.optimizer(schedule)
            exclude_from_decay(optimizer, model, plan.undecayed)
            model.compile(optimizer=optimizer)
            optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy(policy)
    evaluation = None
    if validation is not None:
        evaluation = CocoEvaluation(
            Loader(validation, model.preprocessing, 1, on_error="skip", fill=True)
        )
    settings = settings_of(plan, model, loader, validation, seed)
    folder = RunFolder(output, settings, devices.is_chief)
    if folder.finished:
        folder.load_last(model)
        start = Position(*divmod(plan.total_steps(len(loader)), len(loader)))
    else:
        start = folder.restore(model)
    devices.check_same_step(start.epoch * len(loader) + start.batch)
    return Training(plan, model, loader, devices, folder, start, evaluation)
