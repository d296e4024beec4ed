"""The folder of a training run: its settings, checkpoints, models and history."""

import contextlib
import dataclasses
import math
import os
import pathlib
import re
import shutil
import warnings
import weakref
from collections.abc import Iterable, Mapping

import numpy as np

from keras_fpn.files import replacing
from keras_fpn.loading import BEST, LAST
from keras_fpn.training.checkpoints import (
    array_of,
    averaged_weights,
    load_checkpoint,
    read_state,
    use_averages,
    variables_of,
    without_optimizer,
    write_checkpoint,
)
from keras_fpn.training.history import history_text, read_history
from keras_fpn.training.run_settings import write_or_compare

SETTINGS, HISTORY = "run.json", "history.json"
_LOCK = ".lock"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)-(\d+)\.keras")
_KEPT = 2  # checkpoints


class TrainingDiverged(ValueError):
    """The loss or a variable of a training became NaN or infinite."""


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """The next step of a training.

    Attributes:
        epoch: counted from 0.
        batch: counted from 0 in its epoch.
    """

    epoch: int = 0
    batch: int = 0


class RunFolder:
    """The folder of one training run, which one process at a time may write to.

    It holds `run.json`, the settings; the last two `checkpoint-EPOCH-BATCH.keras`, each
    with all that is needed to resume as if there had been no interruption;
    `history.json`, the logs of each epoch; `best.keras` and `last.keras`, the trained
    detector. Whenever the process is killed, every file is complete or absent.

    Args:
        path: new, empty, or the folder of this very run.
        settings: dict for JSON: what two processes must have in common for one to
            resume the run of the other. More epochs are other settings, because
            learning rates depend on their number.
        writes: whether this process writes; of several workers only the chief does.
            The others must see the same folder.

    Attributes:
        path: pathlib.Path.
        best, last: pathlib.Path of `best.keras` and `last.keras`, there or not.
        best_value: float, the monitored number of `best.keras`; None without it.
        skipped: dict of image id -> why, photos unreadable up to what was restored.
        epochs: list of dict, the logs of each "epoch" from 0; None if not finite.

    Raises:
        ValueError: the folder holds something else or a run with other settings, which
            are named; or another process trains in it.
    """

    def __init__(self, path: str | os.PathLike, settings: dict, writes: bool = True):
        self.path = pathlib.Path(path)
        self.best, self.last = self.path / BEST, self.path / LAST
        self.best_value: float | None = None
        self.writes = writes
        self._kept: list[pathlib.Path] = []  # intact checkpoints, the newest last
        self._metrics: list = []  # of the epoch within which the run was interrupted
        self.skipped: dict[int, str] = {}
        if writes:
            _check_folder(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            unlock = weakref.finalize(self, _unlock, _locked(self.path))
            try:
                write_or_compare(self.path / SETTINGS, settings)
            except BaseException:
                unlock()
                raise
            _remove(self.path.glob(".*.partial*"))  # of processes killed while writing
        self.epochs = read_history(self.path / HISTORY)

    @property
    def newest(self):
        """pathlib.Path of the last checkpoint that is known to be intact; None."""
        return self._kept[-1] if self._kept else None

    @property
    def result(self):
        """pathlib.Path of the trained detector: `best`; `last` if none was measured."""
        return self.best if self.best.is_file() else self.last

    @property
    def finished(self):
        """bool, whether the training has ended, at its last step or earlier."""
        return self.last.is_file()

    def load_last(self, model):
        """Loads the weights with which the finished training ended."""
        with without_optimizer(model):
            model.load_weights(self.last)

    def restore(self, model):
        """Loads the newest intact checkpoint into a model and its optimizer.

        It warns of a damaged one and takes the one before.

        Args:
            model: `keras.Model`, compiled as that of the run was.

        Returns:
            Position of the next step.

        Raises:
            ValueError: all checkpoints are damaged, or they are of another model.
        """
        found, damaged = self._checkpoints(), []
        for path in found:
            try:
                state = read_state(path)
                break
            except ValueError as error:
                damaged.append(f"{path} is damaged ({error})")
        else:
            if damaged:
                raise ValueError(
                    "A run needs one intact checkpoint to resume from; received only "
                    f"damaged ones: {'; '.join(damaged)}. Put back a copy of one, or "
                    "start again in another output folder."
                )
            self._remove_unmeasured_best()
            return Position()
        load_checkpoint(model, path)
        for damage in damaged:
            warnings.warn(f"{damage}: resuming from {path.name}.", stacklevel=2)
        # A damaged one is not kept: the next that is saved takes its place.
        older = found[len(damaged) + 1 :]
        self._kept = [*reversed(older[: _KEPT - 1]), path]
        if self.writes:  # a killed process may have left more
            _remove(older[_KEPT - 1 :])
        self._metrics, self.skipped = state["metrics"], state["skipped"]
        if self.best.is_file():
            self.best_value = state["best_value"]
        self._remove_unmeasured_best()
        return Position(state["epoch"], state["batch"])

    def restore_metrics(self, model):
        """Gives the metrics of a model their values in the restored checkpoint.

        The logs of an epoch are means over its steps. Call it once, after `fit` has
        reset the metrics, if the next step is not the first of its epoch.
        """
        variables = model.metrics_variables
        if len(self._metrics) == len(variables):
            for variable, value in zip(variables, self._metrics, strict=True):
                variable.assign(np.asarray(value, variable.dtype))
        self._metrics = []

    def save(self, model, position: Position, skipped: Mapping | None = None):
        """Writes a checkpoint, and removes all but the last two.

        All workers must call it, because some values are sums over them.

        Args:
            model: `keras.Model`, compiled; with its weights, not their averages. The
                caller has checked that all its variables are finite.
            position: of the next step.
            skipped: image id -> why, photos that a resumed run is to leave out.

        Raises:
            OSError: it cannot be written, for example because the disk is full. The
                files that were there are intact.
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
            "skipped": {str(key): why for key, why in (skipped or {}).items()},
        }
        name = f"checkpoint-{position.epoch:04d}-{position.batch:06d}.keras"
        with self._writing(self.path / name, _bytes_of(variables_of(model))) as partial:
            write_checkpoint(model, partial, state)
        before = [path for path in self._kept if path.name != name]
        self._kept = [*before, self.path / name][-_KEPT:]
        _remove(path for path in self._checkpoints() if path not in self._kept)

    def save_best(self, model, value: float):
        """Writes `best.keras`, with averaged weights if any, if it is the best so far.

        Args:
            model: `keras.Model`, compiled.
            value: the monitored number; more is better, one that is not finite is
                never the best.

        Returns:
            bool, whether it is the best.

        Raises:
            OSError: as for `save`.
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

    def add_epoch(self, epoch: int, logs: dict):
        """Adds the logs of an epoch, dict of name -> number, to `history.json`.

        Raises:
            OSError: as for `save`.
        """
        values = {name: float(value) for name, value in logs.items()}
        finite = {n: v if math.isfinite(v) else None for n, v in values.items()}
        # A killed process may have written this epoch already, before its checkpoint.
        kept = [entry for entry in self.epochs if entry["epoch"] < epoch]
        self.epochs = [*kept, {"epoch": epoch, **finite}]
        if self.writes:
            text = history_text(self.epochs)
            with self._writing(self.path / HISTORY, len(text)) as partial:
                partial.write_text(text, "utf-8")

    def finish(self, model):
        """Ends the run: sets the averaged weights, if any, and writes `last.keras`.

        Args:
            model: `keras.Model`, compiled.

        Raises:
            OSError: as for `save`.
        """
        use_averages(model)
        if self.writes:
            self._save_model(model, self.last)

    def diverged(self, problem: str, remedy: str = ""):
        """Returns the `TrainingDiverged` to raise.

        Args:
            problem: what is not finite.
            remedy: what to do first, before training again.
        """
        good = "There is no checkpoint"
        if self.newest is not None:
            good = f"The last good checkpoint is {self.newest}"
        return TrainingDiverged(
            f"Training diverged: {problem}. {good}. {remedy}Train again, in another "
            "output folder, with a lower learning rate, a longer warm-up or clipped "
            "gradients."
        )

    def _save_model(self, model, path):
        with self._writing(path, _bytes_of(model.variables)) as partial:
            with without_optimizer(model):
                model.save(partial)

    @contextlib.contextmanager
    def _writing(self, path, size):
        """Yields the Path of a partial file, which then takes the place of `path`.

        Args:
            path: Path in this folder.
            size: int, about how many bytes will be written.

        Raises:
            OSError: it cannot be written, and the message says what is intact; or the
                folder was removed meanwhile.
        """
        if not (self.path / SETTINGS).is_file():
            # What is written into a new folder now could not be resumed.
            raise OSError(
                f"The folder of a training must stay; received {self.path}, from which "
                f"{SETTINGS} was removed while it trained. Put the folder back, or "
                "start again."
            )
        try:
            with replacing(path) as partial:
                yield partial
        except OSError as error:
            free = shutil.disk_usage(self.path).free / 1e6
            intact = self.newest or "nothing, because no checkpoint was written yet"
            raise OSError(
                f"A training must be able to write {path}, about {size / 1e6:.1f} MB; "
                f"received {error.strerror or error!r}, with {free:.1f} MB free. "
                f"Intact is {intact}. Make room and start the same command again."
            ) from error

    def _remove_unmeasured_best(self):
        """Removes a `best.keras` of an epoch that will be trained and measured again.

        A killed process may have left it, and measuring may fail this time.
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


def _check_folder(folder):
    """Raises for what is not a folder, and for files without a run."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(
            f"The output must be a folder; received {folder}, which is a file. Choose "
            "another output folder."
        )
    others = _content(folder)
    if others and SETTINGS not in others:
        raise ValueError(
            "The output folder must be new, empty, or that of a run to resume; "
            f"received {folder}, which holds {others[0]!r} and no {SETTINGS}. Choose "
            "another output folder."
        )


def is_free(folder: pathlib.Path):
    """Returns whether a folder is new or empty, so that a run can begin in it."""
    return not folder.exists() or (folder.is_dir() and not _content(folder))


def _content(folder):
    """Returns the names in a folder, without what killed processes left, sorted."""
    names = sorted(path.name for path in folder.iterdir())
    return [name for name in names if name != _LOCK and ".partial" not in name]


def _locked(folder):
    """Returns a file descriptor that holds the folder's lock until it is closed, int.

    None where the operating system or the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if not isinstance(error, BlockingIOError | PermissionError):
            return None  # a file system without locks
        raise ValueError(
            f"Only one process may train in a folder; received {folder}, in which "
            "another one is training now. Wait for it, stop it, or choose another "
            "output folder."
        ) from error
    return file


def _unlock(file):
    if file is not None:
        os.close(file)


def _bytes_of(variables):
    """Returns how many bytes the values of Keras variables take, int."""
    return sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables)


def _remove(paths: Iterable[pathlib.Path]):
    for path in paths:
        path.unlink(missing_ok=True)
