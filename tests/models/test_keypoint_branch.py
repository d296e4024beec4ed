"""Targets and loss of keypoints, by hand and against plain NumPy."""

import numpy as np
import pytest
from layer_checks import randomize
from models.truths import truth_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays

from keras_fpn.layers import (
    KeypointHead,
    KeypointPredictor,
    LogitPeaks,
    PyramidRoIAlign,
)
from keras_fpn.matcher import NEGATIVE, POSITIVE
from keras_fpn.models import KeypointBranch, KeypointSet
from keras_fpn.models.keypoint_branch import heat_map_cells
from keras_fpn.models.roi_branch import SampledRoIs

PAIR = KeypointSet(("a", "b"))
ROI = (10.0, 20.0, 18.0, 24.0)  # 8 wide, 4 high


def cells_of(x, y, visibility=2, cells=4):
    found, valid = heat_map_cells(
        np.array([[[[x, y, visibility]]]], "float32"),
        np.array([[ROI]], "float32"),
        cells,
    )
    return arrays(found).item(), arrays(valid).item()


@pytest.mark.parametrize(
    ("x", "y", "cell"),
    [
        (10.0, 20.0, 0),  # the first corner
        (11.9, 20.9, 0),  # cells are 2 wide and 1 high
        (12.0, 20.0, 1),
        (13.0, 22.5, 2 * 4 + 1),
        (18.0, 20.0, 3),  # the right edge is in the last cell
        (10.0, 24.0, 3 * 4),
        (18.0, 24.0, 15),
    ],
)
def test_a_keypoint_is_in_the_cell_that_covers_it(x, y, cell):
    assert cells_of(x, y) == (cell, True)
    assert cells_of(x, y, visibility=1) == (cell, True)


@pytest.mark.parametrize(
    ("x", "y", "visibility"),
    [
        (13.0, 22.0, 0),  # not annotated
        (9.9, 22.0, 2),
        (18.1, 22.0, 2),
        (13.0, 19.9, 2),
        (13.0, 24.1, 2),
    ],
)
def test_keypoints_outside_or_not_annotated_do_not_count(x, y, visibility):
    assert cells_of(x, y, visibility) == (0, False)


def branch_of(keypoints=PAIR):
    return KeypointBranch(
        PyramidRoIAlign(2),
        KeypointHead(1, 4),
        KeypointPredictor(2),
        LogitPeaks(),
        keypoints,
    )


def made():
    """A branch with random weights, its stages, sampled RoIs and objects."""
    branch, draw = branch_of(), np.random.default_rng(0)
    pyramid = {"P2": draw.normal(size=(2, 16, 16, 3)).astype("float32")}
    boxes = np.array([[ROI, (0, 0, 8, 8)], [(4, 4, 20, 36), (2, 2, 9, 9)]], "float32")
    branch.keypoint_predictor(
        branch.keypoint_head(branch.keypoint_roi_align(pyramid, boxes))
    )
    randomize(branch.keypoint_head)
    randomize(branch.keypoint_predictor)
    labels = np.array([[POSITIVE, NEGATIVE], [POSITIVE, POSITIVE]])
    sampled = SampledRoIs(boxes, labels, np.array([[0, 0], [1, 0]]))
    keypoints = np.array(
        [
            [[[11, 21, 2], [17, 23, 1]], [[0, 0, 0], [0, 0, 0]]],
            [[[3, 3, 2], [50, 50, 2]], [[5, 5, 0], [19, 30, 2]]],
        ],
        "float32",
    )
    return branch, {"pyramid": pyramid}, sampled, keypoints


def truth_with(keypoints, **more):
    boxes = [[ROI, (0, 0, 0, 0)], [(2, 2, 9, 9), (4, 4, 20, 36)]]
    return truth_of(
        boxes,
        [[0, -1], [0, 0]],
        keypoints=keypoints,
        needed=KeypointBranch.targets,
        **more,
    )


def loss_by_loop(branch, stages, sampled, keypoints, image_weights=(1, 1)):
    features = branch.keypoint_roi_align(stages["pyramid"], sampled.boxes)
    logits = arrays(branch.keypoint_predictor(branch.keypoint_head(features)))
    total = count = 0.0
    for image, row in ((0, 0), (1, 0), (1, 1)):  # the positives
        x1, y1, x2, y2 = sampled.boxes[image, row]
        for joint, (x, y, v) in enumerate(
            keypoints[image, sampled.matches[image, row]]
        ):
            if v == 0 or not (x1 <= x <= x2 and y1 <= y <= y2):
                continue
            column, line = int((x - x1) * 8 / (x2 - x1)), int((y - y1) * 8 / (y2 - y1))
            scores = np.exp(logits[image, row, ..., joint].astype("float64"))
            share = scores[line, column] / scores.sum()
            total -= np.log(share) * image_weights[image]
            count += image_weights[image]
    return total, count


def test_the_loss_is_the_cross_entropy_of_the_cells_of_visible_keypoints():
    branch, stages, sampled, keypoints = made()
    sums, count = branch.losses(stages, sampled, truth_with(keypoints))
    expected, number = loss_by_loop(branch, stages, sampled, keypoints)
    assert (number, arrays(count)) == (4, 4)
    assert_allclose(arrays(sums["keypoint_loss"]), expected, rtol=1e-5)


def test_an_image_of_weight_0_does_not_count():
    branch, stages, sampled, keypoints = made()
    truth = truth_with(keypoints, sample_weight=np.array([1.0, 0.0]))
    sums, count = branch.losses(stages, sampled, truth)
    expected, number = loss_by_loop(branch, stages, sampled, keypoints, (1, 0))
    assert (number, arrays(count)) == (2, 2)
    assert_allclose(arrays(sums["keypoint_loss"]), expected, rtol=1e-5)


def test_without_visible_keypoints_the_loss_is_0():
    branch, stages, sampled, keypoints = made()
    truth = truth_with(keypoints * [1, 1, 0])
    sums, count = branch.losses(stages, sampled, truth)
    assert_array_equal([arrays(count), arrays(sums["keypoint_loss"])], [0, 0])


def first(sampled, count):
    """Returns the sampled RoIs of the first slots."""
    return SampledRoIs(
        *(
            value[:, :count]
            for value in (sampled.boxes, sampled.labels, sampled.matches)
        )
    )


def test_only_the_slots_of_positives_are_looked_at():
    branch, stages, sampled, keypoints = made()
    _, count = branch.losses(stages, first(sampled, 1), truth_with(keypoints))
    assert arrays(count) == 3


def test_a_wrong_number_of_keypoints_is_refused():
    with pytest.raises(ValueError, match=r"num_keypoints=2 .* keypoint_set of 3"):
        branch_of(KeypointSet(("a", "b", "c")))
    branch, stages, sampled, keypoints = made()
    truth = truth_with(keypoints[:, :, :1])
    with pytest.raises(ValueError, match=r"\(B, G, 2, 3\); received .*2, 3, 1, 3\)"):
        branch.losses(stages, sampled, truth)
