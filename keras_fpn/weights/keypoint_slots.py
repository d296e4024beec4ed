"""The tensors of a keypoint head in the checkpoints of torchvision and detectron2."""

from keras_fpn.weights.mapping import Slot, as_is, conv_kernel, conv_norm_slots

_HEAD, _PREDICTOR = "roi_heads.keypoint_head", "roi_heads.keypoint_predictor"


def torchvision_keypoint_slots(model):
    """Returns the `Slot` of every tensor of torchvision's keypoint head.

    Args:
        model: `keras_fpn.models.KeypointRCNN`.
    """
    slots = []
    for number, convolution in enumerate(model.keypoint_head.convolutions):
        slots += conv_norm_slots(convolution, f"{_HEAD}.{2 * number}")  # and its ReLU
    return slots + _upsample_slots(model, f"{_PREDICTOR}.kps_score_lowres")


def detectron2_keypoint_slots(model):
    """Returns the `Slot` of every tensor of detectron2's keypoint head."""
    slots = []
    for number, convolution in enumerate(model.keypoint_head.convolutions, start=1):
        slots += conv_norm_slots(convolution, f"{_HEAD}.conv_fcn{number}")
    return slots + _upsample_slots(model, f"{_HEAD}.score_lowres")


def _upsample_slots(model, key):
    # torch's (in, out, h, w) is Keras's (h, w, out, in) by the order of a convolution.
    upsample = model.keypoint_predictor.upsample
    return [
        Slot(f"{key}.weight", upsample.kernel, conv_kernel),
        Slot(f"{key}.bias", upsample.bias, as_is),
    ]
