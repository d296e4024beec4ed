"""Checkpoints of torchvision: the tensor for each variable.

Source: the state dicts of torchvision 0.27.
"""

import os
import re

from keras_fpn.layers import ConvBoxHead, ConvNorm, FeaturePyramid, TwoFCBoxHead
from keras_fpn.levels import ordered_names
from keras_fpn.weights.dense_slots import torchvision_dense_slots
from keras_fpn.weights.keypoint_slots import torchvision_keypoint_slots
from keras_fpn.weights.look_alikes import naming_look_alikes
from keras_fpn.weights.mapping import (
    cells_first,
    conv_norm_slots,
    dense_kernel,
    dense_slots,
    fill,
    without,
    without_classes,
)
from keras_fpn.weights.mask_slots import torchvision_mask_slots
from keras_fpn.weights.reader import read_torch
from keras_fpn.weights.tensor_names import weights_among

_PREDICTOR = "roi_heads.box_predictor."


def load_torchvision(model, source, keep_classes: bool = True) -> None:
    """Fills a detector with the weights of a torchvision checkpoint.

    The current names of tensors and those of older files are supported.

    Args:
        model: `keras_fpn.models.FasterRCNN` or another detector of its parts, with the
            architecture of the checkpoint.
        source: dict of str -> array, or a path of a torch file (read without torch and
            without running anything in it, see `keras_fpn.weights.read_torch`).
        keep_classes: bool; False leaves the weights that belong to classes as they are,
            for a model with other classes.

    Raises:
        ValueError: a tensor is missing, surplus, misshapen or not of floats (each
            named), or parts of the model have no counterpart in torchvision; the
            error names the presets that the tensors may be of. The model stays
            unchanged.
    """
    source = _as_tensors(source)
    with naming_look_alikes(source):
        slots, tensors = torchvision_slots(model), weights_among(source, "torchvision")
        if not keep_classes:
            slots, tensors = without_classes(model, slots, tensors)
        fill(slots, tensors)


def torchvision_slots(model):
    """Returns the `Slot` of every tensor in the checkpoint of a detector.

    Raises:
        ValueError: a part of the model has no counterpart in torchvision.
    """
    slots = _body_slots(model.backbone, "backbone.body.")
    slots += _pyramid_slots(model.neck)
    if hasattr(model, "rpn_head"):
        slots += _rpn_slots(model.rpn_head)
    if hasattr(model, "box_head"):
        slots += _box_head_slots(model.box_head, model.roi_align.output_size)
        slots += _predictor_slots(model.box_predictor)
    if hasattr(model, "mask_head"):
        slots += torchvision_mask_slots(model.mask_head, model.mask_predictor)
    if hasattr(model, "keypoint_head"):
        slots += torchvision_keypoint_slots(model)
    if hasattr(model, "dense_predictor"):
        slots += torchvision_dense_slots(model)
    return slots


def load_torchvision_body(backbone, source) -> None:
    """Fills a backbone with the weights of a torchvision ImageNet classifier.

    The last layers of the classifier are ignored.

    Args:
        backbone: functional model of `keras_fpn.backbones`.
        source: dict of str -> array, or a path of a torch file.

    Raises:
        ValueError: as `load_torchvision`.
    """
    tensors = weights_among(_as_tensors(source), "torchvision")
    tensors = without(tensors, "fc.", "classifier.")
    prefix = "features." if backbone.name == "mobilenet_v3_large" else ""
    fill(_body_slots(backbone, prefix), tensors)


def _as_tensors(source):
    if isinstance(source, (str, os.PathLike)):
        return read_torch(source)
    return source


def _body_slots(backbone, prefix):
    layers = [layer for layer in backbone.layers if isinstance(layer, ConvNorm)]
    if backbone.name.startswith("resnet"):
        keys = _resnet_keys
    elif backbone.name == "mobilenet_v3_large":
        keys = _mobilenet_keys
    else:
        raise ValueError(
            "torchvision's checkpoints fit resnet18 to resnet152 and "
            "mobilenet_v3_large of keras_fpn.backbones; received a backbone named "
            f"{backbone.name!r}. Load its weights into the backbone directly."
        )
    slots = []
    for layer, (conv, norm) in zip(layers, keys(layers), strict=True):
        slots += conv_norm_slots(layer, prefix + conv, prefix + norm)
    return slots


def _resnet_keys(layers):
    """Yields the names of the conv and its norm: layer1.0.conv2, layer1.0.bn2."""
    for layer in layers:
        match = re.fullmatch(r"C(\d)_block(\d+)_(conv(\d)|shortcut)", layer.name)
        if match is None:  # the stem
            yield "conv1", "bn1"
            continue
        place = f"layer{int(match[1]) - 1}.{int(match[2]) - 1}"
        if match[4]:
            yield f"{place}.conv{match[4]}", f"{place}.bn{match[4]}"
        else:
            yield f"{place}.downsample.0", f"{place}.downsample.1"


def _mobilenet_keys(layers):
    """Yields the names of the conv and its norm: 4.block.1.0, 4.block.1.1.

    The parts of a block are counted in order; squeeze and gate are one part, without
    norms.
    """
    last, part = None, 0
    for layer in layers:
        match = re.fullmatch(r"block(\d+)_(\w+)", layer.name)
        if match is None:
            place = "0" if layer.name == "stem" else "16"
            yield f"{place}.0", f"{place}.1"
            continue
        block, role = match[1], match[2].removeprefix("excite_")
        part = 0 if block != last else part + (role != "gate")
        last = block
        place = f"{block}.block.{part}"
        if role in ("squeeze", "gate"):
            yield f"{place}.{'fc1' if role == 'squeeze' else 'fc2'}", ""
        else:
            yield f"{place}.0", f"{place}.1"


def _pyramid_slots(neck):
    if not isinstance(neck, FeaturePyramid):
        raise ValueError(
            "torchvision's checkpoints fit a neck of FeaturePyramid; received "
            f"neck={neck}."
        )
    slots = []
    for number, name in enumerate(ordered_names(neck.lateral)):
        lateral = f"backbone.fpn.inner_blocks.{number}"
        smooth = f"backbone.fpn.layer_blocks.{number}"
        slots += conv_norm_slots(neck.lateral[name], f"{lateral}.0", f"{lateral}.1")
        slots += conv_norm_slots(neck.smooth[name], f"{smooth}.0", f"{smooth}.1")
    return slots


def _rpn_slots(head):
    if not head.shared:
        raise ValueError(
            "torchvision's checkpoints fit an RPN head shared by all levels; received "
            "shared=False."
        )
    convolutions, objectness, deltas = next(iter(head.towers.values()))
    slots = []
    for number, convolution in enumerate(convolutions):
        slots += conv_norm_slots(convolution, f"rpn.head.conv.{number}.0")
    slots += conv_norm_slots(objectness, "rpn.head.cls_logits")
    return slots + conv_norm_slots(deltas, "rpn.head.bbox_pred")


def _box_head_slots(head, bins):
    prefix = "roi_heads.box_head"
    if isinstance(head, TwoFCBoxHead):
        slots = dense_slots(head.fc1, f"{prefix}.fc6", cells_first(head.fc1, bins))
        return slots + dense_slots(head.fc2, f"{prefix}.fc7")
    if isinstance(head, ConvBoxHead):
        slots = []
        for number, convolution in enumerate(head.convolutions):
            place = f"{prefix}.{number}"
            slots += conv_norm_slots(convolution, f"{place}.0", f"{place}.1")
        after_flatten = len(head.convolutions) + 1
        key = f"{prefix}.{after_flatten}"
        return slots + dense_slots(head.fc, key, cells_first(head.fc, bins))
    raise ValueError(
        "torchvision's checkpoints fit a TwoFCBoxHead or a ConvBoxHead; received "
        f"box_head={head}."
    )


def _predictor_slots(predictor):
    # In torchvision background is class 0: here it is the last logit and has no box.
    def logits_last(array):
        return dense_kernel(_background_last(array))

    def foreground(array):
        return dense_kernel(array[4:])

    return dense_slots(
        predictor.class_logits, f"{_PREDICTOR}cls_score", logits_last, _background_last
    ) + dense_slots(
        predictor.box_deltas,
        f"{_PREDICTOR}bbox_pred",
        foreground,
        lambda bias: bias[4:],
    )


def _background_last(array):
    order = [*range(1, len(array)), 0]
    return array[order]
