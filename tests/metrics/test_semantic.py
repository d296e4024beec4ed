import json
import math

import numpy as np
import pytest

from keras_fpn.metrics import SemanticScores

NAMES = ("sky", "road", "tree")
#  sky, road, and one pixel that does not count.
TRUTH = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 255]])


def scored(*pairs, names=NAMES):
    scores = SemanticScores(names)
    for truth, predicted in pairs:
        scores.add(truth, predicted)
    return scores.result()


def by_loop(pairs, count):
    """IoU of each class, from sets of pixels."""
    truth, found = [set() for _ in range(count)], [set() for _ in range(count)]
    for photo, (labels, predicted) in enumerate(pairs):
        for place, label in np.ndenumerate(labels):
            if label != 255:
                truth[label].add((photo, place))
                if predicted[place] != 255:
                    found[predicted[place]].add((photo, place))
    return [
        len(a & b) / len(a | b) if a | b else math.nan
        for a, b in zip(truth, found, strict=True)
    ]


def test_a_case_worked_by_hand():
    predicted = TRUTH.copy()
    predicted[0] = 1  # four pixels of sky
    predicted[2, 3] = 2  # where there is no truth
    found = scored((TRUTH, predicted))
    # Sky: 2 of 6 pixels, nothing else. Road: all 5, and 4 others. No tree.
    ious = {one.name: one.values["IoU"] for one in found.per_class}
    assert ious["sky"] == pytest.approx(2 / 6)
    assert ious["road"] == pytest.approx(5 / 9)
    assert math.isnan(ious["tree"])
    assert found.values == {
        "mIoU": pytest.approx((2 / 6 + 5 / 9) / 2),
        "fwIoU": pytest.approx((2 / 6 * 6 + 5 / 9 * 5) / 11),
        "mean_accuracy": pytest.approx((2 / 6 + 1) / 2),
        "pixel_accuracy": pytest.approx(7 / 11),
    }
    np.testing.assert_array_equal(
        found.confusion, [[2, 4, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0]]
    )
    assert [(one.pixels, one.found) for one in found.per_class] == [
        (6, 2),
        (5, 9),
        (0, 0),
    ]


def test_a_class_that_is_only_predicted_counts_as_0():
    predicted = TRUTH.copy()
    predicted[2, :3] = 2
    # Sky 1, road 2 of 5, tree 0 of 3.
    assert scored((TRUTH, predicted)).values["mIoU"] == pytest.approx((1 + 2 / 5) / 3)


def test_the_right_answer_is_1_and_empty_constant_and_shifted_ones_are_low():
    draw = np.random.default_rng(0)
    truth = np.kron(draw.integers(0, 3, (6, 6)), np.ones((4, 4), int))
    assert set(scored((truth, truth)).values.values()) == {1.0}
    empty = scored((truth, np.full_like(truth, 255))).values
    assert set(empty.values()) == {0.0}
    for value in range(3):
        constant = scored((truth, np.full_like(truth, value))).values
        assert constant["mIoU"] < 0.2
        assert constant["mean_accuracy"] == pytest.approx(1 / 3)
    shifted = scored((truth, np.roll(truth, 4, axis=1))).values
    assert shifted["mIoU"] < 0.4


def test_photos_are_counted_together():
    draw = np.random.default_rng(1)
    pairs = []
    for size in ((5, 7), (8, 3), (1, 1)):
        truth = draw.choice([0, 1, 2, 255], size)
        pairs.append((truth, np.where(draw.random(size) < 0.6, truth, 1)))
    found = scored(*pairs)
    ious = [one.values["IoU"] for one in found.per_class]
    np.testing.assert_allclose(ious, by_loop(pairs, 3))
    assert found.images == 3
    means = [scored(pair).values["mIoU"] for pair in pairs]
    assert found.values["mIoU"] != pytest.approx(np.mean(means))


def test_without_truth_there_is_no_number():
    found = scored((np.full((2, 2), 255), np.zeros((2, 2), int)))
    assert all(map(math.isnan, found.values.values()))
    assert found.to_dict()["values"]["mIoU"] is None
    json.dumps(found.to_dict())


def test_large_maps_of_bytes_do_not_overflow():
    truth = np.full((20, 20), 199, np.uint8)
    names = [str(i) for i in range(200)]
    assert scored((truth, truth), names=names).values["mIoU"] == 1


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"\(2, 2\) and \(2, 3\)"),
        (np.full((2, 2), 3), np.zeros((2, 2), int), r"0\.\.2.*a truth with 3 to 3"),
        (np.zeros((2, 2), int), np.full((2, 2), 4), r"0\.\.2.*a map with 4 to 4"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), r"0\.\.2.*a map with -1 to -1"),
    ],
)
def test_what_does_not_fit_is_an_error(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        scored((truth, predicted))
