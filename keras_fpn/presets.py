"""Presets: published models by name, with their weights and metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_fpn.models import (
    cascade_rcnn,
    fast_rcnn,
    faster_rcnn,
    fcos,
    keypoint_rcnn,
    mask_rcnn,
    panoptic,
    retinanet,
    rpn,
)
from keras_fpn.weights import SHIPPED, Checkpoint, get_checkpoint
from keras_fpn.weights.checkpoint import described
from keras_fpn.weights.registry import known_names
from keras_fpn.weights.shipped import ShippedCheckpoint

# Builder and `Family` of each kind of detector.
_FAMILIES = (
    (faster_rcnn.faster_rcnn_fpn, faster_rcnn.FAMILY),
    (mask_rcnn.mask_rcnn_fpn, mask_rcnn.FAMILY),
    (cascade_rcnn.cascade_mask_rcnn_fpn, cascade_rcnn.MASK_FAMILY),
    (panoptic.panoptic_fpn, panoptic.FAMILY),
    (fast_rcnn.fast_rcnn_fpn, fast_rcnn.FAMILY),
    (rpn.rpn_fpn, rpn.FAMILY),
    (keypoint_rcnn.keypoint_rcnn_fpn, keypoint_rcnn.FAMILY),
    (retinanet.retinanet_fpn, retinanet.FAMILY),
    (fcos.fcos_fpn, fcos.FAMILY),
)


@dataclass(frozen=True)
class Preset:
    """A published model.

    Attributes:
        name: str.
        builder: function that builds the model from `weights` and parts by name.
        parts: function that returns the parts of this architecture, by name.
        checkpoint: `keras_fpn.weights.Checkpoint` with the address of the weights, the
            published metrics, their source and the license; or `ShippedCheckpoint`,
            whose file is part of keras_fpn and whose metrics we measured.
    """

    name: str
    builder: Callable
    parts: Callable
    checkpoint: Checkpoint | ShippedCheckpoint

    def __repr__(self):
        return f"<Preset {described(self.checkpoint)}>"

    @property
    def metrics(self):
        """dict of data set -> metric -> value, as published by `source`."""
        return self.checkpoint.metrics

    @property
    def source(self):
        """str, the publisher of the metrics and the weights."""
        return self.checkpoint.source

    @property
    def has_weights(self):
        """bool, whether `from_preset` can load the weights; else they are a user's."""
        found = self.checkpoint
        return isinstance(found, ShippedCheckpoint) or found.url is not None


def list_presets():
    """Returns all presets, dict of name -> `Preset`."""
    return {
        name: Preset(name, builder, parts, SHIPPED.get(name) or get_checkpoint(name))
        for builder, family in _FAMILIES
        for name, parts in family.published.items()
    }


def from_preset(name: str, load_weights: bool = True, **overrides):
    """Builds a published model.

    Args:
        name: str, a key of `list_presets()`.
        load_weights: bool; False builds the architecture with random weights and
            downloads nothing.
        **overrides: arguments of the preset's builder, such as `num_classes` or
            `class_names`, or parts that replace the published ones.

    Returns:
        the model, such as `keras_fpn.models.FasterRCNN`.

    Raises:
        ValueError: `name` is not a preset (the error lists similar names), or its
            weights cannot be downloaded (the error says how to load a file).
    """
    presets = list_presets()
    if name not in presets:
        raise ValueError(
            f"A preset must be one of those published; received {name!r}. "
            f"{known_names(name, presets)}"
        )
    preset = presets[name]
    # The builder finds the parts that belong to a checkpoint by itself.
    own = {"weights": name} if load_weights else _without_weights(preset, overrides)
    return preset.builder(**{"name": name, **own, **overrides})


def _without_weights(preset, overrides):
    """Returns a preset's parts, and its classes unless others are given."""
    parts = preset.parts()
    if overrides.get("backbone") == parts["backbone"].name:
        # The same backbone by name: keep the preset's own, whose norms fit its weights.
        del overrides["backbone"]
    if "preprocessing" in parts and overrides.get("preprocessing") is not None:
        own = parts["preprocessing"]
        overrides["preprocessing"] = overrides["preprocessing"].completed(
            own.mean, own.std, own.resize_rule
        )
    checkpoint = preset.checkpoint
    if checkpoint.class_names is None or {"num_classes", "class_names"} & set(
        overrides
    ):
        return parts
    return {
        **parts,
        "class_names": list(checkpoint.class_names),
        "category_ids": list(checkpoint.category_ids),
    }
