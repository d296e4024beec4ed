"""A tiny detector of every kind, for what must hold for each: one line brings them all.

`test_family_files.py` saves and loads them, also in a fresh process, and exports them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from models.fast import tiny_fast_rcnn
from models.tiny import tiny_backbone, tiny_detector, tiny_rpn
from models.tiny_cascade import tiny_cascade
from models.tiny_keypoints import tiny_keypoint_rcnn
from models.tiny_masks import tiny_mask_rcnn
from models.tiny_one_stage import tiny_fcos, tiny_retinanet
from models.tiny_panoptic import tiny_panoptic_fpn, tiny_semantic_fpn
from models.tiny_segments import tiny_segments_on_fapn
from skimage import data

from keras_fpn import models

PHOTO = data.coffee()  # uint8 (400, 600, 3)
# For detectors that take some: x1, y1, x2, y2, pixels of the photo.
PROPOSALS = np.array(
    [[100, 50, 400, 350], [20, 20, 200, 200], [300, 100, 590, 390]], "float32"
)
CLASSES = {"class_names": ["cup", "spoon", "table"], "category_ids": [7, 3, 90]}


@dataclass(frozen=True)
class Kind:
    """What is tested of one kind of detector.

    Attributes:
        builder: the public function that builds it.
        tiny: () -> a new detector that finds something in `PHOTO`.
    """

    builder: Callable
    tiny: Callable


def small(tiny, *arguments, **parts):
    """Returns a function that builds a detector on C3 and C4: its graph is small."""
    return lambda: tiny(*arguments, backbone=tiny_backbone(("C3", "C4")), **parts)


FAMILY = {
    "faster_rcnn": Kind(models.faster_rcnn_fpn, small(tiny_detector, **CLASSES)),
    "fast_rcnn": Kind(models.fast_rcnn_fpn, small(tiny_fast_rcnn, **CLASSES)),
    "mask_rcnn": Kind(models.mask_rcnn_fpn, small(tiny_mask_rcnn, **CLASSES)),
    "keypoint_rcnn": Kind(models.keypoint_rcnn_fpn, small(tiny_keypoint_rcnn)),
    "cascade_rcnn": Kind(models.cascade_rcnn_fpn, small(tiny_cascade, **CLASSES)),
    "cascade_mask_rcnn": Kind(
        models.cascade_mask_rcnn_fpn,
        small(tiny_cascade, models.cascade_mask_rcnn_fpn, **CLASSES),
    ),
    "retinanet": Kind(models.retinanet_fpn, small(tiny_retinanet, **CLASSES)),
    "fcos": Kind(models.fcos_fpn, small(tiny_fcos, **CLASSES)),
    "rpn": Kind(models.rpn_fpn, tiny_rpn),
    # With FaPN as its neck; the others have FPN.
    "segments_on_fapn": Kind(models.segment_proposals_fpn, tiny_segments_on_fapn),
    "semantic_fpn": Kind(models.semantic_fpn, tiny_semantic_fpn),
    "panoptic_fpn": Kind(models.panoptic_fpn, partial(tiny_panoptic_fpn, **CLASSES)),
}


def given(model):
    """Returns what `detect` needs beside one photo, dict."""
    return {"proposals": [PROPOSALS]} if "proposals" in model.extra_inputs else {}
