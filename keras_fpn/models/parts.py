"""What a detector is made of: frozen values that hold its layers and settings."""

import typing
from dataclasses import dataclass, fields
from typing import Any

import keras

from keras_fpn.weights.registry import known_names


@dataclass(frozen=True)
class Parts:
    """Base class of frozen dataclasses whose fields are layers, settings or `Parts`.

    A field that is itself `Parts` is a branch. Names of fields are unique in the whole
    tree, so a part can be named without its branch: `model.box_head`,
    `faster_rcnn_fpn(box_head=...)`. A tuple holds several branches of one kind; their
    layers' names end in _1, _2, and so on.
    """

    def get_config(self):
        """Returns a dict that `from_config` takes, without any weights."""
        return {
            field.name: _serialized(getattr(self, field.name)) for field in fields(self)
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns new parts, without weights, as `get_config` described them."""
        return cls(
            **{name: restored(value, custom_objects) for name, value in config.items()}
        )

    @classmethod
    def of(cls, parts: dict[str, Any]):
        """Returns the tree that holds parts, each in the branch that has its field.

        Args:
            parts: dict of a field's name -> part. Fields that are not in it have their
                defaults.

        Raises:
            ValueError: a name is not a field's; the error lists near names.
        """
        parts = dict(parts)
        tree = cls._taken_from(parts)
        if parts:
            unknown = next(iter(parts))
            raise ValueError(
                "A part of a detector must have a known name; received "
                f"{unknown!r}. {known_names(unknown, cls.names())}"
            )
        return tree

    @classmethod
    def names(cls):
        """Returns the names of all fields in the tree that are not branches."""
        names = []
        for name, branch in cls._fields():
            names += branch.names() if branch else [name]
        return names

    def by_name(self):
        """Returns every part in the tree, name of its field -> part.

        Raises:
            ValueError: two fields have one name.
        """
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            is_branch = isinstance(value, Parts)
            inner = value.by_name() if is_branch else {field.name: value}
            for name, part in inner.items():
                if name in found:
                    raise ValueError(
                        "Each part of a detector must have a name of its own; received "
                        f"two parts {name!r}: {found[name]} and {part}."
                    )
                found[name] = part
        return found

    def layers(self):
        """Returns the layers in the tree, name -> layer."""
        return {
            inner: layer
            for name, value in self.by_name().items()
            for inner, layer in _named_layers(name, value)
        }

    def class_columns(self):
        """Returns the `ClassColumns` of all branches, list."""
        return [
            columns
            for branch in (getattr(self, field.name) for field in fields(self))
            if isinstance(branch, Parts)
            for columns in branch.class_columns()
        ]

    @classmethod
    def _fields(cls):
        """Yields each field's name with the `Parts` it holds; None for other fields."""
        hints = typing.get_type_hints(cls)
        for field in fields(cls):
            hint = hints[field.name]
            is_branch = isinstance(hint, type) and issubclass(hint, Parts)
            yield field.name, hint if is_branch else None

    @classmethod
    def _taken_from(cls, parts):
        """Returns the tree; removes from `parts` what went into it."""
        values = {}
        for name, branch in cls._fields():
            if branch:
                values[name] = branch._taken_from(parts)
            elif name in parts:
                values[name] = parts.pop(name)
        return cls(**values)


def restored(value, custom_objects=None):
    """Returns the objects that a config describes; lists become tuples."""
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value, custom_objects)
    if isinstance(value, list | tuple):
        return tuple(restored(one, custom_objects) for one in value)
    return value


def _serialized(value):
    if isinstance(value, tuple):
        return [_serialized(one) for one in value]
    return keras.saving.serialize_keras_object(value)


def _named_layers(name, value):
    """Yields (name, layer) of a field's value."""
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, tuple):
        for number, one in enumerate(value, start=1):
            inner = one.layers() if isinstance(one, Parts) else {name: one}
            for inner_name, layer in inner.items():
                yield from _named_layers(f"{inner_name}_{number}", layer)
