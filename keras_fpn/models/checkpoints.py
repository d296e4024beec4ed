"""Loads weights of whole detectors, by name or from a file of any supported kind."""

import contextlib
import os
import warnings
from collections.abc import Collection
from pathlib import Path

import keras

from keras_fpn.models.class_columns import copy_weights
from keras_fpn.models.classes import Classes
from keras_fpn.models.detector import Detector
from keras_fpn.weights import (
    SHIPPED,
    Checkpoint,
    fetch,
    get_checkpoint,
    load_detectron2,
    load_torchvision,
    read_pickled_arrays,
    read_torch,
)
from keras_fpn.weights.detectron2 import detectron2_slots, is_pickle
from keras_fpn.weights.hdf5_tensors import UNREADABLE
from keras_fpn.weights.keras_archive import check_archive, check_folder
from keras_fpn.weights.keras_files import excerpt, load_weights_file
from keras_fpn.weights.look_alikes import naming_look_alikes
from keras_fpn.weights.mapping import check_names, classes_in
from keras_fpn.weights.registry import known_names
from keras_fpn.weights.tensor_names import publisher_of, weights_among
from keras_fpn.weights.torchvision import torchvision_slots


def find_weights(weights: str | os.PathLike, names: Collection[str]):
    """Returns a published name unchanged, or the path of a file as a `Path`.

    Args:
        weights: str or path-like.
        names: the published names.

    Raises:
        ValueError: `weights` is neither a name nor a file; the error lists near names.
    """
    if weights in names:
        return weights
    path = Path(os.fspath(weights))
    if path.is_file():
        return path
    raise ValueError(
        "weights must be None, 'coco', 'imagenet', the name of a preset or an existing "
        f"file; received weights={os.fspath(weights)!r}. "
        f"{known_names(weights, [*names, 'coco', 'imagenet'])}"
    )


def load_keras_file(path: Path):
    """Returns the detector in a .keras file, or None for a file of another kind.

    Args:
        path: `Path`.

    Raises:
        ValueError: the file is damaged, contains another kind of model, or needs
            classes that are not registered.
    """
    if path.suffix != ".keras":
        return None
    with _unreadable_named(path):
        check_archive(path)
    return _loaded(path, path)


def load_keras_folder(folder: Path, name: str):
    """Returns the detector that was saved as a folder, with `zipped=False`.

    Args:
        folder: `Path`.
        name: str, what errors call it.

    Raises:
        ValueError: as in `load_keras_file`.
    """
    with _unreadable_named(name):
        check_folder(folder)
    return _loaded(folder, name)


def _loaded(path, name):
    """Returns the detector in a file or folder that was checked."""
    with _unreadable_named(name):
        model = keras.models.load_model(path)
    if not isinstance(model, Detector):
        raise ValueError(
            f"A .keras file must contain a detector of keras_fpn; received {name}, "
            f"which contains a {type(model).__name__}. Pass a file written by the "
            "`save` of a detector."
        )
    return model


@contextlib.contextmanager
def _unreadable_named(name):
    """Turns what Keras and its libraries raise for a file into one line of its name."""
    try:
        yield
    except UNREADABLE as error:
        raise ValueError(
            "A .keras file must be written by the `save` of a detector whose classes "
            "are known to Keras (import your own classes first); received "
            f"{name}: {excerpt(error)}."
        ) from error


def published_name(path: Path, names: Collection[str]):
    """Returns the name of the published checkpoint with the hash of a file.

    Args:
        path: `Path`.
        names: the published names.

    Returns:
        str, or None if the file is not a published checkpoint.
    """
    if not path.is_file():
        return None
    hashes: dict[str, str] = {}  # of the file, which is large, by algorithm
    for name in set(names) - set(SHIPPED):
        checkpoint = get_checkpoint(name)
        url, digest = checkpoint.url, checkpoint.digest
        if url is None or digest is None or not url.endswith(path.suffix):
            continue
        if digest.algorithm not in hashes:
            hashes[digest.algorithm] = digest.of(path)
        if hashes[digest.algorithm].startswith(digest.digits):
            return name
    return None


def classes_of(source: Detector | Checkpoint | None):
    """Returns the `Classes` of a detector or checkpoint, or None if it has none."""
    if source is None or source.class_names is None:
        return None
    return Classes(list(source.class_names), list(source.category_ids or ()))


def load_checkpoint(
    model: Detector, weights: str | Path, source: Detector | None = None
):
    """Loads weights into a detector.

    Weights that belong to classes are loaded only if the number of classes is the same.

    Args:
        model: `Detector`.
        weights: a published name, or a `Path`.
        source: the detector in the file, if it is a .keras file.

    Raises:
        ValueError: the weights do not fit the architecture.

    Warns:
        UserWarning: the weights are for another number of classes.
    """
    if source is not None:
        count = len(source.class_names)
        same = _same_count(model, weights, count)
        known = [(label, label) for label in range(count)] if same else None
        copy_weights(source.parts, model.parts, known, repr(str(weights)))
    elif isinstance(weights, Path) and weights.name.endswith(".h5"):
        load_weights_file(model, weights)
    else:
        path = weights if isinstance(weights, Path) else fetch(get_checkpoint(weights))
        tensors = read_foreign(path)
        publisher = publisher_of(tensors)
        slots_of, load = foreign_loader(publisher)
        with naming_look_alikes(tensors):
            slots = slots_of(model)
            # Before the classes, whose warning is about files of this architecture.
            check_names(slots, weights_among(tensors, publisher))
        count = classes_in(model, slots, tensors)
        fits = count is None or _same_count(model, weights, count)
        load(model, tensors, keep_classes=fits)


def read_foreign(path: Path):
    """Returns the tensors in a torch file or a pickle, dict of str -> array.

    Args:
        path: `Path`; the suffix .pkl means a pickle of NumPy arrays.

    Raises:
        ValueError: as `read_torch` and `read_pickled_arrays`.
    """
    return (read_pickled_arrays if is_pickle(path) else read_torch)(path)


def foreign_loader(publisher: str):
    """Returns the functions that list a model's slots and that fill a model.

    Args:
        publisher: str, "detectron2" or "torchvision".
    """
    if publisher == "detectron2":
        return detectron2_slots, load_detectron2
    return torchvision_slots, load_torchvision


def _same_count(model, weights, count):
    """Returns whether weights have as many classes as the model, and warns if not."""
    same = count == len(model.class_names)
    if not same:
        warnings.warn(
            f"{str(weights)!r} has {count} classes and this model has "
            f"{len(model.class_names)}: all weights are loaded except those that "
            "belong to classes, which are random and must be trained.",
            stacklevel=5,
        )
    return same
