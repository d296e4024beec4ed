"""Checks a .keras file before Keras builds anything from it.

Keras builds what a config describes before it looks at the weights, and inflates what
an archive claims. So both are read here first, with bounds that no detector reaches.
"""

import io
import json
import math
import random
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_fpn.weights.hdf5_tensors import declared_tensors

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_REQUIRED = {CONFIG, METADATA, WEIGHTS}
_MEMBERS = {*_REQUIRED, "training_state.json"}  # the last is of a run's checkpoints
_LARGEST_MEMBER = 2**24  # bytes; 2^16 are usual, but for the weights, which may be
_MOST_INFLATED = 8  # times as large as they are stored
_DEEPEST, _MOST_VALUES = 64, 2**16  # of a config; 14 and 2,400 are usual
_LARGEST = 2**16  # number in a config that may be the size of something
# These are no sizes. What a model was compiled with allocates nothing either.
_COMPILED = "compile_config"
_NO_SIZES = {"category_ids", "shared_object_id", "seed", _COMPILED}
_LARGEST_OTHER = 2**63
_STATE = 2**12  # numbers that a model of one's own may have beside its weights
_PACKAGES = {"keras", "keras_fpn", "builtins"}
_EXCERPT = 60  # characters


def check_archive(path: Path):
    """Raises for a .keras file that is not a detector's, or too large for its bytes.

    Args:
        path: `Path` of a regular file.

    Raises:
        ValueError: what is wrong, without the name of the file.
        keras_fpn.weights.hdf5_tensors.UNREADABLE: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        _check_members(archive.infolist(), path.stat().st_size)
        config = archive.read(CONFIG)
        content = archive.read(WEIGHTS)  # whole, which compares its checksum
    with h5py.File(io.BytesIO(content)) as file:
        shapes, _ = declared_tensors(file, len(content))
    there = sum(map(math.prod, shapes.values()))
    needed = described_numbers(*checked_config(config))
    if needed > there + _STATE:
        raise ValueError(
            f"its {CONFIG} describes weights of {needed} numbers, and there are {there}"
        )


def checked_config(text: str | bytes):
    """Returns the config of a model that Keras may build.

    Args:
        text: JSON.

    Returns:
        dict, and the classes in it that are registered, dict of name -> class.

    Raises:
        ValueError: it is no JSON, too deep or too large, names a class that is neither
            of Keras nor of keras_fpn nor registered, or has sizes that no detector has.
    """
    try:
        top = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"its {CONFIG} is nested too deeply") from error
    if not isinstance(top, dict) or "class_name" not in top:
        raise ValueError(f"its {CONFIG} describes no model")
    registered = {}
    values, count = [("", top, 1, _LARGEST)], 0
    while values:
        key, value, depth, largest = values.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_VALUES:
            raise ValueError(
                f"its {CONFIG} is deeper than {_DEEPEST} or has more than "
                f"{_MOST_VALUES} values"
            )
        if isinstance(value, dict):
            registered |= _registered_class(value)
            for name, inner in value.items():
                bound = _LARGEST_OTHER if name in _NO_SIZES else largest
                values.append((name, inner, depth + 1, bound))
        elif isinstance(value, list):
            values += [(key, inner, depth + 1, largest) for inner in value]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_number(key, value, largest)
    return top, registered


def described_numbers(config: dict[str, Any], registered: dict[str, type]):
    """Returns how many numbers the weights of a model have, int; none is allocated.

    The model is built with the shapes of its variables alone. That happens in a thread
    of its own, because Keras notes for each thread which variables have no values yet.

    Args:
        config, registered: as `checked_config` returns them.

    Raises:
        what Keras raises for a config that it cannot build.
    """
    uncompiled = {k: v for k, v in config.items() if k != _COMPILED}

    def build():
        no_values = keras.StatelessScope(initialize_variables=False)
        with no_values, keras.saving.custom_object_scope(registered):
            model = keras.saving.deserialize_keras_object(uncompiled)
            weights = model.weights if isinstance(model, keras.layers.Layer) else ()
            return sum(math.prod(weight.shape) for weight in weights)

    drawn = random.getstate()  # Keras draws a seed for every layer
    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(build).result()
    finally:
        random.setstate(drawn)


def _check_members(members, size):
    """Raises for archives with other members than Keras's, or larger when unpacked."""
    names = [member.filename for member in members]
    missing = sorted(_REQUIRED - set(names))
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    other = [name for name in names if name not in _MEMBERS or names.count(name) > 1]
    if other:
        raise ValueError(f"its entry {other[0][:_EXCERPT]!r} is not that of a detector")
    if sum(member.compress_size for member in members) > size:
        raise ValueError("its entries overlap")
    for member in members:
        most = _LARGEST_MEMBER
        if member.filename == WEIGHTS:
            most = max(most, _MOST_INFLATED * member.compress_size)
        if member.file_size > most:
            raise ValueError(
                f"its entry {member.filename} claims {member.file_size} bytes in "
                f"{member.compress_size}"
            )


def _registered_class(entry):
    """Returns the registered class that a dict names, dict of name -> class.

    Raises:
        ValueError: it names another class than those that may be built.
    """
    if "class_name" not in entry:
        return {}
    name, module = entry["class_name"], entry.get("module")
    registered = entry.get("registered_name") or name
    if not all(isinstance(one, str) for one in (name, registered, module or "")):
        raise ValueError(f"its {CONFIG} has a class whose name is no text")
    found = keras.saving.get_registered_object(registered)
    ours = not module or module.partition(".")[0] in _PACKAGES
    if name == "__lambda__" or not (ours or found is not None):
        raise ValueError(
            f"it needs the class {name[:_EXCERPT]!r} of {str(module)[:_EXCERPT]!r}"
        )
    return {} if found is None else {registered: found}


def _check_number(key, value, largest):
    if not (-_LARGEST_OTHER <= value <= largest or value in (math.inf, -math.inf)):
        raise ValueError(
            f"its {CONFIG} has {key[:_EXCERPT]!r} above {largest}, which no detector "
            "has"
        )
