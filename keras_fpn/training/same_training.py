"""What two processes must share for one to continue the other's training."""

import hashlib
import json
import re

import keras

from keras_fpn.data.fingerprint import fingerprint

# What Keras numbers where it is not named, and what stands elsewhere in the settings.
_OF_EVERY_LAYER = ("name", "trainable", "dtype", "build_config", "shared_object_id")
_DIGITS = 16
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def settings_of(plan, model, loader, validation, seed):
    """Returns what `RunFolder` compares, a dict for JSON.

    Args:
        plan: `TrainingPlan`.
        model: detector, compiled.
        loader: `keras_fpn.data.Loader` of the training photos.
        validation: `keras_fpn.data.Dataset` or None.
        seed: int.
    """
    return {
        "recipe": plan.name,
        "dataset": _told(loader.dataset),
        "validation": _told(validation),
        "class_names": list(loader.dataset.class_names),
        "epochs": plan.epochs,
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "augment": [_text(augmentation) for augmentation in plan.augment],
        "shapes": _text(plan.shapes),
        "frozen_through": plan.frozen_through,
        "undecayed": list(plan.undecayed),
        "dtype_policy": plan.dtype_policy,
        "optimizer": _config(model.optimizer),
        "preprocessing": model.preprocessing.to_config(),
        "model": {name: _part(part) for name, part in model.parts.by_name().items()},
        "weights": _shapes(model),
        "seed": seed,
    }


def _told(dataset):
    if dataset is None:
        return None
    return f"{dataset.name}, {len(dataset)} photos, {fingerprint(dataset)}"


def _text(value):
    """Returns repr, without the place in memory that a class of one's own may give."""
    return _ADDRESS.sub("", repr(value))


def _part(part):
    """Returns what a part of a model is made of, for JSON.

    Args:
        part: layer; functional model, of which a hash tells enough; or anything else.
    """
    if not isinstance(part, keras.layers.Layer):
        return _text(part)
    if not isinstance(part, keras.Model):
        return _config(part)
    layers = json.dumps([_part(layer) for layer in part.layers], sort_keys=True)
    return _hash(layers)


def _config(thing):
    """Returns a layer's or an optimizer's class and arguments, for JSON."""
    serialized = keras.saving.serialize_keras_object(thing)
    name = serialized["registered_name"] or serialized["class_name"]
    return {"class": name, **_own(serialized["config"])}


def _own(config):
    if isinstance(config, dict):
        return {
            key: _own(value)
            for key, value in config.items()
            if key not in _OF_EVERY_LAYER
        }
    if isinstance(config, list | tuple):
        return [_own(value) for value in config]
    return config


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _shapes(model):
    """Returns how many values are in a model's weights, and a hash of their shapes."""
    shapes = [(tuple(weight.shape), weight.trainable) for weight in model.weights]
    return f"{model.count_params()} parameters, {_hash(repr(shapes))}"
