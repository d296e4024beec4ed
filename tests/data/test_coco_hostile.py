"""COCO files with what no tool means: counted or refused, never taken for something."""

import re
import time

import numpy as np
import pytest
from data.tiny_sets import read, write_coco_set

from keras_fpn.data import read_coco
from keras_fpn.data.coco import flip_pairs

INSIDE = {"bbox": [10, 20, 30, 40]}


def image(number, name="a.jpg"):
    return {"id": number, "file_name": name, "width": 100, "height": 80}


@pytest.mark.parametrize(
    ("stated", "crowd"),
    [("0", False), ("1", True), (0.0, False), (True, True), (None, False), (1, True)],
)
def test_a_crowd_is_what_is_stated_as_1(tmp_path, stated, crowd):
    path = write_coco_set(tmp_path, [{**INSIDE, "iscrowd": stated}])
    dataset, report = read(read_coco, path)
    assert dataset.photos[0].objects.is_crowd.tolist() == [crowd]
    assert report.counts == {}


@pytest.mark.parametrize(
    ("change", "example"),
    [
        ({"iscrowd": "yes"}, "iscrowd yes"),
        ({"iscrowd": 2}, "iscrowd 2"),
        ({"iscrowd": [1]}, r"iscrowd \[1\]"),
        ({"bbox": "1234"}, "bbox 1234"),
        ({"bbox": {"1": 2, "3": 4, "5": 6, "7": 8}}, "bbox {'1'"),
        ({"bbox": [[1], 2, 3, 4]}, r"bbox \[\[1\]"),
    ],
)
def test_what_is_unclear_is_no_object(tmp_path, change, example):
    path = write_coco_set(tmp_path, [INSIDE, {**INSIDE, **change}])
    dataset, report = read(read_coco, path)
    assert len(dataset.photos[0].objects) == 1
    [found] = report.examples["unreadable_object"]
    assert re.search(example, found)


@pytest.mark.parametrize("points", [[1e308, 5, 2], ["1", 5, 2], [[1, 5, 2]] * 2, "152"])
def test_keypoints_that_are_no_places_are_dropped(tmp_path, points):
    path = write_coco_set(
        tmp_path,
        [{**INSIDE, "keypoints": points}],
        categories=[{"id": 3, "name": "cat", "keypoints": ["nose"]}],
    )
    dataset, report = read(read_coco, path)
    np.testing.assert_array_equal(dataset.photos[0].objects.keypoints, [[[0, 0, 0]]])
    assert report.counts == {"bad_keypoints": 1}


def test_long_lists_are_read_in_a_time_linear_in_them(tmp_path):
    # Quadratic loops took minutes for these.
    many = [{**INSIDE, "id": 1, "area": float(i // 2)} for i in range(30_000)]
    path = write_coco_set(tmp_path, many)
    start = time.process_time()
    _, report = read(read_coco, path)
    names = [f"{side} {i}" for i in range(10_000) for side in ("left", "right")]
    pairs = flip_pairs(names)
    assert time.process_time() - start < 20
    assert report.counts["repeated_object"] == 15_000
    assert report.counts["shared_id"] == 14_999
    assert pairs[:2] == ((0, 1), (2, 3))
    assert len(pairs) == 10_000


def test_a_photo_whose_name_is_too_long_is_missing(tmp_path):
    images = [image(7), image(8, "a" * 300 + ".jpg"), image(9, "a\0.jpg")]
    path = write_coco_set(tmp_path, [INSIDE], images=images)
    dataset, report = read(read_coco, path)
    assert [photo.image_id for photo in dataset.photos] == [7]
    assert sum(report.counts.values()) == 2
