"""A Mask R-CNN small enough to build, fill and run in a second."""

import keras
from models.tiny import tiny_backbone

from keras_fpn.layers import (
    Detections,
    FCNMaskHead,
    FeaturePyramid,
    MaskPredictor,
    Proposals,
    TwoFCBoxHead,
)
from keras_fpn.models import mask_rcnn_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import fill_with_formula


def tiny_mask_rcnn(num_classes=3, filled=True, **arguments):
    """Returns a detector with formula weights that finds masks in any photo.

    Args:
        num_classes: int, K.
        filled: bool; False keeps its random weights, which are always the same.
        **arguments: of `mask_rcnn_fpn`.
    """
    keras.utils.set_random_seed(0)
    defaults = {
        "backbone": tiny_backbone(),
        "neck": FeaturePyramid(16, name="neck"),
        "proposals": Proposals(100, 50, 100, 50, name="proposals"),
        "box_head": TwoFCBoxHead(32, name="box_head"),
        "detections": Detections(0.2, max_detections=20, name="detections"),
        "mask_head": FCNMaskHead(2, 8, name="mask_head"),
        "mask_predictor": MaskPredictor(
            len(arguments.get("class_names", range(num_classes))),
            8,
            name="mask_predictor",
        ),
        "preprocessing": Preprocessing(min_size=96, max_size=160),
        "num_classes": None if "class_names" in arguments else num_classes,
    }
    model = mask_rcnn_fpn(**{**defaults, **arguments})
    if filled:
        fill_with_formula(model)
    return model
