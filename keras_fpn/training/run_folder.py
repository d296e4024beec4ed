"""The folder of one training: its checkpoints, from which it goes on exactly."""

import contextlib
import math
import os
import pathlib
import re
import shutil
import sys
import weakref

import numpy as np

from keras_fpn.files import replacing
from keras_fpn.training.averaging import array_of, averaged_weights, use_averages
from keras_fpn.training.checkpoint_file import (
    byte_count,
    load_checkpoint,
    load_without_optimizer,
    not_finite,
    read_state,
    write_checkpoint,
    write_without_optimizer,
)
from keras_fpn.training.divergence import diverged_while_saving
from keras_fpn.training.positions import Position
from keras_fpn.training.run_settings import open_run, remove_partial_files

_CHECKPOINT = re.compile(r"checkpoint-(\d+)-(\d+)\.keras")
_KEPT = 2


class RunFolder:
    """The folder of one training.

    It holds `run.json`, the settings; the last two `checkpoint-EPOCH-BATCH.keras`, each
    with all that the training needs to go on from there as if it had not been
    interrupted; `best.keras` and `last.keras`, the trained detector. Every file is
    complete or not there, whenever the process is killed.

    Args:
        path: str or Path; new, empty, or the folder of this very training.
        settings: dict for JSON: all that two processes must share for one of them to
            continue what the other began. More epochs are other settings: learning
            rates depend on them.
        writes: bool, whether this process is the one that writes; of several workers
            the chief. The others must see the same folder.

    Attributes:
        path: pathlib.Path.
        best, last: pathlib.Path of `best.keras` and `last.keras`, there or not.
        best_value: float, the monitored number of `best.keras`; None without it.
        result: pathlib.Path of the trained detector: `best`, or `last` where no epoch
            was measured.
        newest: pathlib.Path of the last checkpoint that is known to be intact; None.

    Raises:
        ValueError: the folder holds something else or a run of other settings, which
            are named; or another process trains in it.
    """

    def __init__(self, path, settings, writes=True):
        self.path = pathlib.Path(path)
        self.best, self.last = self.path / "best.keras", self.path / "last.keras"
        self.best_value = None
        self.writes = writes
        self._kept = []  # intact checkpoints, the newest last
        self._metrics = []  # of the epoch that the restored checkpoint was written in
        if writes:
            locked = open_run(self.path, settings)
            if locked is not None:
                weakref.finalize(self, os.close, locked)
            remove_partial_files(self.path)

    @property
    def newest(self):
        return self._kept[-1] if self._kept else None

    @property
    def result(self):
        return self.best if self.best.is_file() else self.last

    @property
    def finished(self):
        """bool, whether the training has come to its end, be it an early one."""
        return self.last.is_file()

    def load_last(self, model):
        """Gives a model the weights with which the finished training ended."""
        load_without_optimizer(model, self.last)

    def restore(self, model):
        """Fills a model and its optimizer from the newest intact checkpoint.

        A damaged one is named on stderr, and the one before it taken.

        Args:
            model: `keras.Model`, compiled as the run's was.

        Returns:
            Position of the next step.

        Raises:
            ValueError: all checkpoints are damaged, or they are of another model.
        """
        found, damaged = self._checkpoints(), []
        for place, path in enumerate(found):
            try:
                state = read_state(path)
            except ValueError as error:
                damaged.append(f"{path} is damaged ({error})")
                continue
            load_checkpoint(model, path)
            for damage in damaged:
                print(f"{damage}: going on from {path.name}.", file=sys.stderr)
            # One that is damaged is not kept, but replaced by the next that is saved.
            self._kept = [*reversed(found[place + 1 : place + _KEPT]), path]
            if self.writes:  # a killed process may have left some
                _remove(found[place + _KEPT :])
            self._metrics = state["metrics"]
            if self.best.is_file():
                self.best_value = state["best_value"]
            self._remove_unknown_best()
            return Position(state["epoch"], state["batch"])
        if damaged:
            raise ValueError(
                "One checkpoint of a run must be intact for it to go on; received only "
                f"damaged ones: {'; '.join(damaged)}. Put back a copy of one, or start "
                "anew in another output folder."
            )
        self._remove_unknown_best()
        return Position()

    def restore_metrics(self, model):
        """Gives the metrics of a model the values that the restored checkpoint has.

        The logs of an epoch are means over its steps. To be called once, after `fit`
        has reset the metrics, if the next step is not an epoch's first.
        """
        variables = model.metrics_variables
        if len(self._metrics) == len(variables):
            for variable, value in zip(variables, self._metrics, strict=True):
                variable.assign(np.asarray(value, variable.dtype))
        self._metrics = []

    def save(self, model, position):
        """Writes a checkpoint, and removes those before the last two.

        All workers must call it: some values are sums over them.

        Args:
            model: `keras.Model`, compiled; its weights, not their averages.
            position: `Position` of the next step.

        Raises:
            TrainingDiverged: a variable is not finite.
            OSError: it cannot be written, the disk is full for instance. What was there
                before is intact.
        """
        metrics = [
            np.asarray(array_of(value)).tolist() for value in model.metrics_variables
        ]
        if not self.writes:
            return
        state = {
            "epoch": position.epoch,
            "batch": position.batch,
            "best_value": self.best_value,
            "metrics": metrics,
        }
        name = f"checkpoint-{position.epoch:04d}-{position.batch:06d}.keras"
        self._check_finite(model)
        size = byte_count([*model.variables, *model.optimizer.variables])
        with self.writing(self.path / name, size) as partial:
            write_checkpoint(model, partial, state)
        before = [path for path in self._kept if path.name != name]
        self._kept = [*before, self.path / name][-_KEPT:]
        _remove(path for path in self._checkpoints() if path not in self._kept)

    def save_best(self, model, value):
        """Writes `best.keras`, with averaged weights if any, if it is the best so far.

        Args:
            model: `keras.Model`, compiled.
            value: float, the monitored number; more is better, one that is not finite
                never is.

        Returns:
            bool, whether it is the best.

        Raises:
            TrainingDiverged, OSError: as for `save`.
        """
        value = float(value)
        beaten = self.best_value is not None and value <= self.best_value
        if not math.isfinite(value) or beaten:
            return False
        if self.writes:
            with averaged_weights(model):
                self._save_model(model, self.best)
        self.best_value = value
        return True

    def finish(self, model):
        """Ends the run: `last.keras`, and for good the averaged weights, if any.

        Args:
            model: `keras.Model`, compiled.

        Raises:
            TrainingDiverged, OSError: as for `save`.
        """
        use_averages(model)
        if self.writes:
            self._save_model(model, self.last)

    def _save_model(self, model, path):
        self._check_finite(model)
        with self.writing(path, byte_count(model.variables)) as partial:
            write_without_optimizer(model, partial)

    def _check_finite(self, model):
        name = not_finite(model)
        if name is not None:
            raise diverged_while_saving(name, self)

    @contextlib.contextmanager
    def writing(self, path, size):
        """Yields the Path of a partial file, which then takes the place of `path`.

        Args:
            path: Path in this folder.
            size: int, about how many bytes will be written.

        Raises:
            OSError: it cannot be written; the message says what is intact.
        """
        try:
            with replacing(path) as partial:
                yield partial
        except OSError as error:
            needed = size / 1e6
            free = shutil.disk_usage(self.path).free / 1e6
            intact = self.newest or "nothing, for no checkpoint was written yet"
            raise OSError(
                f"A training must be able to write {path}, about {needed:.1f} MB; "
                f"received {error.strerror or error!r}, with {free:.1f} MB free. "
                f"Intact is {intact}: make room and start the same command again."
            ) from error

    def _remove_unknown_best(self):
        """Removes a `best.keras` of an epoch that is to be trained and measured again.

        A killed process may have left it; measuring may fail this time.
        """
        if self.writes and self.best_value is None:
            self.best.unlink(missing_ok=True)

    def _checkpoints(self):
        """Returns the Paths of all checkpoints, the newest first."""
        found = {}
        for path in self.path.glob("checkpoint-*.keras"):
            match = _CHECKPOINT.fullmatch(path.name)
            if match:
                found[int(match[1]), int(match[2])] = path
        return [found[key] for key in sorted(found, reverse=True)]


def _remove(paths):
    for path in paths:
        path.unlink(missing_ok=True)
