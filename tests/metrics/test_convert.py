import json
import pathlib

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from keras_fpn.data import (
    Dataset,
    Objects,
    Photo,
    coco_results_file,
    write_coco_results,
)
from keras_fpn.metrics import (
    coco_ground_truth,
    detections_to_coco,
    evaluate_boxes,
)

BOXES = np.array([[1.5, 2, 11.5, 22], [0.1, 0, 100, 100]], np.float32)


def dataset_of(labels, segments=None):
    objects = Objects(
        BOXES[: len(labels)], labels, [False, True][: len(labels)], segments
    )
    photo = Photo(7, pathlib.Path("folder") / "a.png", 100, 200, objects)
    empty = Photo(9, pathlib.Path("b.png"), 50, 60, Objects([], [], []))
    return Dataset((photo, empty), ("cat", "dog"), (17, 3), name="small")


def test_ground_truth_holds_every_photo_and_object():
    truth = coco_ground_truth(dataset_of([0, 1]))
    assert truth["images"] == [
        {"id": 7, "file_name": "a.png", "height": 100, "width": 200},
        {"id": 9, "file_name": "b.png", "height": 50, "width": 60},
    ]
    assert truth["categories"] == [{"id": 17, "name": "cat"}, {"id": 3, "name": "dog"}]
    first, second = truth["annotations"]
    assert first == {
        "id": 1,
        "image_id": 7,
        "category_id": 17,
        "bbox": [1.5, 2, 10, 20],
        "area": 200.0,
        "iscrowd": 0,
    }
    assert (second["category_id"], second["iscrowd"]) == (3, 1)


def test_an_objects_area_is_that_of_its_polygon():
    triangle = [[0, 0, 10, 0, 0, 20]]
    truth = coco_ground_truth(dataset_of([0, 1], (triangle, None)))
    assert truth["annotations"][0]["area"] == 100.0  # 10 * 20 / 2
    assert truth["annotations"][0]["segmentation"] == triangle
    assert "segmentation" not in truth["annotations"][1]


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_without_a_class_are_refused(label):
    message = rf"must be 0\.\.1, .* received labels \[{label}\] for image_id=7\."
    with pytest.raises(ValueError, match=message):
        coco_ground_truth(dataset_of([0, label]))
    with pytest.raises(ValueError, match=message):
        detections_to_coco(
            {"boxes": BOXES, "labels": [0, label], "scores": [1, 1]}, 7, (17, 3)
        )


def test_detections_become_results_that_json_can_hold():
    found = {
        "boxes": BOXES,
        "labels": np.array([1, 0], np.int32),
        "scores": np.array([0.1, 0.7], np.float32),
    }
    results = detections_to_coco(found, np.int64(7), (17, 3))
    assert json.loads(json.dumps(results)) == results
    assert results == [
        {"image_id": 7, "category_id": 3, "bbox": [1.5, 2, 10, 20], "score": 0.1},
        {"image_id": 7, "category_id": 17, "bbox": [0.1, 0, 99.9, 100], "score": 0.7},
    ]


def test_sides_have_no_digits_that_only_subtracting_makes():
    # 0.3 - 0.1 is 0.19999999999999998; what is beyond 9 digits is no measurement.
    boxes = np.array([[0.1, 0.1, 0.3, 0.1000123456789]], np.float32)
    [one] = detections_to_coco({"boxes": boxes, "labels": [0], "scores": [1]}, 7, (3,))
    assert one["bbox"][:3] == [0.1, 0.1, 0.2]
    assert (
        one["bbox"][3] == round(one["bbox"][3], 9) == pytest.approx(1.23e-5, abs=1e-7)
    )


def test_detections_of_a_label_without_category_are_left_out():
    found = {"boxes": BOXES, "labels": [1, 0], "scores": [0.1, 0.7]}
    [result] = detections_to_coco(found, 7, (None, 3))
    assert result["category_id"] == 3


def test_no_detections_are_no_results():
    found = {"boxes": np.zeros((0, 4)), "labels": [], "scores": []}
    assert detections_to_coco(found, 7, (17, 3)) == []


def test_masks_and_keypoints_go_along():
    masks = np.zeros((2, 100, 200), bool)
    masks[0, 5:9, 3:4] = True
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    found = {"boxes": BOXES, "labels": [1, 0], "scores": [0.1, 0.7]}
    results = detections_to_coco(
        {**found, "masks": masks, "keypoints": points}, 7, (1, 2)
    )
    json.dumps(results)
    for mask, result in zip(masks, results, strict=True):
        np.testing.assert_array_equal(coco_mask.decode(result["segmentation"]), mask)
    assert results[1]["keypoints"] == [6, 7, 8, 9, 10, 11]
    runs = [result["segmentation"] for result in results]
    again = detections_to_coco({**found, "masks": runs}, 7, (1, 2))
    assert [result["segmentation"] for result in again] == runs


def test_as_many_boxes_as_labels_and_scores():
    found = {"boxes": BOXES, "labels": [0], "scores": [0.1, 0.2]}
    with pytest.raises(ValueError, match=r"2 boxes, 1 labels, 2 scores for image_id=7"):
        detections_to_coco(found, 7, (17, 3))


def test_finding_exactly_what_is_there_is_perfect():
    dataset = dataset_of([0, 1])
    found = {"boxes": BOXES[:1], "labels": [0], "scores": [0.5]}
    results = detections_to_coco(found, 7, dataset.category_ids)
    metrics = evaluate_boxes(coco_ground_truth(dataset), results)
    assert metrics.values["AP"] == pytest.approx(1)


def test_written_results_are_what_coco_loads(tmp_path):
    result = {"image_id": 3, "category_id": 17, "bbox": [1, 2, 3, 4], "score": 0.5}
    path = tmp_path / "new" / "r.json"
    write_coco_results([result, result | {"file_name": "é.jpg"}], path)
    text = path.read_text("utf-8")
    assert len(text.splitlines()) == 4  # one result per line
    assert "é" in text
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 3}],
        "categories": [{"id": 17}],
        "annotations": [],
    }
    coco.createIndex()
    loaded = coco.loadRes(str(path))
    assert [a["area"] for a in loaded.loadAnns(loaded.getAnnIds())] == [12, 12]


def test_results_may_come_in_pieces(tmp_path):
    results = [{"image_id": number, "score": 0.5} for number in range(5)]
    write_coco_results(results, tmp_path / "whole.json")
    path = tmp_path / "pieces.json"
    with coco_results_file(path) as write:
        for piece in (results[:1], [], results[1:4], results[4:]):
            write(piece)
        assert not path.exists()
    assert path.read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert json.loads(path.read_text()) == results


def test_an_error_between_pieces_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")

    def fail():
        with coco_results_file(path) as write:
            write([{"image_id": 1}])
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_results_are_an_empty_list(tmp_path):
    write_coco_results([], tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == []
