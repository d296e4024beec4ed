"""A detector of segmentation proposals small enough to build and run in a second."""

import keras
from models.tiny import tiny_backbone

from keras_fpn.layers import FeaturePyramid, SegmentHead, TopSegments, fapn
from keras_fpn.models import segment_proposals_fpn
from keras_fpn.preprocessing import Preprocessing


def tiny_segments(spread=True, **arguments):
    """Returns a small detector; `spread` makes its scores and masks differ from 0.5."""
    keras.utils.set_random_seed(0)
    defaults = {
        "backbone": tiny_backbone(),
        "neck": FeaturePyramid(16, name="neck"),
        "segment_head": SegmentHead((3, 5), 8, name="segment_head"),
        "top_segments": TopSegments(0.01, 40, name="top_segments"),
        "preprocessing": Preprocessing(min_size=96, max_size=160),
    }
    model = segment_proposals_fpn(**{**defaults, **arguments})
    if spread:
        for _, score, mask in model.segment_head.predictors:
            for layer in (score, mask):
                layer.kernel.assign(layer.kernel * 100)
    return model


def tiny_segments_on_fapn():
    """Returns one on C3 and C4 whose neck moves the points that it reads."""
    neck = fapn(16, name="neck")
    model = tiny_segments(backbone=tiny_backbone(("C3", "C4")), neck=neck)
    points = neck.merge["C3"].deform.predict_points.kernel
    points.assign(keras.random.normal(points.shape, stddev=0.1, seed=0))
    return model
