"""Keras's .weights.h5 files: what is in one, and loading all of it or nothing."""

import math
import warnings

import h5py
import keras
import numpy as np

from keras_fpn.files import PathLike
from keras_fpn.weights.look_alikes import KERAS, layout_of, look_alikes

_OPTIMIZER = "optimizer/"
_EXCERPT = 300  # characters, because Keras's messages list every layer


def weight_shapes(path: PathLike):
    """Returns the shapes of a file's tensors and the names of their layers.

    Those of an optimizer are left out.

    Args:
        path: str or os.PathLike of a .weights.h5 file.

    Returns:
        dict of tensor -> shape, and dict of tensor -> name of the layer, str or None.

    Raises:
        ValueError: it is not an HDF5 file.
    """
    shapes, layers = {}, {}

    def note(name, node):
        if isinstance(node, h5py.Dataset) and not name.startswith(_OPTIMIZER):
            shapes[name] = tuple(node.shape)
            layers[name] = node.parent.attrs.get("name")

    try:
        with h5py.File(path) as file:
            file.visititems(note)
    except OSError as error:
        raise ValueError(
            "A .weights.h5 file must be written by the `save_weights` of a model; "
            f"received {path}, which is not, or is damaged: {error}."
        ) from error
    return shapes, layers


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
    shapes, _ = weight_shapes(path)
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
    except (ValueError, KeyError, UserWarning) as error:
        for weight, value in zip(model.weights, before, strict=True):
            weight.assign(value)
        reason = " ".join(str(error).split())[:_EXCERPT]
        raise ValueError(
            f"A file must have the weights of the model; received {path}: {reason}... "
            f"{look_alikes(layout_of(shapes, KERAS), KERAS)}"
        ) from error


def _size(shapes):
    total = sum(map(math.prod, shapes))
    return f"{len(shapes)} tensors of {total:,} numbers"
