"""The tensors of a mask head in checkpoints of torchvision and of detectron2.

Source: the state dicts of torchvision 0.27 and of detectron2.
"""

from keras_fpn.layers import FCNMaskHead
from keras_fpn.weights.mapping import Slot, as_is, conv_kernel, conv_norm_slots


def torchvision_mask_slots(head, predictor):
    """Returns the `Slot`s of a mask head and its predictor for torchvision.

    The mask of torchvision's class 0, the background, does not exist here.

    Args:
        head: built `FCNMaskHead`.
        predictor: built `MaskPredictor`.

    Raises:
        ValueError: the head is of another class.
    """
    _check_head(head)
    slots = []
    for number, convolution in enumerate(head.convolutions):
        place = f"roi_heads.mask_head.{number}"
        slots += conv_norm_slots(convolution, f"{place}.0", f"{place}.1")
    prefix = "roi_heads.mask_predictor"
    return [
        *slots,
        *_slots(predictor.upsample, f"{prefix}.conv5_mask"),
        *_slots(predictor.mask_logits, f"{prefix}.mask_fcn_logits", lambda x: x[1:]),
    ]


def detectron2_mask_slots(head, predictor):
    """Returns the `Slot`s of a mask head and its predictor for detectron2.

    Args:
        head, predictor: as of `torchvision_mask_slots`.

    Raises:
        ValueError: the head is of another class.
    """
    _check_head(head)
    prefix = "roi_heads.mask_head"
    slots = []
    for number, convolution in enumerate(head.convolutions, start=1):
        key = f"{prefix}.mask_fcn{number}"
        slots += conv_norm_slots(convolution, key, f"{key}.norm")
    return [
        *slots,
        *_slots(predictor.upsample, f"{prefix}.deconv"),
        *_slots(predictor.mask_logits, f"{prefix}.predictor"),
    ]


def _slots(layer, key, units=as_is):
    """Returns the slots of a Keras convolution with a bias, transposed or not.

    Torch's transposed kernels (in, out, h, w) become Keras's (h, w, out, in) by the
    permutation that turns (out, in, h, w) into (h, w, in, out).

    Args:
        units: function that selects those output units that exist here.
    """
    return [
        Slot(f"{key}.weight", layer.kernel, lambda array: conv_kernel(units(array))),
        Slot(f"{key}.bias", layer.bias, units),
    ]


def _check_head(head):
    if not isinstance(head, FCNMaskHead):
        raise ValueError(
            "Checkpoints of torchvision and detectron2 fit an FCNMaskHead; received "
            f"mask_head={head}."
        )
