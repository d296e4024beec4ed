"""Weights for a whole detector: by name, or from a file of any kind it can have."""

import os
import warnings
import zipfile
from pathlib import Path

import keras

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

_TORCH_CLASSES = "roi_heads.box_predictor.cls_score.bias"
_STATISTICS = "moving_variance_initializer"  # only norms have it
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


def parts_of(source):
    """Returns new parts like a detector's, by argument, without its weights.

    The box predictor is left out, for it depends on the classes.
    """
    config = as_new(source.get_config())
    parts = {"preprocessing": source.preprocessing}
    for name in source.parts():
        part = config[name]
        if isinstance(part, dict):
            part.pop("build_config", None)  # of what it was connected with
            part = keras.saving.deserialize_keras_object(part)
        parts[name] = part
    parts.pop("box_predictor", None)
    return parts


def as_new(config):
    """Returns a config without what says how the layers in it were trained.

    Norms whose statistics were fixed keep them: nobody unfreezes these by chance.
    """
    if isinstance(config, dict):
        dropped = [] if _STATISTICS in config else ["trainable"]
        if isinstance(config.get("dtype"), dict):  # a policy
            dropped.append("dtype")
        return {
            key: as_new(value) for key, value in config.items() if key not in dropped
        }
    if isinstance(config, list | tuple):
        return type(config)(as_new(value) for value in config)
    return config


def classes_of(source):
    """Returns the `Classes` of a loaded detector; None for None."""
    return source and Classes(source.class_names, source.category_ids)


def load_checkpoint(model, weights, source=None):
    """Fills a detector; its box predictor only where the classes are as many.

    Args:
        model: `FasterRCNN`.
        weights: a published name, or a `Path`.
        source: the detector in the file, where it is a .keras file.

    Raises:
        ValueError: the weights do not fit the architecture.
    """
    if source is not None:
        _copy_parts(model, source, weights)
    elif isinstance(weights, Path) and weights.name.endswith(".h5"):
        model.load_weights(weights)
    else:
        path = weights
        if not isinstance(weights, Path):
            path = fetch(get_checkpoint(weights))
        tensors = read_torch(path)
        count = len(tensors.get(_TORCH_CLASSES, ())) - 1
        fits = count in (-1, len(model.class_names))
        if not fits:
            _say_predictor_is_new(model, weights, count)
        load_torchvision(model, tensors, keep_predictor=fits)


def _copy_parts(model, source, path):
    parts, own = source.layer_parts(), model.layer_parts()
    if len(source.class_names) != len(model.class_names):
        _say_predictor_is_new(model, path, len(source.class_names))
        del own["box_predictor"]
    for name, part in own.items():
        shapes = [tuple(weight.shape) for weight in part.weights]
        received = [tuple(weight.shape) for weight in parts[name].weights]
        if shapes != received:
            raise ValueError(
                f"The file must hold this architecture; received {str(path)!r}, whose "
                f"{name} has other weights. Load it by keras.models.load_model."
            )
    for name, part in own.items():
        part.set_weights(parts[name].get_weights())


def _say_predictor_is_new(model, weights, count):
    warnings.warn(
        f"{str(weights)!r} has {count} classes and this model "
        f"{len(model.class_names)}: all weights are loaded but those of the box "
        "predictor, which starts anew and "
        "must be trained.",
        stacklevel=4,
    )
