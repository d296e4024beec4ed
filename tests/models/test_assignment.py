import keras
import numpy as np
import pytest
from models.truths import floats, truth_of
from numpy.testing import assert_array_equal
from on_backend import outputs_of

from keras_fpn.chance import random_priorities
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE, Match
from keras_fpn.models.assignment import Assignment, without_assignments
from keras_fpn.models.region_branch import RPN_MATCH, RPN_SAMPLE
from keras_fpn.models.roi_branch import ROI_MATCH, ROI_SAMPLE
from keras_fpn.sampler import Sample

GT = [0, 0, 10, 10]
APART = [50, 50, 60, 60]
FAR = [500, 500, 510, 510]


def assigned(assignment, boxes, truth, chance=(0, 0, 0), usable=None):
    """Indices, labels and matches of all images."""

    def assign(boxes):
        labels, matches = assignment.match(boxes, truth)
        if usable is not None:
            labels = keras.ops.where(usable, labels, IGNORED)
        indices, labels = assignment.sample(labels, truth.image_ids, *chance)
        return indices, labels, keras.ops.take_along_axis(matches, indices, axis=1)

    return outputs_of(assign, boxes)


def test_the_papers_numbers():
    # Ren et al. 2015, Sec. 3.1.2 (0.3, 0.7) and 3.1.3 (256, half of them positive).
    assert RPN_MATCH == Match(0.3, 0.7, allow_low_quality=True)
    assert RPN_SAMPLE == Sample(256, 0.5)
    # Lin et al. 2017, Sec. 5.2 (512); Girshick 2015, Sec. 2.3 (0.5, a quarter).
    assert ROI_MATCH == Match(0.5, 0.5, allow_low_quality=False)
    assert ROI_SAMPLE == Sample(512, 0.25)
    assert ROI_SAMPLE.max_positives == 128


@pytest.mark.parametrize("own", [Match(0.1, 0.2, True), Sample(7, 0.4)])
def test_parts_come_back_from_their_configs(own):
    saved = keras.saving.serialize_keras_object(own)
    assert keras.saving.deserialize_keras_object(saved) == own


@pytest.mark.parametrize("numbers", [(0.7, 0.3), (-0.1, 0.5), (0.5, 1.1)])
def test_thresholds_out_of_order_or_range_raise(numbers):
    with pytest.raises(ValueError, match=rf"received lower={numbers[0]}, upper="):
        Match(*numbers)


@pytest.mark.parametrize("numbers", [(0, 0.5), (4, -0.1), (4, 1.1)])
def test_samples_of_nothing_or_of_no_share_raise(numbers):
    with pytest.raises(ValueError, match=rf"received count={numbers[0]}, positive_f"):
        Sample(*numbers)


def test_assignments_of_older_code_become_a_match_and_a_sample():
    neck, own = object(), Assignment(0.1, 0.2, True, 7, 0.4)
    parts = without_assignments(
        {"neck": neck, "rpn_assignment": own, "roi_assignment": None}
    )
    assert parts == {
        "neck": neck,
        "rpn_match": Match(0.1, 0.2, True),
        "rpn_sample": Sample(7, 0.4),
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
