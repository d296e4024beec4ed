"""Cascade R-CNNs small enough to build, fill and run in a second."""

import keras
from models.tiny import tiny_backbone

from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import (
    ClassAgnosticBoxPredictor,
    Detections,
    FCNMaskHead,
    FeaturePyramid,
    MaskPredictor,
    Proposals,
    RefinedBoxes,
    TwoFCBoxHead,
)
from keras_fpn.models import (
    CascadeStage,
    Match,
    cascade_mask_rcnn_fpn,
    cascade_rcnn_fpn,
)
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import fill_with_formula

CODERS = [BoxCoder((n, n, n / 2, n / 2), beta=0.0) for n in (10.0, 20.0)]


def two_stages(num_classes):
    """Returns two `CascadeStage`, tuple."""
    return tuple(
        CascadeStage(
            TwoFCBoxHead(16, name=f"box_head_{number}"),
            ClassAgnosticBoxPredictor(num_classes, name=f"box_predictor_{number}"),
            RefinedBoxes(coder, name=f"refined_boxes_{number}"),
            Match(iou, iou),
        )
        for number, (coder, iou) in enumerate(zip(CODERS, (0.5, 0.7), strict=True), 1)
    )


def tiny_cascade(builder=cascade_rcnn_fpn, **arguments):
    """Returns a cascade of two stages with formula weights.

    Args:
        builder: `cascade_rcnn_fpn` or `cascade_mask_rcnn_fpn`.
        **arguments: of the builder.
    """
    keras.utils.set_random_seed(0)
    classes = len(arguments.get("class_names", range(3)))
    defaults = {
        "backbone": tiny_backbone(),
        "neck": FeaturePyramid(16, name="neck"),
        "proposals": Proposals(100, 50, 100, 50, name="proposals"),
        "cascade": two_stages(classes),
        "detections": Detections(
            0.1, max_detections=20, coder=CODERS[-1], name="detections"
        ),
        "preprocessing": Preprocessing(min_size=96, max_size=160),
        "num_classes": None if "class_names" in arguments else classes,
    }
    if builder is cascade_mask_rcnn_fpn:
        defaults["mask_head"] = FCNMaskHead(1, 8, name="mask_head")
        defaults["mask_predictor"] = MaskPredictor(classes, 8, name="mask_predictor")
    model = builder(**{**defaults, **arguments})
    fill_with_formula(model)
    return model
