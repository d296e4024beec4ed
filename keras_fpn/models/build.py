"""What all builders of detectors share: names become parts, weights are loaded."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_fpn import backbones
from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.layers import (
    ConvNorm,
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    RPNHead,
    SubsampledLevel,
)
from keras_fpn.levels import level_number, ordered_names, pyramid_name
from keras_fpn.models.checkpoints import (
    classes_of,
    find_weights,
    load_checkpoint,
    load_keras_file,
    published_name,
)
from keras_fpn.models.class_columns import renewed
from keras_fpn.models.classes import resolved_classes
from keras_fpn.models.detector import Detector
from keras_fpn.models.parts import Parts
from keras_fpn.models.published import PARTS_OF_STRIDES
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import SHIPPED, load_imagenet

_PROBE_SIDE = 256  # pixels of the image on which a backbone's strides are measured


@dataclass(frozen=True)
class Family:
    """What a builder knows of the detectors of one kind.

    Attributes:
        detector: subclass of `Detector`.
        parts: subclass of `Parts`, the tree of its parts.
        complete: function from parts by name and the number of classes K to all parts
            by name: those given, and the paper's own for the others.
        published: dict, name of a checkpoint -> function that returns the parts it
            was made with, by name.
        coco: dict, name of a backbone -> name of the checkpoint that
            `weights="coco"` means.
    """

    detector: type[Detector]
    parts: type[Parts]
    complete: Callable[[dict[str, Any], int], dict[str, Any]]
    published: Mapping[str, Callable[[], dict[str, Any]]]
    coco: Mapping[str, str]


def build(family, backbone, weights, classes, preprocessing, name, parts):
    """Builds a detector: names become parts, weights are loaded.

    Args:
        family: `Family`.
        backbone, weights, preprocessing, name: as of `faster_rcnn_fpn`.
        classes: dict, the arguments of `resolved_classes`.
        parts: dict of parts by name.

    Returns:
        the family's detector.

    Raises:
        ValueError: as `faster_rcnn_fpn`.
    """
    if weights == "coco":
        weights = _coco_checkpoint(family, backbone)
    elif weights not in (None, "imagenet"):
        weights = find_weights(weights, family.published)
    file = SHIPPED[weights].path() if weights in SHIPPED else weights
    source = load_keras_file(file) if isinstance(file, Path) else None
    found = resolved_classes(classes_of(source), **classes)
    own = _published_parts(family, weights, source, len(found.names))
    own = _backbone_and_its_parts(backbone, weights, own)
    own_preprocessing = own.pop("preprocessing", Preprocessing())
    if preprocessing is None:
        preprocessing = own_preprocessing
    else:  # the checkpoint's knows the pixels that its weights expect
        preprocessing = preprocessing.completed(
            own_preprocessing.mean, own_preprocessing.std
        )
    given = {key: part for key, part in parts.items() if part is not None}
    model = family.detector(
        family.parts.of(family.complete({**own, **given}, len(found.names))),
        preprocessing,
        found.names,
        found.ids,
        name=name,
    )
    if weights == "imagenet":
        _check_pixels(model)
        load_imagenet(model.backbone, weights)
    elif weights is not None:
        load_checkpoint(model, file, source)
    return model


def _check_pixels(model):
    """Raises where a detector gives its backbone other pixels than ImageNet's weights
    expect, which nothing but lower scores would tell."""
    expected = pixel_mean_and_std(model.backbone)
    received = model.preprocessing.mean, model.preprocessing.std
    if received != expected:
        raise ValueError(
            f"The ImageNet weights of {model.backbone.name!r} expect pixels of mean "
            f"{expected[0]} and std {expected[1]}; received a preprocessing of "
            f"mean={received[0]}, std={received[1]}. Leave both out of it; or, to "
            "train with them, call keras_fpn.weights.load_imagenet(model.backbone, "
            "'imagenet') on a model without weights."
        )


def _coco_checkpoint(family, backbone):
    """Returns the name of the checkpoint that "coco" means for a backbone."""
    name = getattr(backbone, "name", backbone) or "resnet50"
    if name not in family.coco:
        raise ValueError(
            f"COCO weights of {family.detector.__name__} are published for the "
            f"backbones {sorted(family.coco)}; received backbone={name!r}. Use "
            "weights='imagenet' or None and train, or give a file."
        )
    return family.coco[name]


def _published_parts(family, weights, source, num_classes):
    """Returns the parts that weights were made with, if they tell, by name.

    A published file given by its path is known by its contents.

    Args:
        family: `Family`.
        weights: None, a published name, "imagenet" or a `Path`.
        source: the detector in the file, if it is a .keras file.
        num_classes: int, K.
    """
    if weights in family.published:
        return family.published[weights]()
    if source is not None:
        parts = renewed(source.parts, num_classes).by_name()
        return {**parts, "preprocessing": source.preprocessing}
    name = None
    if isinstance(weights, Path):
        name = published_name(weights, family.published)
    return family.published[name]() if name else {}


def _backbone_and_its_parts(backbone, weights, published):
    """Returns the parts that come with a checkpoint's name or with a backbone.

    A name becomes a model first, and all the rest depends on the model alone: so a
    backbone's name and the backbone itself make the same detector.
    """
    if not isinstance(backbone, keras.Model):
        backbone = _named_backbone(backbone, published)
    _check_outputs(backbone)
    if published:
        _check_belongs(backbone, published["backbone"], weights)
        return {**published, "backbone": backbone}
    strides = tuple(_strides(backbone).items())
    return {**PARTS_OF_STRIDES.get(strides, dict)(), "backbone": backbone}


def _named_backbone(name, published):
    """Returns the backbone of a name, a checkpoint's own where it has this name."""
    own = published.get("backbone")
    if own is not None and name in (None, own.name):
        return own
    name = name or "resnet50"
    if name not in backbones.__all__:
        raise ValueError(
            "backbone must be a functional keras.Model or one of "
            f"{sorted(backbones.__all__)}; received backbone={name!r}."
        )
    return getattr(backbones, name)()


def _check_belongs(backbone, own, weights):
    """Raises where a checkpoint's weights are not for a backbone of ours.

    What the tensors themselves tell, such as other channels, is told by their loader.
    """
    if backbone.name in backbones.__all__ and backbone.name != own.name:
        raise ValueError(
            f"weights={str(weights)!r} are those of the backbone {own.name!r}; "
            f"received backbone={backbone.name!r}. Leave the backbone out, or take "
            "weights='imagenet'."
        )
    stored, given = _frozen_epsilons(own), _frozen_epsilons(backbone)
    if stored and given and stored != given:
        raise ValueError(
            f"weights={str(weights)!r} were stored for frozen norms of epsilon "
            f"{stored}; received a backbone {backbone.name!r} of epsilon {given}. "
            "Build it with the same epsilon, or leave it out."
        )


def _frozen_epsilons(backbone):
    """Returns the epsilons of a backbone's frozen norms, sorted list of float."""
    return sorted(
        {
            float(layer.epsilon)
            for layer in backbone.layers
            if isinstance(layer, ConvNorm) and layer.norm == "frozen_batch"
        }
    )


def with_defaults(parts, defaults):
    """Returns parts by name, with new layers for those that are missing.

    Args:
        parts: dict, name -> part.
        defaults: dict, name -> class of the layer, made without other arguments.
    """
    missing = sorted(set(defaults) - set(parts))
    return {**parts, **{name: defaults[name](name=name) for name in missing}}


def with_region(parts):
    """Returns parts by name, with the paper's first stage where it is missing."""
    check_strides(parts)
    defaults = {
        "neck": FeaturePyramid,
        "coarse_level": SubsampledLevel,
        "proposals": Proposals,
    }
    parts = with_defaults(parts, defaults)
    if "anchors" not in parts:
        bottom_up = _output_shapes(parts["backbone"])
        pyramid = parts["neck"].compute_output_shape(bottom_up)
        levels = parts["coarse_level"].compute_output_shape(pyramid)
        sizes = {name: (2 ** (level_number(name) + 3),) for name in levels}
        parts["anchors"] = MultiLevelAnchors(sizes, name="anchors")
    if "rpn_head" not in parts:
        parts["rpn_head"] = RPNHead(parts["anchors"].per_cell, name="rpn_head")
    return parts


def _output_shapes(backbone):
    return {name: tuple(output.shape) for name, output in backbone.output.items()}


def _check_outputs(backbone):
    """Raises where a model's outputs are no bottom-up levels."""
    outputs = backbone.output
    if not isinstance(outputs, dict):
        raise ValueError(
            "A backbone's outputs must be a dict of levels such as {'C2': ..., 'C5': "
            f"...}}; received outputs of type {type(outputs).__name__}. Build "
            "keras.Model(inputs, {'C2': ..., 'C3': ..., 'C4': ..., 'C5': ...})."
        )
    names = ordered_names(outputs)
    wrong = [name for name in names if not name.startswith("C")]
    if wrong:
        raise ValueError(
            f"A backbone's levels must be named C2, C3, ...; received {names}. Rename "
            f"{wrong}."
        )


def _strides(backbone):
    """Returns how many pixels apart the cells of each map are, measured, by level.

    Returns:
        dict "C<l>" -> int or float, from the finest level on; NaN where the two axes
        differ, or where a size cannot be told.
    """
    shapes = backbone.compute_output_shape((1, _PROBE_SIDE, _PROBE_SIDE, 3))
    strides = {}
    for name in ordered_names(shapes):
        height, width = shapes[name][1:3]
        known = height == width and height
        stride = _PROBE_SIDE / height if known else math.nan
        strides[name] = int(stride) if known and stride == int(stride) else stride
    return strides


def check_strides(parts):
    """Raises where RoIs or default anchors would misread a map of another stride.

    RoIs of level l are scaled by 2^-l, and default anchors grow by it.
    """
    strides = _strides(parts["backbone"])
    wrong = [name for name in strides if strides[name] != 2 ** level_number(name)]
    read = getattr(parts.get("roi_align"), "levels", None)
    unread = read and not {pyramid_name(name) for name in wrong} & set(read)
    if wrong and not (unread and "anchors" in parts):
        raise ValueError(
            f"The map {wrong[0]} must have stride {2 ** level_number(wrong[0])}; "
            f"received maps of strides {strides}. Rename the outputs; or give anchors, "
            f"and a roi_align whose levels are without {pyramid_name(wrong[0])}."
        )
