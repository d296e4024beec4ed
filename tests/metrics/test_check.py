"""What pycocotools is given, entry by entry."""

import re

import pytest
from metrics.made import ground_truth, result

from keras_fpn.metrics.check import checked_ground_truth, checked_results

BOX = (10, 20, 30, 40)
# The pixels of columns 1 to 2 and rows 0 to 2, as a polygon and as runs of columns of
# 100 pixels: 3 x 2 = 6 of them.
CORNER = [[1, 0, 3, 0, 3, 3, 1, 3]]
POINTS = [5, 50, 2, 8, 20, 1, 2, 90, 0]  # two visible of three


def truth_of(*changes):
    """Ground truth of one annotation for each dict of changes."""
    truth = ground_truth([(2, 17, BOX)] * len(changes))
    for annotation, change in zip(truth["annotations"], changes, strict=True):
        annotation.update(change)
    return truth


def test_boxes_are_numbered_from_one_with_the_ranks_of_their_ids():
    checked = checked_ground_truth(truth_of({"id": 90}, {"iscrowd": 1}), "bbox")
    # Category 17 is the second of 3, 17 and 90.
    first = {
        "id": 1,
        "image_id": 2,
        "category_id": 2,
        "iscrowd": 0,
        "bbox": [10.0, 20.0, 30.0, 40.0],
        "area": 1200.0,
    }
    assert checked.annotations == [first, {**first, "id": 2, "iscrowd": 1}]
    assert checked.images == {1: 1, 2: 2}
    assert checked.categories == {3: 1, 17: 2, 90: 3}
    assert checked.sizes == []


def test_areas_are_the_given_ones_or_those_of_the_boxes():
    truth = truth_of({"area": 7}, {"area": None}, {"area": 0})
    checked = checked_ground_truth(truth, "bbox")
    assert [entry["area"] for entry in checked.annotations] == [7.0, 1200.0, 0.0]


def test_what_is_no_crowd_need_not_say_so():
    truth = truth_of({})
    del truth["annotations"][0]["iscrowd"]
    [entry] = checked_ground_truth(truth, "bbox").annotations
    assert entry["iscrowd"] == 0


def test_masks_have_the_areas_of_their_pixels_and_the_sizes_of_their_images():
    truth = truth_of({"segmentation": CORNER, "area": None})
    truth["images"][0]["height"] = 300
    truth["images"] = truth["images"][::-1]  # in any order
    checked = checked_ground_truth(truth, "segm")
    assert checked.sizes == [(300, 200), (100, 200)]
    [entry] = checked.annotations
    assert entry["area"] == 6.0
    assert entry["segmentation"]["size"] == [100, 200]
    assert "bbox" not in entry
    found = {**result(1, 3, BOX, 0.5), "segmentation": CORNER}
    [entry] = checked_results([found], checked)
    assert entry["segmentation"]["size"] == [300, 200]
    assert (entry["area"], entry["score"]) == (6.0, 0.5)


def test_keypoints_of_objects_have_their_boxes_area_and_their_visible_points():
    truth = truth_of({"keypoints": POINTS, "area": None, "num_keypoints": 9})
    [entry] = checked_ground_truth(truth, "keypoints").annotations
    assert entry["num_keypoints"] == 2
    assert entry["area"] == 1200.0
    assert entry["bbox"] == [10.0, 20.0, 30.0, 40.0]
    assert entry["keypoints"] == [float(value) for value in POINTS]


def test_keypoints_that_were_found_have_the_area_around_them():
    truth = checked_ground_truth(truth_of({"keypoints": POINTS}), "keypoints")
    found = {**result(2, 90, BOX, 0.25), "keypoints": POINTS}
    [entry] = checked_results([found], truth)
    assert entry == {
        "id": 1,
        "image_id": 2,
        "category_id": 3,
        "iscrowd": 0,
        "score": 0.25,
        "keypoints": [float(value) for value in POINTS],
        "area": (8 - 2) * (90 - 20),
    }


def test_results_are_numbered_from_one_and_are_no_crowds():
    truth = checked_ground_truth(truth_of(), "bbox")
    found = [result(1, 3, BOX, 0.5), {**result(1, 3, (0, 0, 2, 3), 1), "iscrowd": 1}]
    entries = checked_results(found, truth)
    assert [entry["id"] for entry in entries] == [1, 2]
    assert [entry["iscrowd"] for entry in entries] == [0, 0]
    assert [entry["area"] for entry in entries] == [1200.0, 6.0]


def test_boxes_without_extent_are_boxes():
    empty = [{"bbox": [3, 4, 0, 5], "area": None}, {"bbox": [3, 4, 5, 0], "area": None}]
    checked = checked_ground_truth(truth_of(*empty), "bbox")
    assert [entry["area"] for entry in checked.annotations] == [0.0, 0.0]


@pytest.mark.parametrize("box", [[5, 5, -1, 2], [5, 5, 2, -1], [1, 2, 3, 4, 5], []])
def test_boxes_of_negative_extent_or_more_numbers_are_refused(box):
    message = re.escape(f"received bbox={box} in annotation id=1.")
    with pytest.raises(ValueError, match=message):
        checked_ground_truth(truth_of({"bbox": box}), "bbox")


def test_annotations_without_an_id_are_named_by_their_number_from_one():
    truth = truth_of({}, {"bbox": None})
    del truth["annotations"][1]["id"]
    with pytest.raises(ValueError, match=r"received annotation id=2 with"):
        checked_ground_truth(truth, "bbox")


def test_results_are_named_by_their_index_from_zero():
    truth = checked_ground_truth(truth_of(), "bbox")
    found = [result(1, 3, BOX, 0.5), result(1, 3, BOX, None)]
    with pytest.raises(ValueError, match=r"must have 'score'; received result 1 with"):
        checked_results(found, truth)


@pytest.mark.parametrize(
    ("images", "end"), [(20, r"19, 20\];"), (21, r"20, \.\.\. \(21")]
)
def test_twenty_ids_are_listed_and_more_are_cut(images, end):
    truth = ground_truth([(99, 3, BOX)], images)
    with pytest.raises(ValueError, match=rf"images, \[1, 2, .*{end}"):
        checked_ground_truth(truth, "bbox")


def test_ids_that_stand_once_are_not_called_repeated():
    truth = ground_truth([])
    truth["images"].append(dict(truth["images"][1]))
    with pytest.raises(ValueError, match=r"received more than once: \[2\]\."):
        checked_ground_truth(truth, "bbox")


def test_whole_numbers_are_no_truth_values_and_may_be_negative():
    truth = ground_truth([], images=1)
    truth["images"][0]["id"] = -5
    assert checked_ground_truth(truth, "bbox").images == {-5: 1}
    for wrong in (True, 1.0):
        truth["images"][0]["id"] = wrong
        with pytest.raises(ValueError, match=f"images must be integers.* {wrong}"):
            checked_ground_truth(truth, "bbox")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("bbox", {"iscrowd": "0"}, r"iscrowd='0' in annotation id=1"),
        ("bbox", {"iscrowd": None}, r"iscrowd=None in annotation id=1"),
        ("bbox", {"iscrowd": 2}, r"iscrowd=2 in annotation id=1"),
        ("bbox", {"iscrowd": [0]}, r"iscrowd=\[0\] in annotation id=1"),
        ("bbox", {"bbox": "1234"}, r"bbox=1234 in annotation id=1"),
        ("bbox", {"bbox": ["1", 2, 3, 4]}, r"bbox=\['1', 2, 3, 4\] in annotation"),
        ("bbox", {"bbox": [1, 2, 3, 10**400]}, r"bbox=\[1, 2, 3, 1000"),
        ("bbox", {"bbox": 7}, r"bbox=7 in annotation id=1"),
        ("bbox", {"area": 10**400}, r"area=10000.* in annotation id=1"),
        ("segm", {"segmentation": "corner"}, r"id=1: .*segment=corner"),
        ("segm", {"segmentation": [[0, 0, 1, 0, 1, 10**400]]}, r"id=1: Points of"),
        ("segm", {"segmentation": {"size": ["100", "200"]}}, r"id=1: The size of"),
        ("keypoints", {"keypoints": [1, 2, "2"]}, r"keypoints=\[1, 2, '2'\] in"),
    ],
)
def test_what_is_no_number_reaches_no_c_code(kind, change, message):
    with pytest.raises(ValueError, match=message):
        checked_ground_truth(truth_of(change), kind)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("annotations", ["box"], r"dicts as 'annotations'; received \['box'\]"),
        ("images", {"id": 1}, r"dicts as 'images'; received {'id': 1}"),
        ("categories", None, r"dicts as 'categories'; received None"),
        ("categories", [{"name": "a"}], r"ids of categories .*received None"),
        ("images", [{"id": 1, "height": "9", "width": 9}], r"height of images .*'9'"),
        ("images", [{"id": 1, "width": 9}], r"must have 'height'; .*image id=1"),
        ("images", [{"id": 1, "height": 0, "width": 9}], r"height .*received 0 in"),
    ],
)
def test_lists_hold_dicts_and_sides_are_whole_numbers(name, value, message):
    with pytest.raises(ValueError, match=message):
        checked_ground_truth({**ground_truth([]), name: value}, "segm")


def test_results_are_dicts():
    truth = checked_ground_truth(truth_of(), "bbox")
    with pytest.raises(ValueError, match=r"must be dicts; received box as result 0"):
        checked_results(["box"], truth)
