"""The tensors of one-stage detectors: coarser levels, towers and predictors.

Source: the state dicts of torchvision 0.27 and of detectron2.
"""

from keras_fpn.layers import ConvolvedLevels, PointPredictor
from keras_fpn.levels import ordered_names
from keras_fpn.weights.mapping import conv_norm_slots


def torchvision_dense_slots(model):
    """Returns the `Slot`s of a one-stage detector beyond its pyramid, list.

    Args:
        model: detector with a `DenseHead` and a `DensePredictor`.

    Raises:
        ValueError: a part of the model has no counterpart in torchvision.
    """
    head, predictor = model.dense_head, model.dense_predictor
    slots = _level_slots(model.coarse_level, "torchvision", "backbone.fpn.extra_blocks")
    for tower, prefix in (
        (head.class_tower, "head.classification_head"),
        (head.box_tower, "head.regression_head"),
    ):
        for number, convolution in enumerate(tower):
            keys = f"{prefix}.conv.{number}.0", f"{prefix}.conv.{number}.1"
            if isinstance(predictor, PointPredictor):  # FCOS numbers ReLUs, too
                keys = f"{prefix}.conv.{3 * number}", f"{prefix}.conv.{3 * number + 1}"
            slots += conv_norm_slots(convolution, *keys)
    logits, deltas = predictor.class_logits, predictor.box_deltas
    if isinstance(predictor, PointPredictor):
        central = predictor.centerness
        slots += conv_norm_slots(central, "head.regression_head.bbox_ctrness")
    slots += conv_norm_slots(logits, "head.classification_head.cls_logits")
    return slots + conv_norm_slots(deltas, "head.regression_head.bbox_reg")


def detectron2_dense_slots(model):
    """Returns the `Slot`s of a RetinaNet beyond its pyramid, list.

    Args:
        model: as of `torchvision_dense_slots`.

    Raises:
        ValueError: a part of the model has no counterpart in detectron2.
    """
    head, predictor = model.dense_head, model.dense_predictor
    slots = _level_slots(model.coarse_level, "detectron2", "backbone.top_block")
    if head.norm is not None or isinstance(predictor, PointPredictor):
        raise ValueError(
            "detectron2's checkpoints fit a DenseHead without norms and a "
            f"DensePredictor; received norm={head.norm!r} and "
            f"dense_predictor={predictor}."
        )
    for tower, prefix in (
        (head.class_tower, "head.cls_subnet"),
        (head.box_tower, "head.bbox_subnet"),
    ):
        for number, convolution in enumerate(tower):
            # In between are the ReLUs.
            slots += conv_norm_slots(convolution, f"{prefix}.{2 * number}")
    slots += conv_norm_slots(predictor.class_logits, "head.cls_score")
    return slots + conv_norm_slots(predictor.box_deltas, "head.bbox_pred")


def _level_slots(coarse_level, publisher, prefix):
    if not isinstance(coarse_level, ConvolvedLevels):
        raise ValueError(
            f"{publisher}'s checkpoints fit a coarse_level of ConvolvedLevels; "
            f"received coarse_level={coarse_level}."
        )
    slots = []
    for name in ordered_names(coarse_level.convolutions):
        key = f"{prefix}.{name.lower()}"
        slots += conv_norm_slots(coarse_level.convolutions[name], key)
    return slots
