"""The builder of Faster R-CNN: names become parts, weights go in."""

import math
from pathlib import Path

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
    parts_of,
    published_name,
)
from keras_fpn.models.classes import resolved_classes
from keras_fpn.models.faster_rcnn import FasterRCNN
from keras_fpn.models.published import (
    COCO_OF_BACKBONE,
    FASTER_RCNN,
    PARTS_OF_STRIDES,
)
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import SHIPPED, load_imagenet

_PROBE_SIDE = 256  # pixels of the image on which a backbone's strides are measured


def faster_rcnn_fpn(
    backbone=None,
    weights=None,
    num_classes=None,
    class_names=None,
    category_ids=None,
    neck=None,
    coarse_level=None,
    anchors=None,
    rpn_head=None,
    proposals=None,
    roi_align=None,
    box_head=None,
    detections=None,
    preprocessing=None,
    rpn_assignment=None,
    roi_assignment=None,
    name="faster_rcnn_fpn",
):
    """Builds Faster R-CNN on a feature pyramid.

    Every part that is not given is that of the architecture `weights` was made with, if
    a name or a file tells it, or else the paper's, fitted to the backbone's levels.

    Source: Ren et al. 2015 (arXiv:1506.01497) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.faster_rcnn_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]

    Args:
        backbone: name in `keras_fpn.backbones`, such as "resnet50" (the default),
            "resnet101" or "mobilenet_v3_large"; or any functional `keras.Model` whose
            outputs are a dict of contiguous levels, "C2".."C5" or a part of them, the
            map C<l> of stride 2^l. A name means the model of that name.
        weights: None, random; "coco", the builder's own checkpoint for the backbone;
            "imagenet", for the backbone alone; a preset's name (see
            `keras_fpn.list_presets`); or a file: .keras of this package, .weights.h5 of
            this architecture, or a torchvision .pth, a published one of which is known
            by its SHA-256.
        num_classes: int, K, without background; None, as the checkpoint (COCO's 90
            columns where there is none). With another number than the checkpoint's,
            everything but the box predictor is loaded, and a warning says so.
        class_names: list of str, K names.
        category_ids: list of int, K identifiers in the data set's files; None, 1..K.
        neck: layer from "C<l>" maps to "P<l>" maps; None, `FeaturePyramid`.
        coarse_level: layer that adds the RPN's coarser levels; None, `SubsampledLevel`.
        anchors: None, `MultiLevelAnchors` with 2^(l + 3) pixels on level l.
        rpn_head: None, `RPNHead`.
        proposals: None, `Proposals`.
        roi_align: None, `PyramidRoIAlign`.
        box_head: None, `TwoFCBoxHead`.
        detections: None, `Detections`.
        preprocessing: None, `keras_fpn.preprocessing.Preprocessing`, which holds the
            photo's size and, if others than the backbone's, pixel mean and deviation.
        rpn_assignment, roi_assignment: `keras_fpn.models.Assignment` of anchors and of
            RoIs, while training; None, the paper's.
        name: str, the model's.

    Returns:
        `keras_fpn.models.FasterRCNN`.

    Raises:
        ValueError: an unknown name (the error lists the near ones), a backbone without
            usable levels, or weights that do not fit.
    """
    if weights == "coco":
        weights = _coco_checkpoint(backbone)
    elif weights not in (None, "imagenet"):
        weights = find_weights(weights, FASTER_RCNN)
    file = SHIPPED[weights].path() if weights in SHIPPED else weights
    source = load_keras_file(file) if isinstance(file, Path) else None
    published = _published_parts(weights, source)
    parts = _backbone_and_its_parts(backbone, weights, published)
    if preprocessing is not None and "preprocessing" in parts:
        own = parts["preprocessing"]  # it knows the pixels that the weights expect
        preprocessing = preprocessing.completed(own.mean, own.std)
    given = {
        "neck": neck,
        "coarse_level": coarse_level,
        "anchors": anchors,
        "rpn_head": rpn_head,
        "proposals": proposals,
        "roi_align": roi_align,
        "box_head": box_head,
        "detections": detections,
        "preprocessing": preprocessing,
        "rpn_assignment": rpn_assignment,
        "roi_assignment": roi_assignment,
    }
    parts.update({name: part for name, part in given.items() if part is not None})
    classes = resolved_classes(
        classes_of(source), num_classes, class_names, category_ids
    )
    model = FasterRCNN(
        **_completed(parts, len(classes.names)),
        class_names=classes.names,
        category_ids=classes.ids,
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


def _coco_checkpoint(backbone):
    """Returns the name of the checkpoint that "coco" means for a backbone."""
    name = getattr(backbone, "name", backbone) or "resnet50"
    if name not in COCO_OF_BACKBONE:
        raise ValueError(
            "COCO weights of Faster R-CNN are published for the backbones "
            f"{sorted(COCO_OF_BACKBONE)}; received backbone={name!r}. Use "
            "weights='imagenet' or None and train, or give a file."
        )
    return COCO_OF_BACKBONE[name]


def _published_parts(weights, source):
    """Returns the parts that weights were made with, as far as they tell.

    A published file given by its path is known by its contents.

    Args:
        weights: None, a published name, "imagenet" or a `Path`.
        source: the detector in the file, where it is a .keras file.
    """
    if weights in FASTER_RCNN:
        return FASTER_RCNN[weights]()
    if source is not None:
        return parts_of(source)
    name = published_name(weights, FASTER_RCNN) if isinstance(weights, Path) else None
    return FASTER_RCNN[name]() if name else {}


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


def _completed(parts, num_classes):
    """Returns the parts with the paper's own in the places of those missing."""
    defaults = {
        "neck": FeaturePyramid,
        "coarse_level": SubsampledLevel,
        "proposals": Proposals,
        "roi_align": PyramidRoIAlign,
        "box_head": TwoFCBoxHead,
        "detections": Detections,
    }
    _check_strides(parts)
    parts = dict(parts)
    for name, layer in defaults.items():
        if name not in parts:
            parts[name] = layer(name=name)
    parts.setdefault("preprocessing", Preprocessing())
    if "anchors" not in parts:
        bottom_up = _output_shapes(parts["backbone"])
        pyramid = parts["neck"].compute_output_shape(bottom_up)
        levels = parts["coarse_level"].compute_output_shape(pyramid)
        sizes = {name: (2 ** (level_number(name) + 3),) for name in levels}
        parts["anchors"] = MultiLevelAnchors(sizes, name="anchors")
    if "rpn_head" not in parts:
        parts["rpn_head"] = RPNHead(parts["anchors"].per_cell, name="rpn_head")
    parts["box_predictor"] = BoxPredictor(num_classes, name="box_predictor")
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


def _check_strides(parts):
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
