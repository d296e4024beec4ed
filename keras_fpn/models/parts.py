"""The tree of parts of a detector: frozen dataclasses with its layers and settings."""

import typing
from dataclasses import dataclass, fields
from typing import Any

import keras

from keras_fpn.weights.registry import known_names


@dataclass(frozen=True)
class Parts:
    """Base class of frozen dataclasses whose fields are layers, settings or `Parts`.

    A field that is itself a `Parts` is a branch. Field names are unique in the whole
    tree, so the name of a part does not need the name of its branch: `model.box_head`,
    `faster_rcnn_fpn(box_head=...)`. A tuple can hold several branches of the same kind;
    the names of their layers end in _1, _2, and so on.
    """

    def get_config(self):
        """Returns a dict for `from_config`; it contains no weights."""
        return {
            field.name: _serialized(getattr(self, field.name)) for field in fields(self)
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """Returns new parts as `get_config` described them, with new weights."""
        return cls(
            **{name: restored(value, custom_objects) for name, value in config.items()}
        )

    @classmethod
    def of(cls, parts: dict[str, Any]):
        """Returns the tree in which each part is in the branch that has its field.

        Args:
            parts: dict of field name -> part. Other fields have their defaults.

        Raises:
            ValueError: a name is not the name of a field; the error lists near names.
        """
        parts = dict(parts)
        tree = cls._taken_from(parts)
        if parts:
            unknown, value = next(iter(parts.items()))
            remedy = known_names(unknown, cls.names())
            if unknown == "preset":
                remedy = f"To build a preset, give weights={value!r}, or call "
                remedy += f"keras_fpn.load({value!r})."
            raise ValueError(
                "A part of a detector must have a known name; received "
                f"{unknown!r}. {remedy}"
            )
        return tree

    @classmethod
    def names(cls):
        """Returns the names of all fields in the tree except branches, list of str."""
        names = []
        for name, branch in cls._fields():
            names += branch.names() if branch else [name]
        return names

    def by_name(self):
        """Returns all parts in the tree, dict of field name -> part.

        Raises:
            ValueError: two fields have the same name.
        """
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            is_branch = isinstance(value, Parts)
            inner = value.by_name() if is_branch else {field.name: value}
            for name, part in inner.items():
                _add(found, name, part)
        return found

    def layers(self):
        """Returns all layers in the tree, dict of name -> layer.

        Raises:
            ValueError: two layers have the same name.
        """
        found: dict[str, keras.layers.Layer] = {}
        for name, value in self.by_name().items():
            for inner, layer in _named_layers(name, value):
                _add(found, inner, layer)
        return found

    def class_columns(self):
        """Returns the `ClassColumns` of all branches, as a list.

        It is empty for a branch without weights that belong to classes.
        """
        found = []
        for field in fields(self):
            value = getattr(self, field.name)
            for branch in value if isinstance(value, tuple) else (value,):
                found += branch.class_columns() if isinstance(branch, Parts) else []
        return found

    @classmethod
    def _fields(cls):
        """Yields (name, class) of each field; the class is None if it is no branch."""
        hints = typing.get_type_hints(cls)
        for field in fields(cls):
            hint = hints[field.name]
            is_branch = isinstance(hint, type) and issubclass(hint, Parts)
            yield field.name, hint if is_branch else None

    @classmethod
    def _taken_from(cls, parts):
        """Returns the tree, and removes the parts that it uses from `parts`."""
        values = {}
        for name, branch in cls._fields():
            if branch:
                values[name] = branch._taken_from(parts)
            elif name in parts:
                values[name] = parts.pop(name)
        return cls(**values)


def restored(value, custom_objects: dict | None = None):
    """Returns the objects that a config describes, with tuples instead of lists."""
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value, custom_objects)
    if isinstance(value, list | tuple):
        return tuple(restored(one, custom_objects) for one in value)
    return value


def check_classes(layers, class_names):
    """Raises an error if a part was made for another number of classes."""
    for name, layer in layers.items():
        count = getattr(layer, "num_classes", len(class_names))
        if count != len(class_names):
            raise ValueError(
                f"{name} must have as many classes as class_names, "
                f"{len(class_names)}; received {name}.num_classes={count}. Leave "
                f"{name} out, or pass the names of its classes."
            )


def check_one_class(class_names, detector):
    """Raises an error if a class-agnostic detector is given several classes."""
    if detector.class_agnostic and len(class_names) != 1:
        raise ValueError(
            f"{detector.__name__} must have one class, because it does not say which "
            f"class an object has; received class_names={list(class_names)}. Give "
            "['object']."
        )


def check_names(names, detector):
    """Raises if a part has the name of another attribute of detectors."""
    taken = sorted(name for name in names if hasattr(detector, name) or name == "trunk")
    if taken:
        raise ValueError(
            "Parts become attributes of a detector, so they must have names that it "
            f"does not use itself; received parts named {taken}. Rename these fields."
        )


def _serialized(value):
    if isinstance(value, tuple):
        return [_serialized(one) for one in value]
    return keras.saving.serialize_keras_object(value)


def _add(found, name, part):
    if name in found:
        raise ValueError(
            "Each part of a detector must have a different name; received two parts "
            f"{name!r}: {found[name]} and {part}. Rename a field."
        )
    found[name] = part


def _named_layers(name, value):
    """Yields (name, layer) for each layer in the value of a field."""
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, tuple):
        for number, one in enumerate(value, start=1):
            inner = one.layers() if isinstance(one, Parts) else {name: one}
            for inner_name, layer in inner.items():
                yield from _named_layers(f"{inner_name}_{number}", layer)
