"""Published checkpoints: their URLs, hashes and metrics.

Source: the weights enums of torchvision 0.27.1, the model zoo of detectron2 as of
commit 02b5c4e295e9, and the README of FaPN as of commit 4d400719d3f2. The metrics are
their measurements, not ours.
"""

import dataclasses
import difflib
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BASE_URL = "https://download.pytorch.org/models/"
_DETECTRON2_URL = "https://dl.fbaipublicfiles.com/detectron2/"
_PUBLISHER = "torchvision 0.27.1"
_LICENCE = (
    "published with torchvision, whose code is BSD-3-Clause; torchvision states no "
    "license of the weights themselves, and says that terms of the data set they were "
    "trained on ({data}) may apply"
)

# The columns of a COCO checkpoint are the category ids 1..90 of COCO, of which the data
# set uses 80: the others are never detected.
COCO_CATEGORY_IDS = tuple(range(1, 91))
COCO_CLASS_NAMES = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,"
    "fire hydrant,N/A,stop sign,parking meter,bench,bird,cat,dog,horse,sheep,"
    "cow,elephant,bear,zebra,giraffe,N/A,backpack,umbrella,N/A,N/A,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,N/A,wine glass,cup,"
    "fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,"
    "carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,N/A,"
    "dining table,N/A,N/A,toilet,N/A,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,N/A,book,clock,vase,"
    "scissors,teddy bear,hair drier,toothbrush".split(",")
)


# torchvision's one-stage detectors have a column for each id from 0 on.
COCO_91_CATEGORY_IDS = (0, *COCO_CATEGORY_IDS)
COCO_91_CLASS_NAMES = ("N/A", *COCO_CLASS_NAMES)

# detectron2 has a column for each of the 80 classes that COCO uses.
_USED = [name != "N/A" for name in COCO_CLASS_NAMES]
COCO_80_CATEGORY_IDS = tuple(itertools.compress(COCO_CATEGORY_IDS, _USED))
COCO_80_CLASS_NAMES = tuple(itertools.compress(COCO_CLASS_NAMES, _USED))

# The only class with keypoints in COCO, and the only one of such detectors.
_PERSON: dict[str, Any] = {"class_names": ("person",), "category_ids": (1,)}


@dataclass(frozen=True)
class Digest:
    """A hash of a file, or the start of one, which files are verified by.

    Attributes:
        algorithm: str, "sha256" or "md5". MD5 guards against damage only: a file that
            has a given MD5 can be made on purpose.
        digits: str, lower-case hexadecimal, all digits or the first ones.
    """

    algorithm: str
    digits: str

    def of(self, path: Path) -> str:
        """Returns the whole hash of a file, in lower-case hexadecimal."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()

    def fits(self, path: Path) -> bool:
        """Returns whether the path is a file with this hash."""
        return path.is_file() and self.of(path).startswith(self.digits)

    def __str__(self):
        return {"sha256": "SHA-256", "md5": "MD5"}[self.algorithm]


@dataclass(frozen=True)
class Checkpoint:
    """Weights that were published with a metric.

    Attributes:
        name: str, of the checkpoint in keras_fpn.
        url: str, where it is downloaded from; None if that could not be verified,
            because the publisher states no hash.
        digest: `Digest`, the start of a hash that the publisher writes into the file
            name: 8 digits of the SHA-256, or 6 of the MD5; None without a `url`.
        num_classes: int, classes without background.
        metrics: dict of data set -> metric -> value, as published. AP of boxes, masks
            and keypoints, and top-1 accuracy, in percent.
        source: str, who published the weights and the metrics, and under what name.
        license: str, what is known about the terms.
        size_mb: float, size of the file in units of 2**20 bytes; None if not published.
        class_names: tuple of str, K names; None if the weights have no classes.
        category_ids: tuple of int, K ids in the data set's files; None likewise.
    """

    name: str
    url: str | None
    digest: Digest | None
    num_classes: int
    metrics: dict[str, dict[str, float]]
    source: str
    license: str
    size_mb: float | None
    class_names: tuple[str, ...] | None = None
    category_ids: tuple[int, ...] | None = None


def get_checkpoint(name: str) -> Checkpoint:
    """Returns the `Checkpoint` with a name.

    Raises:
        ValueError: there is none; the error lists the near names.
    """
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    raise ValueError(
        f"name must be a published checkpoint; received name={name!r}. "
        f"{known_names(name, CHECKPOINTS)}"
    )


def known_names(name, names) -> str:
    """Returns the end of an error message: the names most like an unknown one.

    Args:
        name: what was received.
        names: collection of str, all names; listed if none is like `name`.
    """
    near = difflib.get_close_matches(str(name), names, 3, 0.4)
    return f"Near names: {near}." if near else f"Names: {sorted(names)}."


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


def _detectron2_detector(name, config, number, digits, values):
    """Returns a checkpoint of detectron2; only those with a box AP have classes."""
    classes: dict[str, Any] = {"num_classes": 1}
    if "keypoint AP" in values:
        classes = {"num_classes": 1, **_PERSON}
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


def _torchvision_keypoints(file, box_ap, keypoint_ap, size_mb):
    metrics = {"COCO val2017": {"box AP": box_ap, "keypoint AP": keypoint_ap}}
    source = "models.detection.KeypointRCNN_ResNet50_FPN_Weights.COCO_V1"
    name = "keypoint_rcnn_resnet50_fpn_coco"
    checkpoint = _checkpoint(name, file, 1, metrics, source, size_mb)
    return dataclasses.replace(checkpoint, **_PERSON)


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

CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in [
        *(_coco_detector(*row) for row in _COCO),
        *(_one_stage_detector(*row) for row in _ONE_STAGE),
        *(_detectron2_detector(*row) for row in _DETECTRON2),
        _FAPN,
        _torchvision_keypoints(
            "keypointrcnn_resnet50_fpn_coco-fc266e95.pth", 54.6, 65.0, 226.054
        ),
        *(_imagenet_classifier(*row) for row in _IMAGENET),
    ]
}
