"""Weights for a whole detector: by name, or from a file of any kind it can have."""

import os
import warnings
import zipfile
from pathlib import Path

import keras

from keras_fpn.models.class_columns import copy_weights
from keras_fpn.models.classes import Classes
from keras_fpn.models.detector import Detector
from keras_fpn.weights import (
    SHIPPED,
    fetch,
    get_checkpoint,
    load_torchvision,
    read_torch,
)
from keras_fpn.weights.download import sha256_of
from keras_fpn.weights.registry import known_names
from keras_fpn.weights.torchvision import classes_in

_EXCERPT = 300  # letters; Keras's messages hold whole configs


def find_weights(weights, names):
    """Returns a published name as it is, or a file as a `Path`.

    Args:
        weights: str or path-like.
        names: collection of str, the published names.

    Raises:
        ValueError: neither a name nor a file; near names are listed.
    """
    if weights in names:
        return weights
    path = Path(os.fspath(weights))
    if path.is_file():
        return path
    raise ValueError(
        "weights must be None, 'coco', 'imagenet', a preset's name or an existing "
        f"file; received weights={os.fspath(weights)!r}. "
        f"{known_names(weights, [*names, 'coco', 'imagenet'])}"
    )


def load_keras_file(path):
    """Returns the detector in a .keras file, or None for a file of another kind.

    Args:
        path: `Path`.

    Raises:
        ValueError: the file is damaged, or holds another model or unknown classes.
    """
    if path.suffix != ".keras":
        return None
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"A .keras file must be what `model.save` wrote; received {path}, which is "
            "not, or is damaged."
        )
    try:
        model = keras.models.load_model(path)
    except (KeyError, TypeError) as error:  # a part is missing; a class is not known
        # Keras quotes each part's config, then what was wrong within it.
        innermost = str(error).rpartition("Exception encountered: ")[2]
        reason = " ".join(innermost.split())[:_EXCERPT]
        raise ValueError(
            "A .keras file must hold a model of classes that are known, which those of "
            f"yours are once imported; received {path}: {reason}"
        ) from error
    if not isinstance(model, Detector):
        raise ValueError(
            f"A .keras file must hold a detector of keras_fpn; received {path}, which "
            f"holds a {type(model).__name__}. Name a file that a detector's own `save` "
            "wrote."
        )
    return model


def published_name(path, names):
    """Returns the name of the published checkpoint that a file is, by its SHA-256.

    Args:
        path: `Path`.
        names: collection of str, published names.

    Returns:
        str; None where it is none of them.
    """
    if path.suffix != ".pth":
        return None
    digest = sha256_of(path)
    for name in set(names) - set(SHIPPED):
        if digest.startswith(get_checkpoint(name).sha256):
            return name
    return None


def classes_of(source):
    """Returns the `Classes` of a loaded detector; None for None."""
    return source and Classes(source.class_names, source.category_ids)


def load_checkpoint(model, weights, source=None):
    """Fills a detector; weights of classes only if there are as many classes.

    Args:
        model: `Detector`.
        weights: a published name, or a `Path`.
        source: the detector in the file, if it is a .keras file.

    Raises:
        ValueError: the weights do not fit the architecture.

    Warns:
        UserWarning: the weights have another number of classes.
    """
    if source is not None:
        count = len(source.class_names)
        same = _same_count(model, weights, count)
        known = [(label, label) for label in range(count)] if same else None
        copy_weights(source.parts, model.parts, known, repr(str(weights)))
    elif isinstance(weights, Path) and weights.name.endswith(".h5"):
        model.load_weights(weights)
    else:
        path = weights
        if not isinstance(weights, Path):
            path = fetch(get_checkpoint(weights))
        tensors = read_torch(path)
        count = classes_in(tensors)
        fits = count is None or _same_count(model, weights, count)
        load_torchvision(model, tensors, keep_predictor=fits)


def _same_count(model, weights, count):
    """Returns whether weights have the model's number of classes; warns if not."""
    same = count == len(model.class_names)
    if not same:
        warnings.warn(
            f"{str(weights)!r} has {count} classes and this model has "
            f"{len(model.class_names)}: all weights are loaded except those of the "
            "classes, which start from random numbers and must be trained.",
            stacklevel=5,
        )
    return same
