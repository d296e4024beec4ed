"""The builder of Faster R-CNN: names become parts, weights go in."""

from pathlib import Path

import keras

from keras_fpn import backbones
from keras_fpn.layers import (
    BoxPredictor,
    Detections,
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    PyramidRoIAlign,
    RPNHead,
    SubsampledLevel,
    TwoFCBoxHead,
)
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.models.checkpoints import (
    classes_of,
    find_weights,
    load_checkpoint,
    load_keras_file,
)
from keras_fpn.models.classes import resolved_classes
from keras_fpn.models.faster_rcnn import FasterRCNN
from keras_fpn.models.published import (
    COCO_OF_BACKBONE,
    FASTER_RCNN,
    mobilenet_v3_large_parts,
)
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import SHIPPED, load_imagenet

_PROBE_SIDE = 256  # pixels of the image on which a backbone's strides are checked


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

    Every part that is not given is that of the architecture `weights` was made with,
    or else the paper's, fitted to the backbone's levels.

    Source: Ren et al. 2015 (arXiv:1506.01497) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.faster_rcnn_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]

    Args:
        backbone: name in `keras_fpn.backbones`, such as "resnet50" (the default),
            "resnet101" or "mobilenet_v3_large"; or any functional `keras.Model` whose
            outputs are a dict of contiguous levels, "C2".."C5" or a part of them, the
            map C<l> of stride 2^l.
        weights: None, random; "coco", the builder's own checkpoint for the backbone;
            "imagenet", for the backbone alone; a preset's name (see
            `keras_fpn.list_presets`); or a file: .keras of this package, .weights.h5 of
            this architecture, or a torchvision .pth.
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
            photo's size and the backbone's pixel mean and deviation.
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
    parts = _named_parts(backbone, weights)
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
    if weights in SHIPPED:
        weights = SHIPPED[weights].path()
    source = load_keras_file(weights) if isinstance(weights, Path) else None
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
        load_imagenet(model.backbone, weights)
    elif weights is not None:
        load_checkpoint(model, weights, source)
    return model


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


def _named_parts(backbone, weights):
    """Returns the parts that come with a checkpoint's name and with a backbone's."""
    parts = FASTER_RCNN[weights]() if weights in FASTER_RCNN else {}
    if isinstance(backbone, keras.Model):
        _check_backbone(backbone)
        return {**parts, "backbone": backbone}
    if parts and backbone in (None, parts["backbone"].name):
        return parts
    if parts:
        raise ValueError(
            f"weights={weights!r} are those of the backbone "
            f"{parts['backbone'].name!r}; received backbone={backbone!r}. Leave the "
            "backbone out, or take weights='imagenet'."
        )
    name = backbone or "resnet50"
    if name not in backbones.__all__:
        raise ValueError(
            "backbone must be a functional keras.Model or one of "
            f"{sorted(backbones.__all__)}; received backbone={backbone!r}."
        )
    if name == "mobilenet_v3_large":
        return mobilenet_v3_large_parts()
    if name == "mobilenet_v2":
        parts["preprocessing"] = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    return {**parts, "backbone": getattr(backbones, name)()}


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


def _check_backbone(backbone):
    """Raises where a given model's outputs are no bottom-up levels."""
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
    if backbone.name in backbones.__all__:
        return  # ours say themselves where a map's stride is another
    shapes = backbone.compute_output_shape((1, _PROBE_SIDE, _PROBE_SIDE, 3))
    for name in names:
        expected = _PROBE_SIDE // 2 ** level_number(name)
        if tuple(shapes[name][1:3]) != (expected, expected):
            raise ValueError(
                f"The map {name} must have stride {2 ** level_number(name)}, "
                f"{expected} cells of {_PROBE_SIDE} pixels; received "
                f"{shapes[name][1]} x {shapes[name][2]} cells. Rename the outputs."
            )
