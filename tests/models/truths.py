"""Ground truth and predictions of small batches, for tests of the losses."""

import numpy as np

from keras_fpn.models.ground_truth import TARGETS, ground_truth


def floats(values):
    return np.array(values, "float32")


def truth_of(boxes, labels, sample_weight=None, needed=TARGETS, **more):
    """The `GroundTruth` of nested lists of boxes and labels."""
    boxes = floats(boxes).reshape(len(labels), -1, 4)
    targets = {"boxes": boxes, "labels": np.array(labels, int).reshape(boxes.shape[:2])}
    return ground_truth({**targets, **more}, sample_weight, needed)
