"""Keras's .weights.h5 files: what is in one, and loading all of it or nothing."""

import math
import os
import warnings

import h5py
import keras
import numpy as np

from keras_fpn.files import PathLike
from keras_fpn.weights.hdf5_tensors import UNREADABLE, declared_tensors
from keras_fpn.weights.look_alikes import KERAS, layout_of, look_alikes

_EXCERPT = 200  # characters, because Keras's messages list every layer


def weight_shapes(path: PathLike):
    """Returns the shapes of a file's tensors, dict of tensor -> shape.

    Those of an optimizer are left out.

    Args:
        path: str or os.PathLike of a .weights.h5 file.

    Raises:
        ValueError: it is not an HDF5 file, or `declared_tensors` raises.
    """
    try:
        with h5py.File(path) as file:
            return declared_tensors(file, os.stat(path).st_size)
    except UNREADABLE as error:
        raise ValueError(
            "A .weights.h5 file must be written by the `save_weights` of a model; "
            f"received {path}, which is not, or is damaged: {excerpt(error)}."
        ) from error


def load_weights_file(model: keras.Model, path: PathLike):
    """Loads a .weights.h5 file into a model, all of it or nothing.

    `keras.Model.load_weights` alone ignores surplus tensors, only warns about some
    missing ones, and leaves a model half-loaded after an error.

    Args:
        model: `keras.Model`, built.
        path: str or os.PathLike.

    Raises:
        ValueError: the file is of another model; the error names the presets that it
            may be of. The model stays unchanged.
    """
    shapes = weight_shapes(path)
    own = sorted(tuple(weight.shape) for weight in model.weights)
    if sorted(shapes.values()) != own:
        raise ValueError(
            f"A file must have the weights of the model; received {path} with "
            f"{_size(shapes.values())}, and the model has {_size(own)}. "
            f"{look_alikes(layout_of(shapes, KERAS), KERAS)}"
        )
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in model.weights]
    try:
        with warnings.catch_warnings():
            # Keras only warns about layers that the file lacks.
            warnings.filterwarnings("error", "Skipping nested container", UserWarning)
            model.load_weights(path)
    except (*UNREADABLE, UserWarning) as error:
        for weight, value in zip(model.weights, before, strict=True):
            weight.assign(value)
        raise ValueError(
            "A file must have the weights of the model; received "
            f"{path}: {excerpt(error)}... "
            f"{look_alikes(layout_of(shapes, KERAS), KERAS)}"
        ) from error


def excerpt(error: BaseException):
    """Returns the beginning of an exception's message in one line, str."""
    # Keras quotes the config of each nested part; the cause is the last sentence.
    innermost = str(error).rpartition("Exception encountered: ")[2]
    return " ".join(innermost.split())[:_EXCERPT] or type(error).__name__


def _size(shapes):
    total = sum(map(math.prod, shapes))
    return f"{len(shapes)} tensors of {total:,} numbers"
