"""The settings of a run: what must be equal for a process to resume another's run."""

import hashlib
import json
import re
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import PIL

from keras_fpn.data.fingerprint import fingerprint
from keras_fpn.data.json_texts import load_json
from keras_fpn.files import replacing

# What the numbers of a training depend on beside its settings. It is raised with every
# change after which a resumed run would end with other weights.
# 1: there was no number; RoIs beyond 896 pixels read P6 in training.
# 2: "model" described an assignment where it now describes a match and a sample.
# 3: "model" and "preprocessing" lacked settings, such as "resize_rule".
# 4: empty images filled the last batch of an epoch, and entered batch norms.
# 5: moments of group and batch norms were added up in another order.
FORMAT = 6
_ABSENT = "nothing"
_DESCRIBED = ("model", "optimizer")  # settings that another version may word otherwise
_FOLLOWING = ("optimizer", "weights")  # that other settings decide, such as "epochs"
# What Keras numbers where it has no name, and what other settings state already.
_OF_EVERY_LAYER = ("name", "trainable", "dtype", "build_config", "shared_object_id")
_DIGITS = 16
_SHOWN = 200  # characters of a setting in messages
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PACKAGE = __name__.partition(".")[0]


def settings_of(plan, model, loader, validation, seed: int):
    """Returns the settings of a run, a dict for JSON.

    Args:
        plan: `TrainingPlan`.
        model: detector, compiled.
        loader: `keras_fpn.data.Loader` of the training photos.
        validation: `keras_fpn.data.Dataset` or None.
        seed: of the random numbers.
    """
    return {
        "recipe": plan.name,
        "dataset": _described(loader.dataset),
        "validation": _described(validation),
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


def write_or_compare(path: Path, settings: dict):
    """Writes the settings of a new run, or compares them with those of the run there.

    It warns if the run was begun with other versions of what computes its numbers.

    Raises:
        ValueError: the settings or the format differ, or a file is damaged.
    """
    settings = _for_json(settings)
    if path.is_file():
        _compare(path, settings)
        return
    content = {"format": FORMAT, "settings": settings, "made_with": _made_with()}
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def resumes(path: Path, settings: dict):
    """Returns whether a training with these settings would resume the run at `path`.

    Args:
        path: of its run.json, there or not.
        settings: dict for JSON.
    """
    try:
        begun_with, former, made_with = _read(path)
    except (ValueError, OSError):
        return False
    different, _ = _compared(former, made_with, _for_json(settings))
    return begun_with == FORMAT and not different


def _for_json(settings):
    """Returns settings as JSON gives them back."""
    try:
        return json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The settings of a run must be what JSON can hold: dicts with string keys, "
            f"lists, strings, finite numbers; received settings={settings!r}."
        ) from error


def _read(path):
    """Returns a run's format, its settings, and the versions that it was begun with."""
    try:
        run = load_json(path)
        return run.get("format", 1), run["settings"], dict(run["made_with"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path.name} must be what a training wrote; received {path}, which is "
            "damaged. Choose another output folder."
        ) from error


def _compared(former, made_with, settings):
    """Returns texts: in what settings differ, and differences that are no others.

    Another version may describe the same model in other words.
    """
    different = list(_differences(former, settings))
    if not _other_versions(made_with):
        return different, []
    described = [text for text in different if text.startswith(_DESCRIBED)]
    return [text for text in different if text not in described], described


def _other_versions(made_with):
    present = _made_with()
    return [name for name in present if made_with.get(name) != present[name]]


def _compare(path, settings):
    """Raises if the format or a setting differs; warns if a version does."""
    begun_with, former, made_with = _read(path)
    if begun_with != FORMAT:
        version = str(made_with.get("keras_fpn", _ABSENT))[:_SHOWN]
        raise ValueError(
            "A run can be resumed only by a version that computes the same numbers; "
            f"received {path.parent}, begun with format {str(begun_with)[:_SHOWN]} by "
            f"keras_fpn {version}, where this version has format {FORMAT}. Start again "
            "in another output folder, or resume with the version that began it."
        )
    different, described = _compared(former, made_with, settings)
    for text in described:
        warnings.warn(f"Ignored, because versions differ: {text}.", stacklevel=2)
    if different:
        chosen = [text for text in different if not text.startswith(_FOLLOWING)]
        raise ValueError(
            "A run can be resumed only with its own settings; received "
            f"{'; '.join(chosen or different)} in {path.parent}. Start with the "
            "settings of that run, or choose another output folder."
        )
    for name in _other_versions(made_with):
        warnings.warn(
            f"The run in {path.parent} was begun with {name} "
            f"{made_with.get(name, _ABSENT)} and resumes with {_made_with()[name]}: "
            "its weights may differ from those of an uninterrupted run.",
            stacklevel=2,
        )


def _differences(former, present, name=""):
    """Yields a text for each value in which two settings differ."""
    if isinstance(former, dict) and isinstance(present, dict):
        for key in dict.fromkeys([*former, *present]):
            yield from _differences(
                former.get(key, _ABSENT),
                present.get(key, _ABSENT),
                f"{name}.{key}" if name else key,
            )
    elif former != present:
        texts = repr(present)[:_SHOWN], repr(former)[:_SHOWN]
        yield f"{name}={texts[0]} where the run has {texts[1]}"


def _made_with():
    """Returns dict, name -> version, of what the numbers of a training depend on."""
    backend = keras.config.backend()
    version = getattr(sys.modules.get(backend), "__version__", "")
    return {
        "keras_fpn": sys.modules[_PACKAGE].__version__,
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        "Keras": keras.__version__,
        "the backend": f"{backend} {version}",
    }


def _described(dataset):
    if dataset is None:
        return None
    return f"{dataset.name}, {len(dataset)} photos, {fingerprint(dataset)}"


def _text(value):
    """Returns repr without the memory address that a user's own class may show."""
    return _ADDRESS.sub("", repr(value))


def _part(part):
    """Returns what a part of a model is made of, for JSON.

    Args:
        part: layer; functional model, which becomes a hash; or anything else.
    """
    if not isinstance(part, keras.layers.Layer):
        return _text(part)
    if not isinstance(part, keras.Model):
        return _config(part)
    return _hash(json.dumps([_part(layer) for layer in part.layers], sort_keys=True))


def _config(thing):
    """Returns the class and the arguments of a layer or an optimizer, for JSON."""
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
