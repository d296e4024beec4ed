"""The tensors of a semantic head in the checkpoints of detectron2."""

from keras_fpn.levels import ordered_names
from keras_fpn.weights.mapping import Slot, as_is, conv_kernel, conv_norm_slots

_HEAD = "sem_seg_head"


def detectron2_semantic_slots(model):
    """Returns the `Slot` of every tensor of detectron2's semantic head.

    Args:
        model: `keras_fpn.models.PanopticFPN` or `SemanticFPN`.
    """
    slots = []
    convolutions = model.semantic_head.convolutions
    for name in ordered_names(convolutions):
        for number, convolution in enumerate(convolutions[name]):
            key = f"{_HEAD}.{name.lower()}.{2 * number}"  # upsampling in between
            slots += conv_norm_slots(convolution, key, f"{key}.norm")
    logits = model.semantic_predictor.logits
    return [
        *slots,
        Slot(f"{_HEAD}.predictor.weight", logits.kernel, conv_kernel),
        Slot(f"{_HEAD}.predictor.bias", logits.bias, as_is),
    ]
