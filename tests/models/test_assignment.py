import keras
import numpy as np
import pytest
from models.truths import floats, truth_of
from numpy.testing import assert_array_equal
from on_backend import outputs_of

from keras_fpn.chance import random_priorities
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.models.assignment import ROI_ASSIGNMENT, RPN_ASSIGNMENT, Assignment

GT = [0, 0, 10, 10]
APART = [50, 50, 60, 60]
FAR = [500, 500, 510, 510]


def assigned(assignment, boxes, truth, chance=(0, 0, 0), usable=None):
    """Places, labels and matches of all images."""
    return outputs_of(lambda boxes: assignment(boxes, truth, chance, usable), boxes)


def test_the_papers_numbers():
    # Ren et al. 2015, Sec. 3.1.2 (0.3, 0.7) and 3.1.3 (256, half of them positive).
    assert RPN_ASSIGNMENT.get_config() == {
        "lower": 0.3,
        "upper": 0.7,
        "allow_low_quality": True,
        "count": 256,
        "positive_fraction": 0.5,
    }
    # Lin et al. 2017, Sec. 5.2 (512); Girshick 2015, Sec. 2.3 (0.5, a quarter).
    assert ROI_ASSIGNMENT.get_config() == {
        "lower": 0.5,
        "upper": 0.5,
        "allow_low_quality": False,
        "count": 512,
        "positive_fraction": 0.25,
    }


def test_an_assignment_comes_back_from_its_config():
    own = Assignment(0.1, 0.2, False, 7, 0.4)
    saved = keras.saving.serialize_keras_object(own)
    assert keras.saving.deserialize_keras_object(saved) == own


def test_boxes_are_matched_then_sampled():
    # IoU 1, 0.5 (between the thresholds), 0, 0.2.
    boxes = floats([[GT, [0, 0, 10, 5], FAR, [0, 0, 10, 2]]])
    truth = truth_of([[APART, GT]], [[0, 1]])
    places, labels, matches = assigned(
        Assignment(0.3, 0.7, False, 4, 0.5), boxes, truth
    )
    assert_array_equal(labels, [[POSITIVE, NEGATIVE, NEGATIVE, IGNORED]])
    assert places[0, 0] == 0
    assert set(places[0, 1:3]) == {2, 3}
    assert matches[0, 0] == 1


def test_low_quality_matches_are_made_where_asked_for():
    boxes, truth = floats([[[0, 0, 10, 2], FAR]]), truth_of([[GT]], [[1]])
    for allowed, label in ((True, POSITIVE), (False, NEGATIVE)):
        assignment = Assignment(0.3, 0.7, allowed, 1, 1.0)
        assert assigned(assignment, boxes, truth)[1] == [[label]]


def test_boxes_that_are_not_usable_are_not_picked():
    boxes = floats([[GT, GT, FAR, FAR]])
    usable = np.array([[False, True, True, False]])
    places, labels, _ = assigned(
        Assignment(0.5, 0.5, False, 4, 0.5),
        boxes,
        truth_of([[GT]], [[0]]),
        (0, 0, 0),
        usable,
    )
    assert_array_equal(labels, [[POSITIVE, NEGATIVE, IGNORED, IGNORED]])
    assert_array_equal(places[0, :2], [1, 2])


def test_matches_are_those_of_the_places():
    grid = [[20 * n, 0, 20 * n + 10, 10] for n in range(8)]
    truth = truth_of([grid], [list(range(8))])
    boxes = floats([grid[::-1]])
    places, labels, matches = assigned(
        Assignment(0.5, 0.5, False, 5, 1.0), boxes, truth
    )
    assert_array_equal(labels, [[POSITIVE] * 5])
    assert_array_equal(matches, 7 - places)


@pytest.mark.parametrize("chance", [(0, 0, 0), (3, 0, 0), (0, 3, 0), (0, 0, 1)])
def test_the_highest_priorities_are_picked(chance):
    seed, step, purpose = chance
    boxes, truth = floats([[FAR] * 100]), truth_of([[GT]], [[0]], image_ids=[42])
    places, _, _ = assigned(Assignment(0.5, 0.5, False, 10, 0.5), boxes, truth, chance)
    priorities = np.asarray(random_priorities(seed, step, np.array([42]), 100, purpose))
    assert_array_equal(places[0], np.argsort(-priorities[0])[:10])


def test_an_image_is_sampled_the_same_in_any_batch():
    # Replicas see parts of a batch, each from its own place 0 on.
    boxes = floats([[FAR] * 50] * 4)
    ids = np.array([11, 12, 13, 14])

    def places(chosen):
        truth = truth_of(
            [[GT]] * len(chosen), [[0]] * len(chosen), image_ids=ids[chosen]
        )
        sample = Assignment(0.5, 0.5, False, 6, 0.5)
        return assigned(sample, boxes[: len(chosen)], truth)[0]

    whole = places([0, 1, 2, 3])
    assert len({tuple(row) for row in whole}) == 4
    assert_array_equal(places([2, 3]), whole[2:])
