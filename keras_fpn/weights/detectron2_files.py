"""The checkpoints of detectron2 and FaPN: their URLs, hashes and metrics.

Source: the model zoo of detectron2 as of commit 02b5c4e295e9, and the README of FaPN as
of commit 4d400719d3f2. The metrics are their measurements, not ours.
"""

from typing import Any

from keras_fpn.weights.checkpoint import Checkpoint, Digest
from keras_fpn.weights.coco_classes import (
    COCO_80_CATEGORY_IDS,
    COCO_80_CLASS_NAMES,
    PERSON_CATEGORY_IDS,
    PERSON_CLASS_NAMES,
)

_DETECTRON2_URL = "https://dl.fbaipublicfiles.com/detectron2/"


def _detectron2_detector(name, config, number, digits, values):
    """Returns a checkpoint of detectron2; only those with a box AP have classes."""
    classes: dict[str, Any] = {"num_classes": 1}
    if "keypoint AP" in values:
        classes = {
            "num_classes": 1,
            "class_names": PERSON_CLASS_NAMES,
            "category_ids": PERSON_CATEGORY_IDS,
        }
    elif "box AP" in values:
        classes = {
            "num_classes": len(COCO_80_CLASS_NAMES),
            "class_names": COCO_80_CLASS_NAMES,
            "category_ids": COCO_80_CATEGORY_IDS,
        }
    return Checkpoint(
        name=name,
        url=f"{_DETECTRON2_URL}{config}/{number}/model_final_{digits}.pkl",
        digest=Digest("md5", digits),
        metrics={"COCO val2017": values},
        source=f"detectron2, model zoo, {config}",
        license="CC BY-SA 3.0, as stated by detectron2's model zoo",
        size_mb=None,
        **classes,
    )


# name, config, number of the training, digits of the MD5, metrics
_DETECTRON2 = [
    (
        "faster_rcnn_resnet50_fpn_detectron2_1x",
        "COCO-Detection/faster_rcnn_R_50_FPN_1x",
        137257794,
        "b275ba",
        {"box AP": 37.9},
    ),
    (
        "faster_rcnn_resnet50_fpn_detectron2_3x",
        "COCO-Detection/faster_rcnn_R_50_FPN_3x",
        137849458,
        "280758",
        {"box AP": 40.2},
    ),
    (
        "faster_rcnn_resnet101_fpn_detectron2_3x",
        "COCO-Detection/faster_rcnn_R_101_FPN_3x",
        137851257,
        "f6e8b1",
        {"box AP": 42.0},
    ),
    (
        "fast_rcnn_resnet50_fpn_detectron2_1x",
        "COCO-Detection/fast_rcnn_R_50_FPN_1x",
        137635226,
        "e5f7ce",
        {"box AP": 37.8},
    ),
    (
        "rpn_resnet50_fpn_detectron2_1x",
        "COCO-Detection/rpn_R_50_FPN_1x",
        137258492,
        "02ce48",
        {"AR@1000": 58.0},
    ),
    (
        "mask_rcnn_resnet50_fpn_detectron2_1x",
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x",
        137260431,
        "a54504",
        {"box AP": 38.6, "mask AP": 35.2},
    ),
    (
        "mask_rcnn_resnet50_fpn_detectron2_3x",
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x",
        137849600,
        "f10217",
        {"box AP": 41.0, "mask AP": 37.2},
    ),
    (
        "mask_rcnn_resnet101_fpn_detectron2_3x",
        "COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x",
        138205316,
        "a3ec72",
        {"box AP": 42.9, "mask AP": 38.6},
    ),
    (
        "cascade_mask_rcnn_resnet50_fpn_detectron2_3x",
        "Misc/cascade_mask_rcnn_R_50_FPN_3x",
        144998488,
        "480dd8",
        {"box AP": 44.3, "mask AP": 38.5},
    ),
    (
        "panoptic_resnet50_fpn_detectron2_1x",
        "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x",
        139514544,
        "dbfeb4",
        {"box AP": 37.6, "mask AP": 34.7, "PQ": 39.4},
    ),
    (
        "panoptic_resnet50_fpn_detectron2_3x",
        "COCO-PanopticSegmentation/panoptic_fpn_R_50_3x",
        139514569,
        "c10459",
        {"box AP": 40.0, "mask AP": 36.5, "PQ": 41.5},
    ),
    (
        "panoptic_resnet101_fpn_detectron2_3x",
        "COCO-PanopticSegmentation/panoptic_fpn_R_101_3x",
        139514519,
        "cafdb1",
        {"box AP": 42.4, "mask AP": 38.5, "PQ": 43.0},
    ),
    (
        "keypoint_rcnn_resnet50_fpn_detectron2_1x",
        "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x",
        137261548,
        "04e291",
        {"box AP": 53.6, "keypoint AP": 64.0},
    ),
    (
        "keypoint_rcnn_resnet50_fpn_detectron2_3x",
        "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x",
        137849621,
        "a6e10b",
        {"box AP": 55.4, "keypoint AP": 65.5},
    ),
    (
        "retinanet_resnet50_fpn_detectron2_1x",
        "COCO-Detection/retinanet_R_50_FPN_1x",
        190397773,
        "bfca0b",
        {"box AP": 37.4},
    ),
    (
        "retinanet_resnet50_fpn_detectron2_3x",
        "COCO-Detection/retinanet_R_50_FPN_3x",
        190397829,
        "5bd44e",
        {"box AP": 38.7},
    ),
    (
        "retinanet_resnet101_fpn_detectron2_3x",
        "COCO-Detection/retinanet_R_101_FPN_3x",
        190397697,
        "971ab9",
        {"box AP": 40.4},
    ),
]

# The authors link the file, at Google Drive, but state neither hash nor terms.
_FAPN = Checkpoint(
    name="faster_rcnn_resnet50_fapn_detectron2_1x",
    url=None,
    digest=None,
    num_classes=len(COCO_80_CLASS_NAMES),
    metrics={"COCO val2017": {"box AP": 39.2}},
    source="FaPN (Huang et al. 2021), github.com/EMI-Group/FaPN, README, "
    "faster_rcnn_R_50_FAN_1x",
    license="not stated in FaPN's README",
    size_mb=None,
    class_names=COCO_80_CLASS_NAMES,
    category_ids=COCO_80_CATEGORY_IDS,
)

DETECTRON2 = [*(_detectron2_detector(*row) for row in _DETECTRON2), _FAPN]
