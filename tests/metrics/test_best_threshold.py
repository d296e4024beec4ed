import numpy as np
import pytest
from metrics.made import CATEGORY_IDS, ground_truth, random_case, result

from keras_fpn.metrics import operating_point
from keras_fpn.metrics.best_threshold import THRESHOLDS, matches_of

DOG, CAT, COW = CATEGORY_IDS  # labels 0, 1, 2
BOX, BESIDE, FAR = (10, 10, 40, 40), (12, 10, 40, 40), (120, 10, 40, 40)


def test_the_best_threshold_is_between_right_and_wrong_scores():
    truth = ground_truth([(1, DOG, BOX), (2, CAT, BOX)])
    found = [result(1, DOG, BOX, 0.9), result(2, CAT, BOX, 0.7)]
    found += [result(1, CAT, FAR, 0.3), result(2, COW, FAR, 0.2)]
    point = operating_point(truth, found)
    # Every threshold from 0.30 to 0.69 keeps the two right ones alone: 40 of them.
    assert point.threshold == 0.5
    assert point.values == {"F1": 1.0, "precision": 1.0, "recall": 1.0}
    assert point.found.tolist() == [1, 1, 0]
    # Above 0.00: 2 of 4 are right. Above 0.25: 2 of 3. Above 0.7: 1 of 1, of 2 objects.
    assert point.precisions[[0, 25, 70]] == pytest.approx([1 / 2, 2 / 3, 1])
    assert point.recalls[[0, 25, 70]] == pytest.approx([1, 1, 1 / 2])
    assert point.f1s[70] == pytest.approx(2 / 3)
    assert np.isnan(point.precisions[90:]).all()
    assert point.f1s[90:].tolist() == [0] * 10
    own = {"class_thresholds": [0.45, 0.5, None]}  # a wrong cat has 0.3
    assert point.to_dict() == {"threshold": 0.5, **point.values} | own


def test_each_class_has_its_own_best_threshold():
    truth = ground_truth([(1, DOG, BOX), (2, DOG, BOX), (1, CAT, FAR), (2, CAT, FAR)])
    found = [result(1, DOG, BOX, 0.9), result(2, DOG, BOX, 0.8)]
    found += [result(1, CAT, FAR, 0.3), result(1, CAT, BOX, 0.1)]
    found += [result(2, COW, FAR, 0.6)]
    point = operating_point(truth, found)
    # Dogs: from 0.00 to 0.79 both are found, 80 thresholds. Cats: from 0.10 to 0.29
    # one of two is found, and nothing wrong, 20 thresholds. No cow is right.
    np.testing.assert_array_equal(point.class_thresholds, [0.4, 0.2, np.nan])
    np.testing.assert_array_equal(point.class_recalls, [1, 0.5, np.nan])
    # Above 0.60 to 0.79: 2 of 2 right, of 4 objects, F1 2/3. Above 0.30: 2 of 3. Above
    # 0.10 to 0.29: 3 of 4 are right, of 4 objects, F1 3/4.
    assert point.threshold == 0.2


def test_a_score_at_the_threshold_does_not_count():
    truth = ground_truth([(1, DOG, BOX)])
    point = operating_point(truth, [result(1, DOG, BOX, 0.25)])
    assert point.recalls[:25].tolist() == [1] * 25
    assert point.recalls[25:].tolist() == [0] * 75
    assert point.threshold < 0.25


def test_confusion_names_what_was_taken_for_what():
    truth = ground_truth(
        [(1, DOG, BOX), (1, CAT, FAR), (2, CAT, BOX), (2, COW, FAR), (2, DOG, BESIDE)]
    )
    found = [
        result(1, DOG, BOX, 0.9),  # right
        result(1, COW, FAR, 0.9),  # a cat taken for a cow
        result(2, CAT, BOX, 0.9),  # right
        result(2, DOG, (60, 60, 20, 20), 0.9),  # where nothing is
        result(2, COW, FAR, 0.9),  # right
        result(2, DOG, BESIDE, 0.9),  # right, though it overlaps the cat, too
    ]
    point = operating_point(truth, found)
    assert point.confusion.tolist() == [
        [2, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 0],
        [1, 0, 0, 0],
    ]


def test_a_better_scored_wrong_class_does_not_take_a_right_ones_object():
    truth = ground_truth([(1, DOG, BOX)])
    found = [result(1, CAT, BOX, 0.9), result(1, DOG, BESIDE, 0.8)]
    point = operating_point(truth, found)
    assert point.confusion[0].tolist() == [1, 0, 0, 0]
    assert point.confusion[3].tolist() == [0, 1, 0, 0]


def test_a_missed_object_is_in_the_last_column():
    truth = ground_truth([(1, DOG, BOX), (2, CAT, BOX)])
    point = operating_point(truth, [result(1, DOG, BOX, 0.9)])
    assert point.confusion[1].tolist() == [0, 0, 0, 1]
    assert point.values["recall"] == 0.5


@pytest.mark.parametrize("seed", range(4))
def test_a_classs_own_threshold_is_that_of_its_objects_and_detections_alone(seed):
    truth, results = random_case(seed)
    point = operating_point(truth, results)
    for label, number in enumerate(CATEGORY_IDS):
        objects = [
            {**one, "id": place}
            for place, one in enumerate(
                (o for o in truth["annotations"] if o["category_id"] == number), 1
            )
        ]
        kept = [one for one in results if one["category_id"] == number]
        alone = operating_point({**truth, "annotations": objects}, kept)
        assert point.class_thresholds[label] == alone.threshold
        assert point.class_recalls[label] == alone.values["recall"]


@pytest.mark.parametrize("seed", range(4))
def test_each_threshold_counts_as_if_others_had_not_been_detected(seed):
    truth, results = random_case(seed)
    point = operating_point(truth, results)
    countable = sum(not one["iscrowd"] for one in truth["annotations"])
    for place in (0, 20, 45, 70):
        kept = [one for one in results if one["score"] > THRESHOLDS[place]]
        matches = matches_of(truth, kept)
        counts = [~one["dtIgnore"][0].astype(bool) for one in matches]
        hits = sum(
            (one["dtMatches"][0][each] > 0).sum()
            for one, each in zip(matches, counts, strict=True)
        )
        assert point.recalls[place] == hits / countable
        assert point.precisions[place] == hits / sum(each.sum() for each in counts)
    at_best = point.values
    right = np.trace(point.confusion[:-1, :-1])
    assert right == round(at_best["recall"] * countable)
    assert point.confusion[:-1].sum() == countable
    detections = point.confusion[:, :-1].sum()
    assert right / detections == pytest.approx(at_best["precision"])
    assert at_best["F1"] == max(point.f1s)


@pytest.mark.parametrize(
    "found", [[], [result(1, CAT, BOX, 0.9)], [result(1, DOG, FAR, 0.9)]]
)
def test_without_a_right_detection_there_is_nothing_to_recommend(found):
    assert operating_point(ground_truth([(1, DOG, BOX)]), found) is None
    assert operating_point(ground_truth([]), found) is None


def test_regions_of_many_objects_neither_count_nor_are_missed():
    truth = ground_truth([(1, DOG, BOX), (1, DOG, FAR)])
    truth["annotations"][1]["iscrowd"] = 1
    found = [result(1, DOG, BOX, 0.9), result(1, DOG, FAR, 0.9)]
    point = operating_point(truth, found)
    assert point.confusion.sum() == point.confusion[0, 0] == 1
    assert point.values["precision"] == 1
    assert point.found.tolist() == [2, 0, 0]  # detections, whatever they are
