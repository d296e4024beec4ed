"""Checks a .keras file before Keras builds anything from it.

Keras builds what a config describes before it looks at the weights, and inflates what
an archive claims. So both are read here first, with bounds that no detector reaches.
"""

import io
import json
import math
import operator
import random
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_fpn.files import check_regular
from keras_fpn.weights.hdf5_tensors import declared_tensors

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_REQUIRED = {CONFIG, METADATA, WEIGHTS}
_MEMBERS = {*_REQUIRED, "training_state.json"}  # the last is of a run's checkpoints
_LARGEST_MEMBER = 2**24  # bytes; 2^16 are usual, but for the weights, which may be
_MOST_INFLATED = 8  # times as large as they are stored
_LARGEST_FILE = 2**40  # bytes
_DEEPEST, _MOST_VALUES = 64, 2**16  # of a config; 14 and 2,400 are usual
_LARGEST = 2**16  # number in a config that may be the size of something
# These are no sizes. What a model was compiled with allocates nothing either.
_COMPILED = "compile_config"
_NO_SIZES = {"category_ids", "shared_object_id", "seed", _COMPILED}
_LARGEST_OTHER = 2**63
_LARGEST_OF = {"num_convs": 64}  # layers, which take time to build
_STATE = 2**12  # numbers that a model of one's own may have beside its weights
_NODES, _TENSOR = "inbound_nodes", "__keras_tensor__"
_PACKAGES = {"keras", "keras_fpn", "builtins"}
# They would hold numbers that are no weights of the model.
_UNCOUNTED = (keras.Metric, keras.Loss, keras.layers.MelSpectrogram)
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
        _check_sizes(config, file, len(content))


def check_folder(folder: Path):
    """Raises as `check_archive` for what `save` writes with `zipped=False`.

    Args:
        folder: `Path`, such as of a model from the Hugging Face Hub.
    """
    for name, most in {CONFIG: _LARGEST_MEMBER, WEIGHTS: _LARGEST_FILE}.items():
        check_regular(folder / name, most)
    config, weights = (folder / CONFIG).read_bytes(), folder / WEIGHTS
    with h5py.File(weights) as file:
        _check_sizes(config, file, weights.stat().st_size)


def _check_sizes(config, file, size):
    """Raises if a config needs more weights than an HDF5 file of this size has."""
    there = sum(map(math.prod, declared_tensors(file, size).values()))
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
        dict, and what it names of the registered classes and functions, dict of name ->
        object.

    Raises:
        ValueError: it is no JSON, too deep or too large, names a class that is neither
            of Keras nor of keras_fpn nor registered, has sizes that no detector has, or
            calls a layer without tensors, which computes while it is loaded.
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
            _check_class(value)
            for name, inner in value.items():
                bound = _LARGEST_OTHER if name in _NO_SIZES else largest
                values.append((name, inner, depth + 1, bound))
        elif isinstance(value, list):
            if key == _NODES:
                _check_nodes(value)
            values += [(key, inner, depth + 1, largest) for inner in value]
        elif isinstance(value, str):
            found = keras.saving.get_registered_object(value)
            registered |= {} if found is None else {value: found}
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_number(key, value, min(largest, _LARGEST_OF.get(key, largest)))
    return top, registered


def described_numbers(config: dict[str, Any], registered: dict[str, Any]):
    """Returns how many numbers the variables of a model have; none is allocated.

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
            if not isinstance(model, keras.Model):
                raise ValueError(f"its {CONFIG} describes no model")
            return sum(math.prod(variable.shape) for variable in model.variables)

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


def _check_class(entry):
    """Raises for a dict that names another class than those that may be built."""
    if "class_name" not in entry:
        return
    name, module = entry["class_name"], entry.get("module")
    registered = entry.get("registered_name") or name
    if not all(isinstance(one, str) for one in (name, registered, module or "")):
        raise ValueError(f"its {CONFIG} has a class whose name is no text")
    if keras.saving.get_registered_object(registered) is not None:
        return
    ours = not module or module.partition(".")[0] in _PACKAGES
    found = _class_of(module or "", name) if ours else None
    uncounted = isinstance(found, type) and issubclass(found, _UNCOUNTED)
    if name == "__lambda__" or not ours or uncounted:
        raise ValueError(
            f"it needs the class {name[:_EXCERPT]!r} of {str(module)[:_EXCERPT]!r}"
        )


def _class_of(module, name):
    """Returns what Keras finds by these names; None if that is nothing."""
    public = f"{module}.{name}".partition(".")[2]
    try:
        return operator.attrgetter(public)(keras)
    except AttributeError:
        return getattr(sys.modules.get(module), name, None)


def _check_nodes(nodes):
    """Raises for calls of a layer with anything but tensors of the model and values."""
    for node in nodes:
        within, names = [node], []
        while within:
            value = within.pop()
            if isinstance(value, dict):
                names += [value["class_name"]] if "class_name" in value else []
                within += value.values()
            elif isinstance(value, list):
                within += value
        if (isinstance(node, dict) and _TENSOR not in names) or set(names) - {_TENSOR}:
            raise ValueError(f"its {CONFIG} calls a layer with something but tensors")


def _check_number(key, value, largest):
    if not (-_LARGEST_OTHER <= value <= largest or value in (math.inf, -math.inf)):
        raise ValueError(
            f"its {CONFIG} has {key[:_EXCERPT]!r} above {largest}, which no detector "
            "has"
        )
