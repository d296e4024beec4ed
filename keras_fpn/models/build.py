"""Shared by all builders of detectors: makes the parts and loads the weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from keras_fpn import backbones
from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.layers import (
    BoxPredictor,
    ConvNorm,
    Detections,
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    PyramidRoIAlign,
    RPNHead,
    SubsampledLevel,
    TwoFCBoxHead,
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
from keras_fpn.weights import SHIPPED, get_checkpoint, load_imagenet

_PROBE_SIDE = 256  # pixels of the image with which strides of backbones are measured


@dataclass(frozen=True)
class Family:
    """Describes one kind of detector for its builder.

    Attributes:
        detector: subclass of `Detector`.
        parts: subclass of `Parts`, the tree of the detector's parts.
        complete: function (parts by name, number of classes K) -> all parts by name. It
            adds the paper's parts for those that are missing.
        published: dict of checkpoint name -> function that returns the parts of its
            architecture, by name.
        coco: dict of backbone name -> name of the checkpoint that `weights="coco"`
            loads.
        of_strides: dict of the strides of a backbone's levels, as a tuple of (level,
            stride) -> function that returns the parts for such a backbone, by name.
    """

    detector: type[Detector]
    parts: type[Parts]
    complete: Callable[[dict[str, Any], int], dict[str, Any]]
    published: Mapping[str, Callable[[], dict[str, Any]]]
    coco: Mapping[str, str]
    of_strides: Mapping[tuple, Callable[[], dict[str, Any]]] = field(
        default_factory=lambda: PARTS_OF_STRIDES
    )


def build(
    family: Family,
    backbone: keras.Model | str | None,
    weights: str | Path | None,
    classes: tuple,
    preprocessing: Preprocessing | None,
    name: str,
    parts: dict[str, Any],
):
    """Builds a detector of a family and loads its weights.

    Args:
        family: `Family`.
        backbone, weights, preprocessing, name: as in `faster_rcnn_fpn`.
        classes: the number, names and ids asked for, arguments of `resolved_classes`.
        parts: dict of name -> part; None means the default.

    Returns:
        detector of the class `family.detector`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`.
    """
    if weights == "coco":
        weights = _coco_checkpoint(family, backbone)
    elif weights not in (None, "imagenet"):
        weights = find_weights(weights, family.published)
    file = SHIPPED[weights].path() if weights in SHIPPED else weights
    source = load_keras_file(file) if isinstance(file, Path) else None
    _check_kind(family, source, weights)
    known = _published(family, weights)
    checkpoint = known and get_checkpoint(known)
    found = resolved_classes(classes_of(source or checkpoint), *classes)
    own = _published_parts(family, known, source, len(found.names))
    own = _backbone_and_its_parts(family, backbone, weights, own)
    own_preprocessing = own.pop("preprocessing", Preprocessing())
    # What the user leaves out is that of the weights.
    preprocessing = (preprocessing or own_preprocessing).completed(
        own_preprocessing.mean, own_preprocessing.std, own_preprocessing.resize_rule
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
    elif file is not None:
        load_checkpoint(model, file, source)
    return model


def _check_kind(family, source, weights):
    """Raises an error if a .keras file contains a detector of another kind."""
    if source is not None and type(source.parts) is not family.parts:
        raise ValueError(
            f"weights must be of a {family.detector.__name__}; received "
            f"weights={str(weights)!r}, which contains a {type(source).__name__}. Load "
            "it with keras.models.load_model, or build that detector."
        )


def _check_pixels(model):
    """Raises an error if pixels are not normalized as the ImageNet weights expect.

    Without the error, the only sign of the mistake would be lower scores.
    """
    expected = pixel_mean_and_std(model.backbone)
    received = model.preprocessing.mean, model.preprocessing.std
    if received != expected:
        raise ValueError(
            f"The ImageNet weights of {model.backbone.name!r} expect pixels with mean "
            f"{expected[0]} and std {expected[1]}; received preprocessing with "
            f"mean={received[0]}, std={received[1]}. Leave both out; or, to train with "
            "them, build the model with weights=None and call "
            "keras_fpn.weights.load_imagenet(model.backbone, 'imagenet')."
        )


def _coco_checkpoint(family, backbone):
    """Returns the name of the checkpoint that "coco" means for a backbone, str."""
    name = getattr(backbone, "name", backbone) or "resnet50"
    if name not in family.coco:
        raise ValueError(
            f"COCO weights of {family.detector.__name__} are published for the "
            f"backbones {sorted(family.coco)}; received backbone={name!r}. Use "
            "weights='imagenet' or None and train, or pass a file."
        )
    return family.coco[name]


def _published(family, weights):
    """Returns the name of the published checkpoint that `weights` is, or None.

    A published file that is given by its path is recognized by its hash.

    Args:
        family: `Family`.
        weights: None, a published name, "imagenet" or a `Path`.
    """
    if isinstance(weights, Path):
        return published_name(weights, family.published)
    return weights if weights in set(family.published) - set(SHIPPED) else None


def _published_parts(family, name, source, num_classes):
    """Returns the parts of the architecture of the weights, dict of name -> part.

    The dict is empty if the weights do not determine the architecture.

    Args:
        family: `Family`.
        name: str, of a published checkpoint; or None.
        source: the detector in the file, if it is a .keras file.
        num_classes: int, K.
    """
    if source is not None:
        parts = renewed(source.parts, num_classes).by_name()
        return {**parts, "preprocessing": source.preprocessing}
    return family.published[name]() if name else {}


def _backbone_and_its_parts(family, backbone, weights, published):
    """Returns the backbone and the parts that a checkpoint or the backbone determines.

    A name is turned into a model first, and the other parts depend on the model only.
    So the name of a backbone and the backbone itself give the same detector.
    """
    if not isinstance(backbone, keras.Model):
        backbone = _named_backbone(backbone, published)
    _check_outputs(backbone)
    if published:
        _check_belongs(backbone, published["backbone"], weights)
        return {**published, "backbone": backbone}
    strides = tuple(_strides(backbone).items())
    fitting = family.of_strides.get(strides, dict)()
    names = family.parts.names()
    fitting = {name: part for name, part in fitting.items() if name in names}
    return {**fitting, "backbone": backbone}


def _named_backbone(name, published):
    """Returns the checkpoint's backbone if it has this name, or else a new one."""
    own = published.get("backbone")
    if own is not None and name in (None, own.name):
        return own
    name = name or "resnet50"
    if name not in backbones.NAMES:
        raise ValueError(
            "backbone must be a functional keras.Model or one of "
            f"{sorted(backbones.NAMES)}; received backbone={name!r}."
        )
    return getattr(backbones, name)()


def _check_belongs(backbone, own, weights):
    """Raises an error if a backbone of this package is not that of the checkpoint.

    It checks only what the weights do not show. Their loader compares the shapes.
    """
    if backbone.name in backbones.NAMES and backbone.name != own.name:
        raise ValueError(
            f"weights={str(weights)!r} are for the backbone {own.name!r}; received "
            f"backbone={backbone.name!r}. Leave the backbone out, or use "
            "weights='imagenet'."
        )
    stored, given = _frozen_epsilons(own), _frozen_epsilons(backbone)
    if stored and given and stored != given:
        raise ValueError(
            f"weights={str(weights)!r} are for frozen norms with epsilon {stored}; "
            f"received a backbone {backbone.name!r} with epsilon {given}. Build it "
            "with the same epsilon, or leave it out."
        )


def _frozen_epsilons(backbone):
    """Returns the different epsilons of frozen norms, sorted list of float."""
    return sorted(
        {
            float(layer.epsilon)
            for layer in backbone.layers
            if isinstance(layer, ConvNorm) and layer.norm == "frozen_batch"
        }
    )


def with_defaults(parts: dict[str, Any], defaults: Mapping[str, Callable[..., Any]]):
    """Returns parts by name, with new layers for those that are missing.

    Args:
        parts: dict of name -> part.
        defaults: dict of name -> class of the layer, which is called with its name.
    """
    missing = sorted(set(defaults) - set(parts))
    return {**parts, **{name: defaults[name](name=name) for name in missing}}


def with_region(parts: dict[str, Any]):
    """Returns parts by name, with the paper's first stage for parts that are missing.

    Raises:
        ValueError: as in `check_strides`.
    """
    if "anchors" not in parts:
        check_strides(parts, "anchors")
    defaults = {
        "neck": FeaturePyramid,
        "coarse_level": SubsampledLevel,
        "proposals": Proposals,
    }
    parts = with_defaults(parts, defaults)
    if "anchors" not in parts:
        bottom_up = parts["backbone"].output
        bottom_up = {name: tuple(level.shape) for name, level in bottom_up.items()}
        pyramid = parts["neck"].compute_output_shape(bottom_up)
        levels = parts["coarse_level"].compute_output_shape(pyramid)
        sizes = {name: (2 ** (level_number(name) + 3),) for name in levels}
        parts["anchors"] = MultiLevelAnchors(sizes, name="anchors")
    if "rpn_head" not in parts:
        parts["rpn_head"] = RPNHead(parts["anchors"].per_cell, name="rpn_head")
    return parts


def with_box(parts: dict[str, Any], num_classes: int):
    """Returns parts by name, with the paper's second stage for parts that are missing.

    Args:
        parts: dict of name -> part.
        num_classes: int, K.

    Raises:
        ValueError: as in `check_strides`.
    """
    levels = getattr(parts.get("roi_align"), "levels", None)
    check_strides(parts, "a roi_align whose levels have such strides", levels)
    defaults = {
        "neck": FeaturePyramid,
        "roi_align": PyramidRoIAlign,
        "box_head": TwoFCBoxHead,
        "detections": Detections,
    }
    predictor = BoxPredictor(num_classes, name="box_predictor")
    return {"box_predictor": predictor, **with_defaults(parts, defaults)}


def _check_outputs(backbone):
    """Raises an error if a model's outputs are not a dict of levels C2, C3, ..."""
    outputs = backbone.output
    if not isinstance(outputs, dict):
        raise ValueError(
            "The outputs of a backbone must be a dict such as {'C2': ..., 'C3': ...}; "
            f"received outputs of type {type(outputs).__name__}. Build "
            "keras.Model(inputs, {'C2': ..., 'C3': ..., 'C4': ..., 'C5': ...})."
        )
    names = ordered_names(outputs)
    wrong = [name for name in names if not name.startswith("C")]
    if wrong:
        raise ValueError(
            f"The levels of a backbone must be named C2, C3, ...; received {names}. "
            f"Rename {wrong}."
        )


def _strides(backbone):
    """Measures the stride of each map with an image of _PROBE_SIDE pixels.

    Returns:
        dict "C<l>" -> int or float, pixels, from finest to coarsest; NaN if height and
        width of the map differ or are unknown.
    """
    shapes = backbone.compute_output_shape((1, _PROBE_SIDE, _PROBE_SIDE, 3))
    strides = {}
    for name in ordered_names(shapes):
        height, width = shapes[name][1:3]
        known = height == width and height
        stride = _PROBE_SIDE / height if known else math.nan
        strides[name] = int(stride) if known and stride == int(stride) else stride
    return strides


def check_strides(
    parts: dict[str, Any], remedy: str, read: Sequence[str] | None = None
):
    """Raises an error if a map C<l> that is read does not have stride 2^l.

    RoIs on level l are scaled by 2^-l, and default anchors have 2^(l + 3) pixels, so
    both would be wrong on a map with another stride.

    Args:
        parts: dict of name -> part.
        remedy: part to pass instead of the default, for the error.
        read: names of the levels of the pyramid that are read; None, all.

    Raises:
        ValueError: a map that is read has another stride.
    """
    strides = _strides(parts["backbone"])
    wrong = [name for name in strides if strides[name] != 2 ** level_number(name)]
    if wrong and (not read or {pyramid_name(name) for name in wrong} & set(read)):
        raise ValueError(
            f"The map {wrong[0]} must have stride {2 ** level_number(wrong[0])}; "
            f"received maps of strides {strides}. Rename the outputs, or pass {remedy}."
        )
