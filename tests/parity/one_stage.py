"""The recordings of one-stage detectors, and our detectors with their weights."""

import keras_fpn

DETECTRON2 = {"retinanet_R_50_FPN": "retinanet_resnet50_fpn_detectron2_1x"}
# Name of the recording -> our preset.
MODELS = {
    "retinanet_resnet50_fpn": "retinanet_resnet50_fpn_coco",
    "retinanet_resnet50_fpn_v2": "retinanet_resnet50_fpn_v2_coco",
    "fcos_resnet50_fpn": "fcos_resnet50_fpn_coco",
    **DETECTRON2,
}


def loaded(preset, golden):
    """Returns the detector of a preset with the weights of a recording."""
    model = keras_fpn.from_preset(preset, load_weights=False)
    load = keras_fpn.weights.load_torchvision
    if golden.model in DETECTRON2:
        load = keras_fpn.weights.load_detectron2
    load(model, golden.tensors())
    return model
