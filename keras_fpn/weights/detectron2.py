"""Checkpoints of detectron2: the tensor for each variable.

Source: the state dicts of detectron2 and of its published models.
"""

import dataclasses
import os

from keras_fpn.layers import ConvNorm, FeatureAlign, FeaturePyramid, TwoFCBoxHead
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.weights.dense_slots import detectron2_dense_slots
from keras_fpn.weights.keypoint_slots import detectron2_keypoint_slots
from keras_fpn.weights.look_alikes import naming_look_alikes
from keras_fpn.weights.mapping import (
    Slot,
    as_is,
    cells_first,
    conv_kernel,
    conv_norm_slots,
    dense_slots,
    fill,
    without_classes,
)
from keras_fpn.weights.mask_slots import detectron2_mask_slots
from keras_fpn.weights.pickled_arrays import read_pickled_arrays
from keras_fpn.weights.reader import read_torch
from keras_fpn.weights.semantic_slots import detectron2_semantic_slots
from keras_fpn.weights.tensor_names import weights_among


def load_detectron2(model, source, keep_classes: bool = True) -> None:
    """Fills a detector with the weights of a model of detectron2.

    Images are RGB here and BGR in detectron2, so the channels of the first kernel are
    reversed.

    Args:
        model: `keras_fpn.models.FasterRCNN`, `RPN` or another detector of their parts,
            with the architecture of the checkpoint.
        source: dict of str -> array; or a path of a .pkl file with NumPy arrays or of a
            torch file. Both are read without running anything in them, see
            `keras_fpn.weights.read_pickled_arrays` and `read_torch`.
        keep_classes: bool; False leaves the weights that belong to classes as they are,
            for a model with other classes.

    Raises:
        ValueError: a tensor is missing, surplus, misshapen or not of floats (each
            named), or parts of the model have no counterpart in detectron2; the error
            names the presets that the tensors may be of. The model stays unchanged.
    """
    if isinstance(source, (str, os.PathLike)):
        read = read_pickled_arrays if is_pickle(source) else read_torch
        source = read(source)
    with naming_look_alikes(source):
        slots, tensors = detectron2_slots(model), weights_among(source, "detectron2")
        if not keep_classes:
            slots, tensors = without_classes(model, slots, tensors)
        fill(slots, tensors)


def is_pickle(path) -> bool:
    """Returns whether a file is named as detectron2's published models are."""
    return str(os.fspath(path)).endswith(".pkl")


def detectron2_slots(model):
    """Returns the `Slot` of every tensor in detectron2's checkpoint of a detector.

    Raises:
        ValueError: a part of the model has no counterpart in detectron2.
    """
    slots = _body_slots(model.backbone)
    slots += _pyramid_slots(model.neck)
    if hasattr(model, "rpn_head"):
        slots += _rpn_slots(model.rpn_head)
    for head, predictor, place in _box_stages(model):
        slots += _box_head_slots(head, model.roi_align.output_size, place)
        prefix = f"roi_heads.box_predictor{place}"
        slots += dense_slots(predictor.class_logits, f"{prefix}.cls_score")
        slots += dense_slots(predictor.box_deltas, f"{prefix}.bbox_pred")
    if hasattr(model, "mask_head"):
        slots += detectron2_mask_slots(model.mask_head, model.mask_predictor)
    if hasattr(model, "keypoint_head"):
        slots += detectron2_keypoint_slots(model)
    if hasattr(model, "semantic_head"):
        slots += detectron2_semantic_slots(model)
    if hasattr(model, "dense_predictor"):
        slots += detectron2_dense_slots(model)
    return slots


def _body_slots(backbone):
    if not backbone.name.startswith("msra_resnet"):
        raise ValueError(
            "detectron2's checkpoints fit msra_resnet50 and msra_resnet101 of "
            f"keras_fpn.backbones; received a backbone named {backbone.name!r}. Its "
            "blocks have their strides elsewhere."
        )
    slots = []
    for layer in backbone.layers:
        if isinstance(layer, ConvNorm):
            key = f"backbone.bottom_up.{_body_key(layer.name)}"
            slots += conv_norm_slots(layer, key, f"{key}.norm")
    stem = slots[0]
    slots[0] = dataclasses.replace(
        stem,
        convert=lambda array: stem.convert(array[:, ::-1]),  # from BGR to RGB
    )
    return slots


def _body_key(name):
    """Returns "res3.0.conv2" for "C3_block1_conv2"."""
    if name == "stem":
        return "stem.conv1"
    level, block, convolution = name.split("_")
    return f"res{level[1:]}.{int(block.removeprefix('block')) - 1}.{convolution}"


def _pyramid_slots(neck):
    if not isinstance(neck, FeaturePyramid):
        raise ValueError(
            "detectron2's checkpoints fit a neck of FeaturePyramid; received "
            f"neck={neck}."
        )
    slots = []
    for name in ordered_names(neck.lateral):
        level = level_number(name)
        if any(isinstance(one, FeatureAlign) for one in neck.merge.values()):
            slots += _aligned_slots(neck, name, level)
            continue
        lateral, output = f"backbone.fpn_lateral{level}", f"backbone.fpn_output{level}"
        slots += conv_norm_slots(neck.lateral[name], lateral, f"{lateral}.norm")
        slots += conv_norm_slots(neck.smooth[name], output, f"{output}.norm")
    return slots


def _aligned_slots(neck, name, level):
    """Returns the slots of a level of FaPN, whose code names them as below."""
    prefix = f"backbone.fan_align{level}"
    if name not in neck.merge:  # the coarsest
        return conv_norm_slots(neck.lateral[name], prefix)
    select, align = neck.lateral[name], neck.merge[name]
    kernels = {
        "lateral_conv.conv_atten": select.gate.kernel,
        "lateral_conv.conv": select.kernel,
        "offset": align.compare.kernel,
        "dcpack_L2": align.deform.kernel,
    }
    slots = [
        Slot(f"{prefix}.{key}.weight", kernel, conv_kernel)
        for key, kernel in kernels.items()
    ]
    slots.append(Slot(f"{prefix}.dcpack_L2.bias", align.deform.bias, as_is))
    points = align.deform.predict_points
    slots += conv_norm_slots(points, f"{prefix}.dcpack_L2.conv_offset_mask")
    output = f"backbone.fpn_output{level}"
    return slots + conv_norm_slots(neck.smooth[name], output, f"{output}.norm")


def _rpn_slots(head):
    if not head.shared or head.num_convs != 1:
        raise ValueError(
            "detectron2's checkpoints fit an RPN head with one convolution, shared by "
            f"all levels; received shared={head.shared}, num_convs={head.num_convs}."
        )
    [convolution], objectness, deltas = next(iter(head.towers.values()))
    prefix = "proposal_generator.rpn_head"
    return [
        *conv_norm_slots(convolution, f"{prefix}.conv"),
        *conv_norm_slots(objectness, f"{prefix}.objectness_logits"),
        *conv_norm_slots(deltas, f"{prefix}.anchor_deltas"),
    ]


def _box_stages(model):
    """Yields each box head, its predictor and what their names end in."""
    if hasattr(model, "box_head"):
        yield model.box_head, model.box_predictor, ""
    number = 1  # of the stages of a cascade, which detectron2 counts from 0
    while hasattr(model, f"box_head_{number}"):
        head = getattr(model, f"box_head_{number}")
        yield head, getattr(model, f"box_predictor_{number}"), f".{number - 1}"
        number += 1


def _box_head_slots(head, bins, place):
    if not isinstance(head, TwoFCBoxHead):
        raise ValueError(
            f"detectron2's checkpoints fit a TwoFCBoxHead; received box_head={head}."
        )
    prefix = f"roi_heads.box_head{place}"
    slots = dense_slots(head.fc1, f"{prefix}.fc1", cells_first(head.fc1, bins))
    return slots + dense_slots(head.fc2, f"{prefix}.fc2")
