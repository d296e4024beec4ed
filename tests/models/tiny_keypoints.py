"""A Keypoint R-CNN small enough to build, fill and run in a second."""

from models.tiny import tiny_backbone

import keras_fpn
from keras_fpn.layers import (
    Detections,
    FeaturePyramid,
    KeypointHead,
    Proposals,
    TwoFCBoxHead,
)
from keras_fpn.models import KeypointSet, keypoint_rcnn_fpn
from keras_fpn.preprocessing import Preprocessing

CORNERS = KeypointSet(
    ("left_top", "right_top", "center"), flip_pairs=((0, 1),), skeleton=((0, 1),)
)


def tiny_keypoint_rcnn(filled=True, **arguments):
    """Returns a detector of three keypoints; filled, it finds boxes in any photo."""
    defaults = {
        "backbone": tiny_backbone(),
        "neck": FeaturePyramid(16, name="neck"),
        "proposals": Proposals(100, 50, 100, 50, name="proposals"),
        "box_head": TwoFCBoxHead(32, name="box_head"),
        "detections": Detections(0.2, max_detections=20, name="detections"),
        "keypoint_head": KeypointHead(2, 8, name="keypoint_head"),
        "keypoint_set": CORNERS,
        "preprocessing": Preprocessing(min_size=96, max_size=160),
        "class_names": ["shape"],
    }
    model = keypoint_rcnn_fpn(**{**defaults, **arguments})
    if filled:
        keras_fpn.weights.fill_with_formula(model)
    return model
