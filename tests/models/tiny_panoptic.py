"""A Semantic FPN and a Panoptic FPN small enough to build, fill and run in a second."""

import keras
import numpy as np
from models.tiny import tiny_backbone
from models.tiny_masks import tiny_mask_rcnn

from keras_fpn.layers import FeaturePyramid, SemanticFPNHead, StuffPredictor
from keras_fpn.models import (
    PanopticFPN,
    PanopticMerge,
    PanopticParts,
    StuffBranch,
    StuffSet,
    semantic_fpn,
)
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import fill_with_formula

STUFF = StuffSet(("sky", "sea", "sand"), (187, 155, 154))
SMALL = Preprocessing(min_size=96, max_size=160)


def tiny_semantic_fpn(filled=True, **arguments):
    """Returns a detector whose maps have three classes; filled, all are in a photo."""
    keras.utils.set_random_seed(0)
    defaults = {
        "backbone": tiny_backbone(),
        "neck": FeaturePyramid(16, name="neck"),
        "semantic_head": SemanticFPNHead(8, name="semantic_head"),
        "class_names": ["road", "car", "sky"],
        "preprocessing": SMALL,
    }
    model = semantic_fpn(**{**defaults, **arguments})
    if filled:
        fill_with_formula(model)
    return model


def tiny_panoptic_fpn(filled=True, merge=None, stuff=STUFF, **arguments):
    """Returns a detector that finds things and stuff in any photo, if filled."""
    masks = tiny_mask_rcnn(filled=False, **arguments)
    branch = StuffBranch(
        SemanticFPNHead(8, name="semantic_head"),
        StuffPredictor(len(stuff), name="semantic_predictor"),
        stuff=stuff,
        panoptic_merge=merge or PanopticMerge(0.3, stuff_area=100),
    )
    own = [getattr(masks.parts, name) for name in ("backbone", "neck", "region", "box")]
    model = PanopticFPN(
        PanopticParts(*own, masks.parts.mask, branch),
        masks.preprocessing,
        masks.class_names,
        masks.category_ids,
    )
    if filled:
        fill_with_formula(model)
    return model


def batch_of_two(classes):
    """Returns inputs and targets of two images of 96x128, the second one smaller.

    The left half of each has class 0, the upper right quarter the last one.
    """
    pixels = np.random.default_rng(0).uniform(0, 60, (2, 96, 128, 3))
    maps = np.full((2, 96, 128), 1, "uint8")
    maps[:, :, :64], pixels[:, :, :64, 0] = 0, 250
    maps[:, :48, 64:], pixels[:, :48, 64:, 2] = classes - 1, 250
    maps[1, 80:], pixels[1, 80:] = 255, 0
    boxes = np.float32([[[0, 0, 64, 96], [8, 8, 40, 30]], [[0, 0, 64, 80], [0] * 4]])
    x = {
        "images": pixels.astype("float32"),
        "image_sizes": np.float32([[96, 128], [80, 128]]),
    }
    y = {
        "semantic_map": maps,
        "boxes": boxes,
        "labels": np.array([[0, 2], [1, -1]], "int32"),
        "masks": np.full((2, 2, 8, 8), 255, "uint8"),
        "mask_windows": boxes,
    }
    return x, y
