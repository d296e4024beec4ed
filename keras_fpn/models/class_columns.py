"""Finds the weights of a detector that belong to classes, and copies weights.

Fine-tuning and the loading of .keras files and foreign checkpoints all use this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_fpn.models.parts import Parts, restored

_STATISTICS = "moving_variance_initializer"  # only configs of norms have this key


@dataclass(frozen=True)
class ClassColumns:
    """The units of a layer that belong to classes, in the order of the labels.

    They are `repeats` groups, each with the units of all classes.

    Attributes:
        layer: `keras.layers.Layer`; the last axis of its weights is the units.
        width: int, number of adjacent units per class.
        background: bool, whether the last units of a group belong to the background.
        repeats: int, number of groups, such as one per anchor of a cell.
    """

    layer: keras.layers.Layer
    width: int = 1
    background: bool = False
    repeats: int = 1

    def count(self, units: int):
        """Returns how many classes a number of units stands for, int."""
        return units // (self.repeats * self.width) - int(self.background)


def class_weights(parts: Parts):
    """Returns `id(weight)` of all weights that belong to classes, as a set."""
    return {
        id(weight)
        for columns in parts.class_columns()
        for weight in columns.layer.weights
    }


def renewed(parts: Parts, num_classes: int | None = None):
    """Returns new parts of the same architecture; weights are not copied.

    All of them are trainable and have Keras's current dtype policy, even if the given
    parts were frozen or have another policy. Norms with frozen statistics keep them
    frozen.

    Args:
        parts: `Parts`.
        num_classes: int, K; None keeps the number.
    """
    config = _as_new(keras.saving.serialize_keras_object(parts), num_classes)
    return restored(config)


def _as_new(config, num_classes):
    """Returns a config without the entries on how layers were trained and built."""
    if isinstance(config, dict):
        dropped = ["build_config"]  # shapes, which depend on the number of classes
        if _STATISTICS not in config:
            dropped.append("trainable")
        if isinstance(config.get("dtype"), dict):  # a policy
            dropped.append("dtype")
        # A backbone is a model with layers of its own, which do not depend on classes.
        inner = None if "layers" in config else num_classes
        config = {
            key: _as_new(value, inner)
            for key, value in config.items()
            if key not in dropped
        }
        if num_classes is not None and "num_classes" in config:
            config["num_classes"] = num_classes
        return config
    if isinstance(config, list | tuple):
        return type(config)(_as_new(value, num_classes) for value in config)
    return config


def copy_weights(
    source: Parts,
    target: Parts,
    known: Sequence[tuple[int, int]] | None,
    origin: str = "the source",
    left_out: Sequence[str] = (),
):
    """Copies weights between the parts of two detectors of the same architecture.

    Args:
        source, target: `Parts`.
        known: list of (label in the target, label in the source) for each class that
            both have. Columns of other classes are not changed. None changes no weights
            that belong to classes.
        origin: str, name of the source in errors, such as its file.
        left_out: names of layers whose weights are not copied.

    Raises:
        ValueError: the weights of the two do not have the same shapes. In that case
            nothing is copied.
    """
    skipped = class_weights(target)
    theirs, own, pairs = source.layers(), target.layers(), []
    for name, layer in own.items():
        if name in left_out:
            continue
        received = theirs[name].weights if name in theirs else []
        if len(received) != len(layer.weights):
            raise ValueError(_misfit(name, origin))
        for new, old in zip(layer.weights, received, strict=True):
            if id(new) in skipped:
                continue
            if tuple(new.shape) != tuple(old.shape):
                raise ValueError(_misfit(name, origin))
            pairs.append((new, old))
    for new, old in pairs:
        new.assign(old)
    if known:
        both = zip(source.class_columns(), target.class_columns(), strict=True)
        for theirs, own in both:
            _copy_columns(theirs, own, known)


def _copy_columns(source, target, known):
    """Copies the units of known classes, and those of the background if it has any."""
    new, old = (list(labels) for labels in zip(*known, strict=True))
    weights = []
    for received, own in zip(
        source.layer.get_weights(), target.layer.get_weights(), strict=True
    ):
        received = received.reshape(_by_class(received, source))
        changed = np.array(own).reshape(_by_class(own, target))
        changed[..., new, :] = received[..., old, :]
        if target.background:
            changed[..., -1, :] = received[..., -1, :]
        weights.append(changed.reshape(own.shape))
    target.layer.set_weights(weights)


def _by_class(array, columns):
    """Returns the shape (..., repeats, classes, width) of weights."""
    return (*array.shape[:-1], columns.repeats, -1, columns.width)


def _misfit(name, origin):
    return (
        f"The weights must be for this architecture; received {origin}, whose {name} "
        "has other weights. Load a file with keras.models.load_model."
    )
