"""Checks a .keras file before Keras builds anything from it.

Keras builds what a config describes before it looks at the weights, and inflates what
an archive claims. So both are read here first, with bounds that no detector reaches.
"""

import io
import json
import math
import zipfile
from pathlib import Path

import h5py
import keras

from keras_fpn.weights.hdf5_tensors import declared_tensors

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_REQUIRED = {CONFIG, METADATA, WEIGHTS}
_MEMBERS = {*_REQUIRED, "training_state.json"}  # the last is of a run's checkpoints
_LARGEST_MEMBER = 2**24  # bytes; 2^16 are usual, but for the weights, which may be
_MOST_INFLATED = 8  # times as large as they are stored
_DEEPEST, _MOST_VALUES = 64, 2**20  # of a config; 14 and 2,400 are usual
_LARGEST = 2**16  # number in a config that may be the size of something
# These are no sizes. What a model was compiled with allocates nothing either.
_NO_SIZES = {"category_ids", "shared_object_id", "seed", "compile_config"}
_LARGEST_OTHER = 2**63
_FILTERS, _KERNEL = "filters", "kernel_size"
_UNITS = {"channels", "filters", "num_classes", "num_keypoints", "num_stuff", "units"}
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
    check_config(config, list(shapes.values()))


def check_config(text: str | bytes, shapes: list[tuple[int, ...]]):
    """Raises for the config of a model that Keras must not build.

    Args:
        text: JSON.
        shapes: of the tensors in the file.

    Raises:
        ValueError: it is no JSON, too deep or too large, names a class that is neither
            of Keras nor of keras_fpn nor registered, or has layers or sizes too large
            for these tensors.
    """
    largest_of = _largest_of(shapes)
    left = sum(map(math.prod, shapes))
    try:
        top = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"its {CONFIG} is nested too deeply") from error
    if not isinstance(top, dict) or "class_name" not in top:
        raise ValueError(f"its {CONFIG} describes no model")
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
            left -= _least_weights(value)
            if left < 0:
                raise ValueError(
                    f"its {CONFIG} has convolutions for more weights than there are"
                )
            for name, inner in value.items():
                bound = _LARGEST_OTHER if name in _NO_SIZES else largest
                values.append((name, inner, depth + 1, bound))
        elif isinstance(value, list):
            values += [(key, inner, depth + 1, largest) for inner in value]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_number(key, value, min(largest, largest_of.get(key, largest)))


def _largest_of(shapes):
    """Returns the largest numbers of layers with these weights, dict of name -> int."""
    # The first axis of a matrix may be flattened features, which no layer counts.
    units = max((max(shape[1:] or shape, default=0) for shape in shapes), default=0)
    side = max((max(shape[:-2]) for shape in shapes if len(shape) > 2), default=1)
    return dict.fromkeys(_UNITS, units) | {_KERNEL: side}


def _least_weights(entry):
    """Returns how many weights a convolution has at least, int; 0 for all else."""
    filters, sides = entry.get(_FILTERS), entry.get(_KERNEL)
    sides = sides if isinstance(sides, list) else [sides, sides]
    numbers = [filters, *sides]
    if any(type(number) is not int or number < 1 for number in numbers):
        return 0
    return math.prod(numbers)


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
    if name == "__lambda__" or not (
        not module
        or module.partition(".")[0] in _PACKAGES
        or keras.saving.get_registered_object(registered) is not None
    ):
        raise ValueError(
            f"it needs the class {name[:_EXCERPT]!r} of {str(module)[:_EXCERPT]!r}"
        )


def _check_number(key, value, largest):
    if not (-_LARGEST_OTHER <= value <= largest or value in (math.inf, -math.inf)):
        raise ValueError(
            f"its {CONFIG} has {key[:_EXCERPT]!r} above {largest}, which no detector "
            "with these weights has"
        )
