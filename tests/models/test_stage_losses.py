import math

import keras
import numpy as np
import pytest
from models.truths import floats, truth_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

from keras_fpn.layers import Detections, Proposals
from keras_fpn.layers.detections import ROI_CODER
from keras_fpn.models import Assignment, BoxBranch, RegionBranch
from keras_fpn.models.roi_branch import SampledRoIs, predicted_losses
from keras_fpn.sampler import Sample

GT = [0, 0, 10, 10]
APART = [50, 50, 60, 60]
NOTHING = [0, 0, 0, 0]
ALL = Assignment(0.3, 0.7, True, 8, 0.5)  # picks all of a few anchors
P, N, I = 1, 0, -1  # noqa: E741  # labels
LOG2 = math.log(2)


def smooth(difference):
    """Smooth L1 with torchvision's beta of 1/9."""
    x = abs(difference)
    return x - 1 / 18 if x > 1 / 9 else 4.5 * x * x


def stages_of(anchors, logits, deltas):
    """Stages of a pyramid of P9 and P10, whose letters stand in the other order."""
    levels = ("P9", "P10")
    if len(anchors) == 1:
        levels = levels[:1]
    together = zip(levels, anchors, logits, deltas, strict=True)
    stages = {"anchors": {}, "objectness": {}, "deltas": {}}
    for name, *values in together:
        for stage, value in zip(stages.values(), values, strict=True):
            stage[name] = floats(value)
    return {key: dict(sorted(stage.items())) for key, stage in stages.items()}


def box_branch(match=None, sample=None):
    return BoxBranch(None, None, None, Detections(), match, sample)


def sampled_rois(stages, truth, assignment, seed, step):
    branch = box_branch(assignment.match, assignment.sample)
    sampled = branch.sampled(stages, truth, seed, step)
    return sampled.boxes, sampled.labels, sampled.matches


def box_head_losses(logits, deltas, rois, labels, matches, truth):
    sampled = SampledRoIs(rois, labels, matches)
    return predicted_losses(logits, deltas, ROI_CODER, sampled, truth)


def rpn_losses(stages, truth, assignment, seed, step):
    match, sample = assignment.match, assignment.sample
    branch = RegionBranch(None, None, None, Proposals(), match, sample)
    return branch.losses(stages, truth, seed, step)


def rpn(stages, truth, assignment=ALL, seed=0, step=0):
    sums, count = outputs_of(
        lambda stages: rpn_losses(stages, truth, assignment, seed, step), stages
    )
    return {name: float(value) for name, value in sums.items()} | {"count": count}


def test_rpn_losses_by_hand():
    # Moved by 0.1 and 1 of the anchor's width, twice as high: below and above beta.
    anchors = [[GT, APART]]
    deltas = [[[[0.1, 1.0, 0.0, LOG2], [9, 9, 9, 9]]]]
    found = rpn(stages_of(anchors, [[[LOG2, 0.0]]], deltas), truth_of([[GT]], [[1]]))
    # Positive with probability 2/3, negative with 1/2.
    expected = math.log(3 / 2) + LOG2
    assert_allclose(found["objectness_loss"], expected, rtol=1e-5)
    expected = smooth(0.1) + smooth(1.0) + smooth(0.0) + smooth(LOG2)
    assert_allclose(found["rpn_box_loss"], expected, rtol=1e-5)
    assert found["count"] == 2


def test_deltas_are_wanted_from_the_anchor_to_its_ground_truth():
    # 12 x 10 beside 10 x 10: 2 right, 1 of a width 10 the centre; IoU 80/140 is the
    # best there is.
    gt = [2, 0, 14, 10]
    wanted = [0.3, 0.0, math.log(1.2), 0.0]  # the centre from 5 to 8
    stages = stages_of([[GT, APART]], [[[0, 0]]], [[[wanted, [0, 0, 0, 0]]]])
    truth = truth_of([[[40, 40, 41, 41], gt]], [[0, 1]])
    assert_allclose(rpn(stages, truth)["rpn_box_loss"], 0, atol=1e-10)
    stages["deltas"]["P9"][0, 0, 0] += 1
    assert_allclose(rpn(stages, truth)["rpn_box_loss"], 1 - 1 / 18, rtol=1e-5)


def test_levels_are_joined_by_number_where_letters_say_otherwise():
    # The positive anchor is on P10; its logit and deltas are those of P10.
    stages = stages_of(
        [[APART], [GT]], [[[-50.0]], [[50.0]]], [[[[7] * 4]], [[[0] * 4]]]
    )
    found = rpn(stages, truth_of([[GT]], [[0]]))
    assert_allclose(found["objectness_loss"], 0, atol=1e-6)
    assert found["rpn_box_loss"] == 0
    assert found["count"] == 2


def test_ignored_anchors_count_in_no_loss():
    half = [0, 0, 10, 5]  # IoU 0.5, between 0.3 and 0.7
    stages = stages_of([[GT, half]], [[[0, 30]]], [[[[0] * 4, [5] * 4]]])
    found = rpn(stages, truth_of([[GT]], [[0]]))
    assert_allclose(found["objectness_loss"], LOG2, rtol=1e-5)
    assert found["rpn_box_loss"] == 0
    assert found["count"] == 1


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_an_image_counts_by_its_weight(weight):
    anchors, logits = [[GT, APART]], np.zeros((1, 2, 2))
    deltas = np.ones((1, 2, 2, 4))
    boxes, labels = [[GT], [GT]], [[0], [0]]
    found = rpn(
        stages_of(anchors, logits, deltas), truth_of(boxes, labels, floats([1, weight]))
    )
    assert_allclose(found["objectness_loss"], (1 + weight) * 2 * LOG2, rtol=1e-5)
    box_loss = (1 + weight) * 4 * smooth(1.0)
    assert_allclose(found["rpn_box_loss"], box_loss, rtol=1e-5)
    assert found["count"] == 2 * (1 + weight)


def test_an_image_without_objects_has_negatives_only():
    truth = truth_of(np.zeros((1, 0, 4)), np.zeros((1, 0)))
    found = rpn(stages_of([[GT, APART]], [[[0, 0]]], [[[[3] * 4] * 2]]), truth)
    assert_allclose(found["objectness_loss"], 2 * LOG2, rtol=1e-5)
    assert found["rpn_box_loss"] == 0
    assert found["count"] == 2


def test_half_precision_predictions_make_losses_in_float32():
    stages = stages_of([[GT, APART]], [[[0, 0]]], [[[[1] * 4] * 2]])
    found, count = outputs_of(
        lambda stages: rpn_losses(
            keras.tree.map_structure(
                lambda x: keras.ops.cast(x, "bfloat16"),
                {name: stages[name] for name in ("objectness", "deltas")},
            )
            | {"anchors": stages["anchors"]},
            truth_of([[GT]], [[0]]),
            ALL,
            0,
            0,
        ),
        stages,
    )
    assert {value.dtype.name for value in found.values()} == {"float32"}
    assert count.dtype == np.float32
    assert_allclose(found["objectness_loss"], 2 * LOG2, rtol=1e-5)


def test_proposals_and_ground_truth_are_the_rois():
    proposals = [[APART, [0, 0, 10, 8], NOTHING]]
    truth = truth_of([[GT, [30, 30, 40, 40]]], [[0, 1]])
    rois, labels, matches = outputs_of(
        lambda x: sampled_rois(
            {"rois": x}, truth, Assignment(0.5, 0.5, False, 8, 0.5), 0, 0
        ),
        floats(proposals),
    )
    # IoU 0.8 with GT, and both ground truths with themselves; the padding and the
    # empty proposal are none.
    assert_array_equal(np.sort(labels[0])[::-1][:4], [P, P, P, N])
    assert set(labels[0, 4:]) == {I}
    found = {tuple(roi): match for roi, match in zip(rois[0], matches[0], strict=True)}
    positives = {tuple(roi) for roi in rois[0, :3]}
    assert positives == {(0, 0, 10, 8), tuple(GT), (30, 30, 40, 40)}
    assert tuple(rois[0, 3]) == tuple(APART)
    assert found[0, 0, 10, 8] == found[tuple(GT)] == 0
    assert found[30, 30, 40, 40] == 1


def test_crowds_and_padding_are_no_rois():
    truth = truth_of(
        [[GT, APART, APART]], [[0, 1, -1]], is_crowd=np.array([[True, False, False]])
    )
    _, labels, _ = outputs_of(
        lambda x: sampled_rois(
            {"rois": x}, truth, Assignment(0.5, 0.5, False, 8, 0.5), 0, 0
        ),
        np.zeros((1, 2, 4), "float32"),
    )
    assert_array_equal(np.sort(labels[0])[::-1], [P] + [I] * (labels.shape[1] - 1))


def head_losses(logits, deltas, rois, labels, matches, truth):
    sums, count = outputs_of(
        lambda logits, deltas, rois: box_head_losses(
            logits, deltas, rois, np.array(labels), np.array(matches), truth
        ),
        *(floats(value) for value in (logits, deltas, rois)),
    )
    return {name: float(value) for name, value in sums.items()} | {"count": count}


def test_box_head_losses_by_hand():
    # A positive of class 1 with probability 1/6, a negative with background 3/6; the
    # last slot is left over.
    logits = [[np.log([3, 1, 2]), np.log([1, 2, 3]), [9, 9, 9]]]
    deltas = np.zeros((1, 3, 2, 4))
    deltas[0, 0, 0] = 99  # of the other class
    deltas[0, 0, 1] = [0.1, -1.0, 0.0, 0.05]
    deltas[0, 1:] = 77  # of the others
    truth = truth_of([[APART, GT]], [[0, 1]])
    found = head_losses(logits, deltas, [[GT] * 3], [[P, N, I]], [[1, 0, 0]], truth)
    assert_allclose(found["class_loss"], math.log(6) + math.log(2), rtol=1e-5)
    expected = smooth(0.1) + smooth(1.0) + smooth(0.05)
    assert_allclose(found["box_loss"], expected, rtol=1e-5)
    assert found["count"] == 2


def test_the_box_heads_goals_are_ten_and_five_times_the_deltas():
    # From GT to the ground truth: 2 right, 5 down, twice as wide, half as high.
    gt = [-3, 7.5, 17, 12.5]
    goal = [10 * 0.2, 10 * 0.5, 5 * LOG2, -5 * LOG2]
    deltas = floats([[[goal]]])
    truth = truth_of([[gt]], [[0]])
    logits = np.zeros((1, 1, 2))
    found = head_losses(logits, deltas, [[GT]], [[P]], [[0]], truth)
    assert_allclose(found["box_loss"], 0, atol=1e-10)
    for axis in range(4):
        moved = deltas.copy()
        moved[..., axis] += 2
        found = head_losses(logits, moved, [[GT]], [[P]], [[0]], truth)
        assert_allclose(found["box_loss"], 2 - 1 / 18, rtol=1e-4)


def test_slots_that_do_not_count_may_hold_no_numbers():
    # Empty RoIs and padding lead to logarithms of nothing.
    truth = truth_of([[GT]], [[0]])
    found = head_losses(
        np.zeros((1, 2, 2)),
        np.zeros((1, 2, 1, 4)),
        [[GT, NOTHING]],
        [[P, I]],
        [[0, 1]],
        truth,
    )
    assert_allclose(found["class_loss"], LOG2, rtol=1e-5)
    assert found["box_loss"] == 0
    assert found["count"] == 1


def test_images_of_the_head_count_by_their_weight():
    truth = truth_of([[GT], [GT]], [[0], [0]], floats([1, 0]))
    found = head_losses(
        np.zeros((2, 1, 2)),
        np.ones((2, 1, 1, 4)),
        [[GT], [GT]],
        [[P], [P]],
        [[0], [0]],
        truth,
    )
    assert_allclose(found["class_loss"], LOG2, rtol=1e-5)
    assert_allclose(found["box_loss"], 4 * smooth(1), rtol=1e-5)
    assert found["count"] == 1


class AskedSample(Sample):
    """Remembers which random numbers it was asked for."""

    def __call__(self, labels, image_ids, *random):
        object.__setattr__(self, "random", random)  # it is frozen
        return super().__call__(labels, image_ids, *random)


class Asked:
    """Stands for an assignment, and remembers what its sample was asked for."""

    match = Assignment(0.5, 0.5, False, 4, 0.5).match

    def __init__(self):
        self.sample = AskedSample(4, 0.5)


def test_anchors_and_rois_are_sampled_by_seed_and_step_each_for_its_own_purpose():
    anchors, rois = Asked(), Asked()
    truth = truth_of([[GT]], [[0]])
    rpn(stages_of([[GT]], [[[0]]], [[[[0] * 4]]]), truth, anchors, 5, 7)
    sampled_rois({"rois": floats([[GT]])}, truth, rois, 5, 7)
    # By other numbers, a run that was begun before would sample others.
    assert anchors.sample.random == (5, 7, 0)
    assert rois.sample.random == (5, 7, 1)


def test_a_box_of_any_class_is_the_one_that_counts():
    logits = np.zeros((1, 2, 4))  # 3 classes
    deltas = floats([[[[1, 0, 0, 0]], [[7, 7, 7, 7]]]])
    for label in (0, 2):
        truth = truth_of([[GT]], [[label]])
        found = head_losses(logits, deltas, [[GT] * 2], [[P, N]], [[0, 0]], truth)
        assert_allclose(found["box_loss"], smooth(1), rtol=1e-5)
        assert_allclose(found["class_loss"], 2 * math.log(4), rtol=1e-5)


def test_parts_of_a_batch_add_up_to_the_whole():
    # As on two replicas: sums, counts and what is sampled, by the images' ids.
    generator = np.random.default_rng(0)
    corner = generator.uniform(0, 80, (60, 2))
    anchors = np.concatenate([corner, corner + 15], axis=1)
    logits, deltas = generator.normal(size=(4, 60)), generator.normal(size=(4, 60, 4))
    ids, few = np.array([9, 4, 6, 2]), Assignment(0.2, 0.4, True, 10, 0.5)

    def losses(chosen):
        truth = truth_of(
            [anchors[[n, n + 9]] for n in chosen],
            [[0, 1]] * len(chosen),
            image_ids=ids[chosen],
        )
        return rpn(stages_of([anchors], [logits[chosen]], [deltas[chosen]]), truth, few)

    whole, one, other = losses([0, 1, 2, 3]), losses([0, 1]), losses([2, 3])
    assert whole["count"] == 40
    for name, value in whole.items():
        assert_allclose(one[name] + other[name], value, rtol=1e-5)
