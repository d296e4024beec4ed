import pytest
from metrics.made import ground_truth, random_case, result

from keras_fpn.report import mistakes
from keras_fpn.report.mistakes import find_mistakes

DOG, CAT = 3, 17
BOX = (10, 10, 40, 40)  # x, y, width, height
XYXY = (10, 10, 50, 50)


def only(annotations, results):
    """The one false positive and the one miss there are, or None."""
    false_positives, misses = find_mistakes(ground_truth(annotations), results)
    assert len(false_positives) <= 1
    assert len(misses) <= 1
    return next(iter(false_positives), None), next(iter(misses), None)


def test_what_is_right_is_no_mistake():
    # IoU of 40 x 40 and 40 x 50, one in the other: 0.8.
    assert only([(1, DOG, BOX)], [result(1, DOG, (10, 10, 40, 50), 0.1)]) == (
        None,
        None,
    )


def test_a_box_where_nothing_is():
    wrong, missed = only([], [result(2, DOG, BOX, 0.7)])
    assert (wrong.image_id, wrong.category_id, wrong.box) == (2, DOG, XYXY)
    assert (wrong.score, wrong.reason) == (0.7, "fits no object")
    assert wrong.other_box is wrong.other_category_id is wrong.other_score is None
    assert missed is None


def test_an_object_that_nothing_found():
    wrong, missed = only([(2, CAT, BOX)], [])
    assert wrong is None
    assert (missed.image_id, missed.category_id, missed.box) == (2, CAT, XYXY)
    assert (missed.score, missed.reason) == (None, "not found")


def test_an_object_found_as_another_class_is_both():
    wrong, missed = only([(1, CAT, BOX)], [result(1, DOG, BOX, 0.7)])
    assert (wrong.reason, wrong.category_id, wrong.other_category_id) == (
        "wrong class",
        DOG,
        CAT,
    )
    assert wrong.other_score is None
    assert (missed.reason, missed.category_id, missed.other_category_id) == (
        "wrong class",
        CAT,
        DOG,
    )
    assert (missed.other_box, missed.other_score) == (XYXY, 0.7)


def test_the_second_box_of_an_object_is_the_worse_one():
    found = [result(1, DOG, BOX, 0.3), result(1, DOG, (12, 10, 40, 40), 0.9)]
    wrong, missed = only([(1, DOG, BOX)], found)
    assert (wrong.reason, wrong.score, wrong.other_box) == ("found twice", 0.3, XYXY)
    assert missed is None


def test_a_box_beside_its_object():
    # Half of 40 x 40 is shared: IoU 800 / 2400 = 1/3.
    wrong, missed = only([(1, DOG, BOX)], [result(1, DOG, (30, 10, 40, 40), 0.7)])
    assert wrong.reason == missed.reason == "badly placed"
    assert wrong.other_box == XYXY
    assert missed.other_box == (30, 10, 70, 50)


def test_a_box_that_barely_touches_is_another_matter():
    # 3 x 40 pixels are shared: IoU 120 / 3080 < 0.1.
    wrong, missed = only([(1, DOG, BOX)], [result(1, DOG, (47, 10, 40, 40), 0.7)])
    assert (wrong.reason, missed.reason) == ("fits no object", "not found")


def test_one_box_for_two_objects():
    objects = [(1, DOG, BOX), (1, DOG, (14, 10, 40, 40))]
    wrong, missed = only(objects, [result(1, DOG, (11, 10, 40, 40), 0.7)])
    assert wrong is None
    assert missed.reason == "one box for two objects"
    assert missed.box == (14, 10, 54, 50)
    assert missed.other_box == (11, 10, 51, 50)
    assert missed.matched_box == XYXY


def test_the_object_that_has_the_box_need_not_be_the_nearest():
    # IoUs with the second detection: 0.9 and more; the first one takes the nearest.
    objects = [(1, DOG, BOX), (1, DOG, (12, 10, 40, 40)), (1, DOG, (13, 10, 40, 40))]
    found = [result(1, DOG, BOX, 0.9), result(1, DOG, (11, 10, 40, 40), 0.8)]
    _, missed = only(objects, found)
    assert missed.box == (13, 10, 53, 50)
    assert missed.other_box == (11, 10, 51, 50)
    assert missed.matched_box == (12, 10, 52, 50)


def test_only_where_a_box_is_for_two_objects_the_other_one_is_named():
    # One row apart from a match: IoU 19 / 61 with the detection, which has its object.
    objects = [(1, DOG, BOX), (1, DOG, (10, 31, 40, 40))]
    _, missed = only(objects, [result(1, DOG, BOX, 0.7)])
    assert (missed.reason, missed.matched_box) == ("badly placed", None)
    wrong, _ = only(
        [(1, DOG, BOX)], [result(1, DOG, BOX, 0.7), result(1, DOG, BOX, 0.6)]
    )
    assert (wrong.reason, wrong.matched_box) == ("found twice", None)


def test_crowds_are_neither_missed_nor_what_was_there():
    truth = ground_truth([(1, DOG, BOX)])
    truth["annotations"][0]["iscrowd"] = 1
    assert find_mistakes(truth, [result(1, DOG, BOX, 0.7)]) == ([], [])
    [wrong], misses = find_mistakes(truth, [result(1, CAT, BOX, 0.7)])
    assert wrong.reason == "fits no object"
    assert misses == []


def test_the_worst_come_first_and_few_from_one_photo():
    objects = [(1, DOG, (0, 0, 10 + i, 10)) for i in range(4)] + [
        (2, DOG, (0, 0, 5, 5))
    ]
    found = [result(1, CAT, (90, 50, 9, 9), 0.1 * i) for i in range(1, 5)]
    found.append(result(2, CAT, (90, 50, 9, 9), 0.05))
    wrong, missed = find_mistakes(ground_truth(objects), found)
    assert [mistake.score for mistake in wrong] == [0.4, 0.1 * 3, 0.05]
    assert [mistake.box[2] for mistake in missed] == [13, 12, 5]
    wrong, missed = find_mistakes(ground_truth(objects), found, count=2)
    assert len(wrong) == len(missed) == 2


def test_the_largest_objects_come_first_whatever_their_shape():
    boxes = [(0, 0, 9, 9), (0, 0, 30, 4), (0, 0, 5, 20), (0, 0, 90, 1)]
    objects = [(image_id, DOG, box) for image_id, box in enumerate(boxes, 1)]
    _, missed = find_mistakes(ground_truth(objects, images=4), [])
    # Areas of 120, 100, 90 and 81 pixels.
    assert [mistake.image_id for mistake in missed] == [2, 3, 4, 1]


def test_objects_of_all_scales_are_each_one_mistake():
    # COCO's small, medium and large; found as another class.
    sides = (20, 60, 100)
    objects = [
        (number, DOG, (0, 0, side, side)) for number, side in enumerate(sides, 1)
    ]
    found = [result(*wrong, 0.5) for wrong in objects]
    for one in found:
        one["category_id"] = CAT
    wrong, missed = find_mistakes(ground_truth(objects, images=3), found)
    assert sorted(mistake.box[2] for mistake in wrong) == [20, 60, 100]
    assert [mistake.box[2] for mistake in missed] == [100, 60, 20]


def test_24_mistakes_of_a_kind_are_enough_two_of_a_photo():
    objects = [(image_id, DOG, BOX) for image_id in range(1, 15) for _ in range(3)]
    wrong, missed = find_mistakes(ground_truth(objects, images=14), [])
    assert (len(wrong), len(missed)) == (0, 24)
    few = [one for one in objects if one[0] < 9]
    _, missed = find_mistakes(ground_truth(few, images=14), [])
    assert len(missed) == 2 * 8


@pytest.mark.parametrize(
    ("height", "category", "reason"),
    [
        (40, DOG, "found twice"),
        (20, DOG, "found twice"),  # IoU 20 of 40 rows: at 0.5
        (19, DOG, "badly placed"),
        (4, DOG, "badly placed"),  # at 0.1
        (3, DOG, "fits no object"),
        (20, CAT, "wrong class"),
        (19, CAT, "fits no object"),
    ],
)
def test_reasons_change_at_overlaps_of_a_half_and_a_tenth(height, category, reason):
    found = [result(1, DOG, BOX, 0.9), result(1, category, (10, 10, 40, height), 0.5)]
    wrong, missed = only([(1, DOG, BOX)], found)
    assert (wrong.score, wrong.reason) == (0.5, reason)
    assert missed is None


def test_of_several_objects_the_one_that_overlaps_most_is_named():
    # The nearest is of another class: what is badly placed, is so for its own.
    near, nearer = (10, 40, 40, 40), (10, 35, 40, 40)  # IoU 10 and 15 of 70 and 65 rows
    objects = [(1, DOG, near), (1, DOG, nearer), (1, CAT, (10, 31, 40, 40))]
    false_positives, _ = find_mistakes(ground_truth(objects), [result(1, DOG, BOX, 1)])
    [wrong] = false_positives
    assert (wrong.reason, wrong.other_category_id) == ("badly placed", DOG)
    assert wrong.other_box == (10, 35, 50, 75)


def test_what_does_not_say_so_is_no_crowd():
    truth = ground_truth([(1, CAT, BOX)])
    del truth["annotations"][0]["iscrowd"]
    [wrong], [missed] = find_mistakes(truth, [result(1, DOG, BOX, 0.7)])
    assert wrong.reason == missed.reason == "wrong class"


def iou(box, other):
    """IoU of two boxes x, y, width, height."""
    sides = [
        max(
            0, min(box[i] + box[i + 2], other[i] + other[i + 2]) - max(box[i], other[i])
        )
        for i in (0, 1)
    ]
    shared = sides[0] * sides[1]
    return shared / (box[2] * box[3] + other[2] * other[3] - shared)


def matched_by_loops(truth, results):
    """Boxes of wrong results and of missed objects, two sets, by COCO's rules."""
    wrong, missed = set(), {id(a): a for a in truth["annotations"] if not a["iscrowd"]}
    for found in sorted(results, key=lambda one: -one["score"]):
        own = [
            a
            for a in truth["annotations"]
            if (a["image_id"], a["category_id"])
            == (found["image_id"], found["category_id"])
        ]
        free = [a for a in own if id(a) in missed]
        best = max(free, key=lambda a: iou(found["bbox"], a["bbox"]), default=None)
        if best is not None and iou(found["bbox"], best["bbox"]) >= 0.5:
            del missed[id(best)]
            continue
        x, y, width, height = found["bbox"]
        for crowd in (a["bbox"] for a in own if a["iscrowd"]):
            shared = iou(found["bbox"], crowd)
            # Of the detection's own area, for a crowd has no size of its own.
            union = width * height + crowd[2] * crowd[3]
            if shared * union / (1 + shared) / (width * height) >= 0.5:
                break
        else:
            wrong.add((found["image_id"], x, y))
    return wrong, {(a["image_id"], *a["bbox"][:2]) for a in missed.values()}


@pytest.mark.parametrize("seed", range(5))
def test_mistakes_are_those_that_plain_loops_find(seed, monkeypatch):
    monkeypatch.setattr(mistakes, "PER_PHOTO", 10**6)
    truth, results = random_case(seed)
    found = find_mistakes(truth, results, count=10**6)
    expected = matched_by_loops(truth, results)
    for ours, theirs in zip(found, expected, strict=True):
        assert {(one.image_id, *one.box[:2]) for one in ours} == theirs
        assert len(ours) == len(theirs) > 0
