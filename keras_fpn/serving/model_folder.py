"""Finds the version to serve in the folders that `keras-fpn export` writes."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from keras_fpn.visualize import class_color

_GRAPH = "saved_model.pb"
_MALFORMED = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)
_NAME = re.compile(r"[^/:?#%]+")  # as TensorFlow Serving's addresses, unescaped


@dataclass(frozen=True)
class ModelFolder:
    """A version of a model.

    Attributes:
        path: Path of the version, a SavedModel.
        name: str, the model's name in addresses.
        version: int.
    """

    path: Path
    name: str
    version: int

    def classes(self):
        """Returns the classes, list of dict: "id", "name" and "color", "#rrggbb".

        Raises:
            ValueError: the file of the classes is damaged.
        """
        return [
            {**one, "color": _hex(label)}
            for label, one in enumerate(self._read("classes.json"))
        ]

    def pixel_classes(self):
        """Returns what the values of a semantic map mean, list of dict by value.

        They are those of `classes`, or, of a panoptic model, things and then stuff,
        without ids. Things have the color None: each has that of its own class.

        Raises:
            ValueError: a file of classes is damaged.
        """
        stuff, objects = self._read("stuff.json"), self.classes()
        if not stuff:
            return objects
        colors = [_hex(len(objects) + place) for place in range(len(stuff))]
        return [{"name": "things", "color": None}] + [
            {"name": one["name"], "color": color}
            for one, color in zip(stuff, colors, strict=True)
        ]

    def _read(self, name):
        """Returns the "id" and "name" of the classes in a file; [] without it."""
        path = self.path / "assets.extra" / name
        if not path.is_file():
            return []
        try:
            classes = json.loads(path.read_text("utf-8"))
            return [{"id": int(one["id"]), "name": str(one["name"])} for one in classes]
        except _MALFORMED as error:
            raise ValueError(
                "The classes of a model must be a list of ids and names; received "
                f"{path}: {error!r}. Export the model again."
            ) from error


def find_version(folder: str | os.PathLike, name: str | None = None):
    """Returns the `ModelFolder` to serve: the newest version, or the one given.

    Args:
        folder: of a model, DIR, or of a version, DIR/3.
        name: of the model; None, that of DIR.

    Raises:
        ValueError: there is no SavedModel; the name cannot be part of an address.
    """
    path = Path(folder).resolve()
    if (path / _GRAPH).is_file():
        numbered = _is_number(path.name)
        parent, version = (path.parent, int(path.name)) if numbered else (path, 1)
    else:
        parent, version = path, _newest(path, folder)
        path = next(p for p in _versions(path) if int(p.name) == version)
    name = parent.name if name is None else name
    if not _NAME.fullmatch(name):
        raise ValueError(
            "A model's name must have at least one letter and none of / : ? # %; "
            f"received name={name!r}. Give it another with --name."
        )
    return ModelFolder(path, name, version)


def _newest(path, folder):
    """Returns the highest number of a version."""
    numbers = [int(version.name) for version in _versions(path)]
    if not numbers:
        raise ValueError(
            "The folder of a model must have a SavedModel, DIR/1/saved_model.pb; "
            f"received {os.fspath(folder)!r}. Write one with `keras-fpn export`."
        )
    return max(numbers)


def _versions(path):
    """Returns the folders of a model's versions."""
    folders = path.iterdir() if path.is_dir() else ()
    return [p for p in folders if _is_number(p.name) and (p / _GRAPH).is_file()]


def _is_number(name):
    return name.isascii() and name.isdigit()


def _hex(label):
    return "#{:02x}{:02x}{:02x}".format(*class_color(label))
