"""The checkpoints of torchvision: their URLs, hashes and metrics.

Source: the weights enums of torchvision 0.27.1. The metrics are its measurements, not
ours.
"""

import dataclasses

from keras_fpn.weights.checkpoint import Checkpoint, Digest
from keras_fpn.weights.coco_classes import (
    COCO_91_CATEGORY_IDS,
    COCO_91_CLASS_NAMES,
    COCO_CATEGORY_IDS,
    COCO_CLASS_NAMES,
    PERSON_CATEGORY_IDS,
    PERSON_CLASS_NAMES,
)

_BASE_URL = "https://download.pytorch.org/models/"
_PUBLISHER = "torchvision 0.27.1"
_LICENCE = (
    "published with torchvision, whose code is BSD-3-Clause; torchvision states no "
    "license of the weights themselves, and says that terms of the data set they were "
    "trained on ({data}) may apply"
)


def _checkpoint(name, file, num_classes, metrics, source, size_mb):
    [data] = metrics
    return Checkpoint(
        name=name,
        url=_BASE_URL + file,
        digest=Digest("sha256", file.removesuffix(".pth").rpartition("-")[2]),
        num_classes=num_classes,
        metrics=metrics,
        source=f"{_PUBLISHER}, {source}",
        license=_LICENCE.format(data=data),
        size_mb=size_mb,
    )


def _coco_detector(name, file, values, enum, size_mb):
    metrics = {"COCO val2017": values}
    source = f"models.detection.{enum}.COCO_V1"
    checkpoint = _checkpoint(
        f"{name}_coco", file, len(COCO_CLASS_NAMES), metrics, source, size_mb
    )
    return dataclasses.replace(
        checkpoint, class_names=COCO_CLASS_NAMES, category_ids=COCO_CATEGORY_IDS
    )


def _one_stage_detector(*row):
    """Returns a one-stage checkpoint of torchvision, whose columns have ids 0..90."""
    return dataclasses.replace(
        _coco_detector(*row),
        num_classes=len(COCO_91_CLASS_NAMES),
        class_names=COCO_91_CLASS_NAMES,
        category_ids=COCO_91_CATEGORY_IDS,
    )


def _person_detector(*row):
    """Returns a checkpoint of torchvision with the one class "person"."""
    return dataclasses.replace(
        _coco_detector(*row),
        num_classes=1,
        class_names=PERSON_CLASS_NAMES,
        category_ids=PERSON_CATEGORY_IDS,
    )


def _imagenet_classifier(backbone, version, sha256, top_1, enum, size_mb):
    metrics = {"ImageNet-1K": {"top-1 accuracy": top_1}}
    source = f"models.{enum}.IMAGENET1K_V{version}"
    name = f"{backbone}_imagenet_v{version}"
    file = f"{backbone}-{sha256}.pth"
    return _checkpoint(name, file, 1000, metrics, source, size_mb)


_COCO = [
    (
        "faster_rcnn_resnet50_fpn",
        "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        {"box AP": 37.0},
        "FasterRCNN_ResNet50_FPN_Weights",
        159.743,
    ),
    (
        "faster_rcnn_resnet50_fpn_v2",
        "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        {"box AP": 46.7},
        "FasterRCNN_ResNet50_FPN_V2_Weights",
        167.104,
    ),
    (
        "faster_rcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        {"box AP": 32.8},
        "FasterRCNN_MobileNet_V3_Large_FPN_Weights",
        74.239,
    ),
    (
        "faster_rcnn_mobilenet_v3_large_320_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
        {"box AP": 22.8},
        "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights",
        74.239,
    ),
    (
        "mask_rcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        {"box AP": 37.9, "mask AP": 34.6},
        "MaskRCNN_ResNet50_FPN_Weights",
        169.84,
    ),
    (
        "mask_rcnn_resnet50_fpn_v2",
        "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        {"box AP": 47.4, "mask AP": 41.8},
        "MaskRCNN_ResNet50_FPN_V2_Weights",
        177.219,
    ),
]

_ONE_STAGE = [
    (
        "retinanet_resnet50_fpn",
        "retinanet_resnet50_fpn_coco-eeacb38b.pth",
        {"box AP": 36.4},
        "RetinaNet_ResNet50_FPN_Weights",
        130.267,
    ),
    (
        "retinanet_resnet50_fpn_v2",
        "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
        {"box AP": 41.5},
        "RetinaNet_ResNet50_FPN_V2_Weights",
        146.037,
    ),
    (
        "fcos_resnet50_fpn",
        "fcos_resnet50_fpn_coco-99b0c9b7.pth",
        {"box AP": 39.2},
        "FCOS_ResNet50_FPN_Weights",
        123.608,
    ),
]

# backbone, version, beginning of the SHA-256, top-1, enum, size
_IMAGENET = [
    ("resnet18", 1, "f37072fd", 69.758, "ResNet18_Weights", 44.661),
    ("resnet34", 1, "b627a593", 73.314, "ResNet34_Weights", 83.275),
    ("resnet50", 1, "0676ba61", 76.13, "ResNet50_Weights", 97.781),
    ("resnet50", 2, "11ad3fa6", 80.858, "ResNet50_Weights", 97.79),
    ("resnet101", 1, "63fe2227", 77.374, "ResNet101_Weights", 170.511),
    ("resnet101", 2, "cd907fc2", 81.886, "ResNet101_Weights", 170.53),
    ("resnet152", 1, "394f9c45", 78.312, "ResNet152_Weights", 230.434),
    ("resnet152", 2, "f82ba261", 82.284, "ResNet152_Weights", 230.474),
    ("mobilenet_v3_large", 1, "8738ca79", 74.042, "MobileNet_V3_Large_Weights", 21.114),
    ("mobilenet_v3_large", 2, "5c1a4163", 75.274, "MobileNet_V3_Large_Weights", 21.107),
]

TORCHVISION = [
    *(_coco_detector(*row) for row in _COCO),
    *(_one_stage_detector(*row) for row in _ONE_STAGE),
    _person_detector(
        "keypoint_rcnn_resnet50_fpn",
        "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
        {"box AP": 54.6, "keypoint AP": 65.0},
        "KeypointRCNN_ResNet50_FPN_Weights",
        226.054,
    ),
    *(_imagenet_classifier(*row) for row in _IMAGENET),
]
