import json

import numpy as np
import pytest
from data.tiny_sets import read, write_coco_set

from keras_fpn.data import read_coco, write_coco
from keras_fpn.data.coco_writer import coco_dict

SQUARE = [10, 20, 40, 20, 40, 60, 10, 60]


def test_what_is_written_is_read_back(tmp_path):
    categories = [{"id": 3, "name": "cat", "keypoints": ["nose"]}]
    runs = {"size": [80, 100], "counts": [80, 160, 7760]}
    path = write_coco_set(
        tmp_path,
        [
            {"bbox": [10.31, 20.07, 30.5, 40.01], "segmentation": [SQUARE]},
            {"bbox": [1, 0, 2, 80], "iscrowd": 1, "segmentation": runs},
            {"bbox": [1, 5, 2, 8], "keypoints": [2.25, 6, 2]},
        ],
        categories=categories,
    )
    dataset, _ = read(read_coco, path)
    assert write_coco(dataset, tmp_path / "deep/er/again.json") == {}
    again, report = read(read_coco, tmp_path / "deep/er/again.json")
    assert report.counts == {}
    for photo, copy in zip(dataset.photos, again.photos, strict=True):
        assert copy.path.samefile(photo.path)
        assert (copy.image_id, copy.width) == (photo.image_id, photo.width)
        assert copy.objects.segments == photo.objects.segments
        for name in ("boxes", "labels", "is_crowd", "keypoints"):
            np.testing.assert_array_equal(
                getattr(copy.objects, name), getattr(photo.objects, name)
            )
    assert again.category_ids == dataset.category_ids
    assert again.keypoint_names == dataset.keypoint_names


def test_the_written_form_is_cocos(tmp_path):
    path = write_coco_set(tmp_path, [{"bbox": [10.31, 20, 30, 40.5]}])
    dataset, _ = read(read_coco, path)
    contents = coco_dict(dataset)
    assert contents["annotations"] == [
        {
            "id": 1,
            "image_id": 7,
            "category_id": 3,
            "bbox": [10.31, 20.0, 30.0, 40.5],  # as short as it was
            "area": pytest.approx(30 * 40.5, abs=1e-3),  # of float32 corners
            "iscrowd": 0,
        }
    ]
    assert contents["images"][0] == {
        "id": 7,
        "file_name": "a.jpg",
        "width": 100,
        "height": 80,
    }
    assert contents["categories"] == [
        {"id": 3, "name": "cat"},
        {"id": 5, "name": "dog"},
    ]
    json.dumps(contents)
