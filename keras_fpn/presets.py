"""Published models by name: an architecture, its weights, and what they achieve."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_fpn.models.build_faster_rcnn import faster_rcnn_fpn
from keras_fpn.models.published import FASTER_RCNN
from keras_fpn.weights import (
    SHIPPED,
    Checkpoint,
    ShippedCheckpoint,
    get_checkpoint,
)
from keras_fpn.weights.registry import known_names


@dataclass(frozen=True)
class Preset:
    """A published model.

    Attributes:
        name: str.
        builder: function that builds the model; takes `weights` and its parts.
        parts: function that returns the parts of exactly this architecture.
        checkpoint: `keras_fpn.weights.Checkpoint`, where the weights are, the published
            metrics with their source, the license; or `ShippedCheckpoint`, whose file
            came with keras_fpn, and whose metrics are ours.
    """

    name: str
    builder: Callable
    parts: Callable
    checkpoint: Checkpoint | ShippedCheckpoint

    @property
    def metrics(self):
        """dict, data set -> metric -> value, as published by `source`."""
        return self.checkpoint.metrics

    @property
    def source(self):
        """str, who published the metrics and the weights."""
        return self.checkpoint.source


def list_presets():
    """Returns every preset, dict of name -> `Preset`."""
    return {
        name: Preset(
            name, faster_rcnn_fpn, parts, SHIPPED.get(name) or get_checkpoint(name)
        )
        for name, parts in FASTER_RCNN.items()
    }


def from_preset(name, load_weights=True, **overrides):
    """Builds a published model.

    Args:
        name: str, a name of `list_presets()`.
        load_weights: bool; False builds the architecture with random weights and needs
            no download.
        **overrides: arguments of the preset's builder, such as `num_classes` or
            `class_names`, or a part in the place of the published one.

    Returns:
        the model, such as `keras_fpn.models.FasterRCNN`.

    Raises:
        ValueError: no such preset; the error lists the near names.
    """
    presets = list_presets()
    if name not in presets:
        raise ValueError(
            f"name must be a preset; received name={name!r}. "
            f"{known_names(name, presets)}"
        )
    preset = presets[name]
    # The builder brings the parts of a checkpoint that it is to load.
    own = {"weights": name} if load_weights else _without_weights(preset, overrides)
    return preset.builder(**{"name": name, **own, **overrides})


def _without_weights(preset, overrides):
    """Returns a preset's parts, and its classes where no others are asked for."""
    parts = preset.parts()
    if overrides.get("backbone") == parts["backbone"].name:
        del overrides["backbone"]  # this very one, with the norms of its weights
    if preset.name not in SHIPPED or {"num_classes", "class_names"} & set(overrides):
        return parts
    checkpoint = preset.checkpoint
    return {
        **parts,
        "class_names": list(checkpoint.class_names),
        "category_ids": checkpoint.category_ids,
    }
