"""Reads and writes the state of a training: weights, their averages, the optimizer.

A checkpoint is Keras's `.keras` archive of a compiled model with one more file in it,
the state of the run. So every checkpoint can be loaded as a model, and it is complete
as soon as its file has its name.

Averages of weights (EMA) are kept by an optimizer with `use_ema`. Keras's
`SwapEMAWeights` swaps them by additions on TensorFlow, which round, so that the weights
are not the same after swapping twice. At its end `fit` overwrites the weights by their
averages, so that a second `fit` does not continue the first. A run that resumes exactly
can use neither: these functions copy values instead.
"""

import contextlib
import json
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_fpn.distribute.inner_optimizers import inner_optimizers
from keras_fpn.weights.hdf5_tensors import UNREADABLE

_STATE = "training_state.json"
_EXCERPT = 300  # characters; Keras's messages name every layer


def write_checkpoint(model, path: Path, state: dict):
    """Writes a compiled model, its optimizer and the state of its run.

    Args:
        model: `keras.Model`.
        path: ends in ".keras".
        state: what JSON can hold.
    """
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_STATE, json.dumps(state))


def read_state(path: Path):
    """Returns the state in a checkpoint, dict, after checking every byte that is used.

    Raises:
        ValueError: the file is damaged; the message says how.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # compares the checksums of all its files
            if damaged is None:
                return _checked_state(json.loads(archive.read(_STATE)))
    except UNREADABLE as error:
        raise ValueError(f"{type(error).__name__}: {str(error)[:_EXCERPT]}") from error
    raise ValueError(f"the checksum of {damaged} in it is wrong")


def _checked_state(state):
    """Returns the state of a run, which has all that `RunFolder` reads of it.

    That of an earlier version has no "skipped".
    """
    counts = [state[name] for name in ("epoch", "batch")]
    best, skipped = state["best_value"], state.setdefault("skipped", {})
    if (
        any(type(count) is not int or count < 0 for count in counts)
        or not isinstance(best, float | int | None)
        or not isinstance(state["metrics"], list)
        or not all(isinstance(text, str) for text in skipped.values())
    ):
        raise ValueError(f"the state in it is {str(state)[:60]}")
    # JSON has no other keys than texts.
    return state | {"skipped": {int(number): skipped[number] for number in skipped}}


def load_checkpoint(model, path: Path):
    """Loads the weights and the optimizer of a compiled model.

    Raises:
        ValueError: the checkpoint is of another model or another optimizer.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    try:
        with warnings.catch_warnings():
            # Keras only warns when it leaves variables of an optimizer unchanged.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, KeyError, UserWarning) as error:
        reason = " ".join(str(error).split())[:_EXCERPT]
        raise ValueError(
            "A checkpoint must have the variables of this model and its optimizer; "
            f"received {path} ({reason}...). Train with the settings and the code that "
            "wrote it, or choose another output folder."
        ) from error


@contextlib.contextmanager
def without_optimizer(model):
    """Within it a model saves and loads as one that is not compiled."""
    optimizer, compiled = model.optimizer, model.compiled
    model.optimizer, model.compiled = None, False
    try:
        yield
    finally:
        model.optimizer, model.compiled = optimizer, compiled


def variables_of(model):
    """Returns all variables of a compiled model and its optimizer, list."""
    return [*model.variables, *model.optimizer.variables]


def not_finite(model):
    """Returns the path of a variable that has a NaN or infinity, str; None without.

    Args:
        model: `keras.Model`, compiled; its optimizer's variables are checked too.
    """
    for variable in variables_of(model):
        if not np.isfinite(np.asarray(array_of(variable), np.float32)).all():
            return variable.path
    return None


def array_of(variable):
    """Returns the value of a Keras variable; it may share the variable's memory."""
    return keras.ops.convert_to_numpy(variable)


def averages(model):
    """Returns the pairs of a compiled model's weights and their averages.

    Args:
        model: `keras.Model`, its optimizer built.

    Returns:
        list of (variable, variable); empty for an optimizer without averages.
    """
    pairs = []
    for optimizer in inner_optimizers(model.optimizer):
        if optimizer.use_ema and optimizer.built:  # one without weights is not built
            weights = optimizer._trainable_variables
            held = optimizer._model_variables_moving_average
            pairs.extend(zip(weights, held, strict=True))
    return [(weight, average) for weight, average in pairs if average is not None]


def use_averages(model):
    """Overwrites a compiled model's weights by their averages, if it has any."""
    for weight, average in averages(model):
        weight.assign(average)


def trained_weights(model):
    """Returns copies of the weights that have averages, list of arrays."""
    return [np.array(array_of(weight)) for weight, _ in averages(model)]


def restore_weights(model, values):
    """Overwrites the weights that have averages by what `trained_weights` returned."""
    for (weight, _), value in zip(averages(model), values, strict=True):
        weight.assign(value)


@contextlib.contextmanager
def averaged_weights(model):
    """Within it a compiled model has the averages as weights; after it, its own.

    A model without averages keeps its weights.
    """
    values = trained_weights(model)
    use_averages(model)
    try:
        yield
    finally:
        restore_weights(model, values)
