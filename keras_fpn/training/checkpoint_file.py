"""A checkpoint: a `.keras` file that holds the state of its training, too.

It is Keras's archive of the model and the optimizer, and in it one file more. So any
of them can be loaded as a model, and each is complete by itself: it comes into being by
one change of a name.
"""

import contextlib
import json
import warnings
import zipfile

import numpy as np

from keras_fpn.training.averaging import array_of

_STATE = "training_state.json"
_EXCERPT = 300  # letters; Keras's messages name every layer


def write_checkpoint(model, path, state):
    """Writes a compiled model, its optimizer and what else its training needs.

    Args:
        model: `keras.Model`.
        path: Path that ends in ".keras".
        state: dict for JSON.
    """
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_STATE, json.dumps(state))


def read_state(path):
    """Returns the state in a checkpoint; every byte that is used has been checked.

    Raises:
        ValueError: the file is damaged; the message says how.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # compares the checksums of what is inside
            if damaged is None:
                return json.loads(archive.read(_STATE))
    except Exception as error:  # zipfile raises whatever the damage leads to
        raise ValueError(f"{type(error).__name__}: {error}") from error
    raise ValueError(f"the checksum of {damaged} in it is wrong")


def load_checkpoint(model, path):
    """Fills a compiled model and its optimizer.

    Raises:
        ValueError: the checkpoint is not of this model or not of this optimizer.
    """
    _build_optimizer(model)
    try:
        with warnings.catch_warnings():
            # Keras only warns where it leaves an optimizer's variables as they are.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, KeyError, UserWarning) as error:
        reason = " ".join(str(error).split())[:_EXCERPT]
        raise ValueError(
            "A checkpoint must have the variables of this model and its optimizer; "
            f"received {path} ({reason}...). Train with the settings and the code that "
            "it was written by, or choose another output folder."
        ) from error


def write_without_optimizer(model, path):
    """Writes a compiled model as one that is not: what detects, and nothing else."""
    with _not_compiled(model):
        model.save(path)


def load_without_optimizer(model, path):
    """Fills a compiled model from what `write_without_optimizer` wrote."""
    with _not_compiled(model):
        model.load_weights(path)


@contextlib.contextmanager
def _not_compiled(model):
    optimizer, compiled = model.optimizer, model.compiled
    model.optimizer, model.compiled = None, False
    try:
        yield
    finally:
        model.optimizer, model.compiled = optimizer, compiled


def not_finite(model):
    """Returns the path of a variable that has a NaN or infinity, or None.

    Args:
        model: `keras.Model`, compiled; the optimizer's variables are looked at, too.
    """
    for variable in [*model.variables, *model.optimizer.variables]:
        if not np.isfinite(np.asarray(array_of(variable), np.float32)).all():
            return variable.path
    return None


def byte_count(variables):
    """Returns how many bytes the values of Keras variables take, int."""
    return sum(np.asarray(array_of(variable)).nbytes for variable in variables)


def _build_optimizer(model):
    """Makes the optimizer's variables, which loading fills, where `fit` would."""
    if model.optimizer.built:
        return
    if hasattr(model, "distribute_strategy"):  # on TensorFlow
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
    else:
        model.optimizer.build(model.trainable_variables)
