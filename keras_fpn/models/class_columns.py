"""Which weights of a detector belong to its classes, and how others are copied.

Fine-tuning, .keras files and foreign checkpoints all go by it.
"""

from dataclasses import dataclass

import keras
import numpy as np

from keras_fpn.models.parts import restored

_STATISTICS = "moving_variance_initializer"  # only norms have it


@dataclass(frozen=True)
class ClassColumns:
    """The units of a layer that belong to classes, in the order of their labels.

    Attributes:
        layer: `keras.layers.Layer`, whose weights' last axis is the units.
        width: int, adjacent units per class.
        background: bool, whether the units after the last class are the background's.
    """

    layer: keras.layers.Layer
    width: int = 1
    background: bool = False


def class_weights(parts):
    """Returns the ids of the weights that belong to classes, set of int."""
    return {
        id(weight)
        for columns in parts.class_columns()
        for weight in columns.layer.weights
    }


def renewed(parts, num_classes=None):
    """Returns new parts of the same architecture, without weights.

    Nothing of them is frozen and their dtype policy is Keras's of now, however the
    others were trained. Norms whose statistics were fixed stay so.

    Args:
        parts: `Parts`.
        num_classes: int, K; None, as before.
    """
    config = _as_new(keras.saving.serialize_keras_object(parts), num_classes)
    return restored(config)


def _as_new(config, num_classes):
    """Returns a config without what says how its layers were trained and built."""
    if isinstance(config, dict):
        dropped = ["build_config"]  # shapes, which other classes would change
        if _STATISTICS not in config:
            dropped.append("trainable")
        if isinstance(config.get("dtype"), dict):  # a policy
            dropped.append("dtype")
        # A backbone is a model of its own, whose layers have none of our classes.
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


def copy_weights(source, target, known, origin="the source"):
    """Copies the weights of one detector's parts to another's of its architecture.

    Args:
        source, target: `Parts`.
        known: list of (label in the target, label in the source) of classes that both
            have; the columns of other classes stay as they are. None: all weights of
            classes stay as they are.
        origin: str, what the source is called in errors, such as its file.

    Raises:
        ValueError: the parts have other weights; nothing was copied.
    """
    skipped = class_weights(target)
    theirs, own, pairs = source.layers(), target.layers(), []
    for name, layer in own.items():
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
    """Copies the units of known classes, and those of the background if any."""
    new, old = (list(labels) for labels in zip(*known, strict=True))
    weights = []
    for received, own in zip(
        source.layer.get_weights(), target.layer.get_weights(), strict=True
    ):
        received = received.reshape(*received.shape[:-1], -1, source.width)
        changed = np.array(own).reshape(*own.shape[:-1], -1, target.width)
        changed[..., new, :] = received[..., old, :]
        if target.background:
            changed[..., -1, :] = received[..., -1, :]
        weights.append(changed.reshape(own.shape))
    target.layer.set_weights(weights)


def _misfit(name, origin):
    return (
        f"The weights must be those of this architecture; received {origin}, whose "
        f"{name} has other weights. Load a file by keras.models.load_model."
    )
