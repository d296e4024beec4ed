"""Trains a detector as a plan says, and resumes where an earlier process stopped."""

import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_fpn.data import Dataset, Loader
from keras_fpn.data.keypoints import check_keypoints
from keras_fpn.data.proposals import check_proposals
from keras_fpn.data.semantic import check_semantic, labels_pixels
from keras_fpn.distribute.devices import Devices, make_devices
from keras_fpn.metrics import CocoEvaluation
from keras_fpn.training.freezing import exclude_from_decay, freeze_bottom_up
from keras_fpn.training.numbered_folders import NumberedFolders
from keras_fpn.training.plan import TrainingPlan
from keras_fpn.training.run_folder import Position, RunFolder
from keras_fpn.training.run_recorder import RunRecorder
from keras_fpn.training.run_settings import settings_of
from keras_fpn.training.stopping import StopTogether, StopWithoutPhotos
from keras_fpn.training.termination import noted_termination

_SAVE_SECONDS = 600.0  # of work that a killed process may lose


@dataclasses.dataclass(frozen=True)
class Training:
    """A training that is prepared: all that `run` needs.

    Attributes:
        plan: what is trained, and how.
        model: the detector, compiled, with the weights of `last.keras` or of the last
            checkpoint, if any.
        loader: of the training photos.
        devices: that train.
        folder: of the run.
        start: the next step; of a training that has ended, the step after the last.
        evaluation: `keras_fpn.metrics.CocoEvaluation` or None.
    """

    plan: TrainingPlan
    model: Any
    loader: Loader
    devices: Devices
    folder: RunFolder
    start: Position
    evaluation: Any

    def run(
        self,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        save_every: int | None = None,
        workers: int | None = None,
    ):
        """Trains to the last epoch of the plan, from the last checkpoint on.

        On one machine, in the main thread and without handlers of yours, SIGTERM and
        Ctrl-C save a checkpoint after the present step, or the evaluation.

        Args:
            callbacks: called after this package's own; their state is not saved. One
                that stops the training, such as `EarlyStopping`, ends it for good, on
                all workers.
            save_every: steps between checkpoints within an epoch; None, one after each
                epoch. On one machine there is one every ten minutes, too.
            workers: threads that read photos; None, one per CPU core.

        Returns:
            list of dict, the logs of every epoch, also of those before a resumption.

        Raises:
            ValueError: a callback would replace the trained weights by others.
            TrainingDiverged: the loss or a variable was not finite.
            Terminated: after SIGTERM, a SystemExit with the code 143.
            KeyboardInterrupt: after Ctrl-C.
            OSError: a checkpoint could not be written; or more than 1 % of the photos,
                and more than one, could not be read.
        """
        if self.folder.finished:
            return self.folder.epochs
        _check_callbacks(callbacks)
        photos = StopWithoutPhotos(self.loader, self.devices)
        alone = self.devices.workers == 1  # several would not save at the same step
        with noted_termination(alone) as asked:
            recorder = RunRecorder(
                self.folder,
                self.loader,
                self.evaluation,
                save_every,
                self.start_step,
                save_seconds=_SAVE_SECONDS if alone else math.inf,
                asked_to_end=asked,
                skipped=photos.skipped,
            )
            self._fit([photos, recorder, *callbacks], workers)
        self.folder.finish(self.model)
        return self.folder.epochs

    def _fit(self, callbacks, workers):
        """Calls `fit` until the plan has ended or a callback ends it."""
        last = [StopTogether(self.devices)] if self.devices.workers > 1 else []
        for first, stop, start_batch, steps in self._stretches():
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
                    callbacks=[*callbacks, *last],
                )
            if self.model.stop_training:
                break

    @property
    def total_steps(self):
        """int, steps of the whole training, from the first step of the first epoch."""
        return self.plan.total_steps(len(self.loader))

    @property
    def start_step(self):
        """int, steps that were taken before, by an earlier process."""
        return self.start.epoch * len(self.loader) + self.start.batch

    def _stretches(self):
        """Yields (first epoch, last + 1, first batch, steps) of each call of `fit`.

        All epochs of a call have the same number of steps: the rest of an interrupted
        one needs a call of its own, and so does a last one that is cut short.
        """
        length, total, step = len(self.loader), self.total_steps, self.start_step
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


def prepare_training(
    plan: TrainingPlan,
    dataset: Dataset,
    output: str | os.PathLike | NumberedFolders,
    validation: Dataset | None = None,
    devices: Devices | None = None,
    seed: int = 0,
):
    """Builds and compiles the detector of a plan, and opens the folder of its run.

    Called again with the same arguments it resumes from the last checkpoint in the
    folder, and ends with the same weights as a run that was never interrupted.

    Devices and compilation are as Keras chooses them unless `devices` says otherwise:
    nothing here sets `jit_compile`.

    Args:
        plan: what is trained, and how.
        dataset: to train on.
        output: the folder; new, empty, or the one of this very training; or
            `NumberedFolders`, whose first that suits is taken.
        validation: data set to evaluate after each epoch; None measures nothing.
        devices: that train; None, the one that Keras chooses.
        seed: of the random numbers.

    Returns:
        Training.

    Raises:
        ValueError: the folder holds something else, the two data sets have different
            classes, the detector takes proposals that one lacks, or the batch cannot be
            shared among the devices.
    """
    devices = devices or make_devices("none")
    if devices.workers > 1 and keras.backend.backend() == "jax":
        raise ValueError(
            "Several machines can write checkpoints only with TensorFlow; received the "
            f"backend 'jax' with {devices.workers} workers. Set "
            "KERAS_BACKEND=tensorflow, or call fit yourself: docs/distribution.md."
        )
    if not plan.keep_empty:
        dataset = dataset.without_empty()
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(plan.dtype_policy)
    try:
        with devices.scope():
            model, loader = _compiled(plan, dataset, seed)
    finally:
        keras.config.set_dtype_policy(policy)
    evaluation = None
    if validation is not None:
        check_proposals(model, validation)
        evaluation = CocoEvaluation(
            Loader(
                validation,
                model.preprocessing,
                1,
                on_error="skip",
                fill=True,
                # Unused, but a photo whose labels cannot be read is skipped, too.
                semantic=labels_pixels(model),
            )
        )
    settings = settings_of(plan, model, loader, validation, seed)
    devices.check_same_settings(settings)
    with devices.together():
        path = output
        if isinstance(path, NumberedFolders):
            path = path.folder_of(settings)
        folder = RunFolder(path, settings, devices.is_chief)
        if folder.finished:
            folder.load_last(model)
            start = Position(*divmod(plan.total_steps(len(loader)), len(loader)))
        else:
            start = folder.restore(model)
            _drop(loader, folder.skipped)
    training = Training(plan, model, loader, devices, folder, start, evaluation)
    devices.check_same_step(training.start_step)
    return training


def make_deterministic():
    """Allows only operations that repeat their results to the bit.

    Call it before anything is computed. It is for TensorFlow and changes nothing on
    other backends.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def _compiled(plan, dataset, seed):
    """Returns the compiled detector of a plan, and the loader of its photos."""
    keras.utils.set_random_seed(seed)  # of the initial weights
    model = plan.build(list(dataset.class_names), list(dataset.category_ids))
    model.seed = seed
    if plan.frozen_through is not None:
        freeze_bottom_up(model.backbone, plan.frozen_through)
    check_proposals(model, dataset)
    check_keypoints(model, dataset)
    check_semantic(model, dataset)
    loader = Loader(
        dataset,
        model.preprocessing,
        plan.batch_size,
        plan.augment,
        seed,
        shuffle=True,
        shapes=plan.shapes,
        masks="masks" in model.targets,
        semantic=labels_pixels(model),
        on_error="drop",  # up to 1 %: see StopWithoutPhotos
        fill=True,
    )
    schedule = plan.schedule(
        plan.learning_rate, len(loader), plan.total_steps(len(loader))
    )
    optimizer = plan.optimizer(schedule)
    exclude_from_decay(optimizer, model, plan.undecayed)
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    return model, loader


def _drop(loader, skipped):
    """Leaves out what could not be read before a checkpoint, as the run would have."""
    loader.drop(skipped)
    if skipped:
        warnings.warn(
            f"Photos that could not be read stay left out, {len(skipped)} in all: "
            f"{next(iter(skipped.values()))} To train on them, too, start again in "
            "another output folder.",
            stacklevel=3,
        )


def _check_callbacks(callbacks):
    """Raises for callbacks that would train on with other weights than those saved."""
    for callback in callbacks:
        if getattr(callback, "restore_best_weights", False):
            raise ValueError(
                "A callback must not replace the trained weights, or a killed run "
                f"could not be resumed; received {type(callback).__name__} with "
                "restore_best_weights=True. Leave it out: best.keras has the weights "
                "of the best epoch."
            )
