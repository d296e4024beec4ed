"""Semantic and panoptic numbers of detectors, in evaluations and while training."""

import dataclasses
import json

import numpy as np
import pytest
from data.tiny_panoptic import CAT, DOGS, SIZE, SKY, ids_of_a, write_panoptic_set
from PIL import Image

from keras_fpn.data import (
    Loader,
    read_coco_panoptic,
    read_semantic_images,
)
from keras_fpn.metrics import CocoEvaluation, PhotoError, callback, evaluate_photos
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report import evaluation_text, write_evaluation
from keras_fpn.report.extra import missing_packages

SMALL = Preprocessing(min_size=32, max_size=64, size_divisor=16)
NO_OBJECTS = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int), "scores": []}


class Panoptic:
    """Sees photo a as it is, but for its cat; in photo b, the same things."""

    # In another order than the data set, with classes that it lacks.
    class_names = ("bird", "dog", "cat")
    stuff_names = ("sky", "water", "grass")
    targets = ("boxes", "labels", "semantic_map")
    class_agnostic, keypoint_set = False, None

    def maps(self):
        ids = ids_of_a()
        numbers = np.select([ids == CAT, ids == DOGS, ids == SKY], [1, 2, 3], 0)
        numbers[0] = np.where(numbers[0] == 1, 4, numbers[0])
        semantic = np.select([ids == SKY, ids == 0], [1, 2], 0).astype(np.uint8)
        segments = [
            {"id": 1, "label": 2, "isthing": True, "score": 0.9, "area": 20},
            {"id": 2, "label": 1, "isthing": True, "score": 0.8, "area": 15},
            {"id": 3, "label": 0, "isthing": False, "score": None, "area": 15},
            {"id": 4, "label": 0, "isthing": True, "score": 0.7, "area": 4},
        ]
        return {"semantic_map": semantic, "panoptic_map": numbers, "segments": segments}

    def detect(self, images):
        return [{**NO_OBJECTS, **self.maps()} for _ in images]


class Semantic:
    """Says road for every pixel; it finds no objects."""

    class_names, targets = ("sky", "road"), ("semantic_map",)
    class_agnostic = False

    def detect(self, images):
        return [{"semantic_map": np.ones(SIZE, np.uint8)} for _ in images]


@pytest.fixture
def dataset(tmp_path):
    return read_coco_panoptic(write_panoptic_set(tmp_path))


@pytest.fixture
def streets(dataset, tmp_path):
    """Two photos; of the first, three of the ten columns are road."""
    for name, columns in (("a", 3), ("b", 0)):
        write_semantic(tmp_path / f"semantic/{name}.png", columns)
        path = tmp_path / "images" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.jpg").rename(path)
    folders = tmp_path / "images", tmp_path / "semantic"
    return read_semantic_images(*folders, ["road", "sky"])


def write_semantic(path, columns):
    labels = np.ones(SIZE, np.uint8)
    labels[:, :columns] = 0
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(labels).save(path)


def expect_panoptic(semantic, panoptic):
    """Checks the numbers of `Panoptic` on the two photos."""
    # Cat: 20 of 24 pixels in photo a; in photo b, where all is grass, it is wrong, and
    # so are dog and sky. Of dogs there is only a region of many, which excuses the one
    # in it. The bird is of no class of the data set.
    cat, dog, grass, sky = panoptic.per_class
    assert [one.name for one in panoptic.per_class] == ["cat", "dog", "grass", "sky"]
    assert (cat.matched, cat.wrong, cat.missed) == (1, 1, 0)
    assert cat.values["PQ"] == pytest.approx((20 / 24) / 1.5)
    assert (dog.matched, dog.wrong, dog.missed) == (0, 1, 0)
    assert (grass.matched, grass.wrong, grass.missed) == (0, 0, 1)
    assert (sky.matched, sky.wrong, sky.missed) == (1, 1, 0)
    assert panoptic.values["PQ_things"] == pytest.approx((20 / 24) / 1.5 / 2)
    assert panoptic.values["PQ_stuff"] == pytest.approx(1 / 1.5 / 2)
    # Photo a is right; in b 39 pixels of grass are things, 15 sky, 6 water.
    np.testing.assert_array_equal(
        semantic.confusion, [[39, 0, 0, 0], [39, 0, 15, 6], [0, 0, 15, 0]]
    )
    assert semantic.values["mIoU"] == pytest.approx((39 / 78 + 0 + 15 / 30) / 3)


def test_classes_are_matched_by_name(dataset):
    found = evaluate_photos(Panoptic(), dataset)
    expect_panoptic(found.semantic, found.panoptic)
    assert found.metrics.values["AP"] == 0
    assert found.masks is None


def test_a_model_without_objects_has_no_ap(streets):
    found = evaluate_photos(Semantic(), streets, "roads")
    assert (found.metrics, found.masks, found.panoptic) == (None, None, None)
    assert (found.results, found.notes) == ([], [])
    # 18 of 120 pixels are road, and all are said to be.
    assert found.semantic.values["mIoU"] == pytest.approx(18 / 120 / 2)
    assert found.semantic.values["pixel_accuracy"] == pytest.approx(18 / 120)


def test_a_data_set_without_labels_gets_a_note(dataset):
    bare = dataclasses.replace(
        dataset,
        photos=tuple(
            dataclasses.replace(photo, pixel_labels=None) for photo in dataset.photos
        ),
    )
    found = evaluate_photos(Panoptic(), bare)
    assert (found.semantic, found.panoptic) == (None, None)
    assert found.notes[0] == (
        "The data set has no pixel labels: only boxes were compared."
    )
    with pytest.raises(ValueError, match=r"Semantic finds no boxes.*'set' without"):
        evaluate_photos(Semantic(), bare)


def test_without_a_shared_class_there_is_nothing_to_compare(streets):
    model = Semantic()
    model.class_names = ("a", "b")
    with pytest.raises(ValueError, match=r"received \['a', 'b'\] and \['road', 'sky'"):
        evaluate_photos(model, streets)


def test_maps_of_another_size_are_an_error_with_the_photo(streets):
    model = Semantic()
    model.detect = lambda images: [{"semantic_map": np.ones((3, 3), np.uint8)}]
    with pytest.raises(PhotoError, match=r"a\.jpg: .*\(6, 10\) and \(3, 3\)"):
        evaluate_photos(model, streets)


def test_the_numbers_are_told_and_written(dataset, tmp_path):
    found = evaluate_photos(Panoptic(), dataset)
    lines = evaluation_text(found).splitlines()
    words = [line.split() for line in lines]
    assert ["all", "stuff", "33.3", "50.0", "33.3", "1", "1", "1"] in words
    assert ["sky", "50.0", "100.0"] in words
    names = write_evaluation(found, tmp_path / "out", not missing_packages())
    numbers = json.loads((tmp_path / "out/metrics.json").read_text())
    assert numbers["panoptic"]["values"]["PQ"] == found.panoptic.values["PQ"]
    assert numbers["semantic"]["per_class"][2]["values"]["IoU"] == pytest.approx(0.5)
    if "index.html" in names:
        page = (tmp_path / "out/index.html").read_text()
        assert "<td>all things</td><td>27.8</td>" in page
        assert "<td>sky</td><td>50.0</td><td>100.0</td>" in page


def test_a_page_without_boxes_has_the_semantic_numbers(streets, tmp_path):
    found = evaluate_photos(Semantic(), streets, "roads")
    head = f"roads on {streets.name}: 2 photos; values in %"
    assert evaluation_text(found).startswith(head)
    names = write_evaluation(found, tmp_path / "out", not missing_packages())
    if "index.html" in names:
        page = (tmp_path / "out/index.html").read_text()
        assert "mIoU 7.5" in page
        assert "Precision and recall" not in page


@pytest.fixture
def rows(monkeypatch):
    """Lets the callback take its results from a list, whatever the outputs are."""
    first = []

    def of_photo(outputs, row, frame):
        assert tuple(frame.photo_size) == SIZE
        return dict(first[0])

    monkeypatch.setattr(callback, "of_photo", of_photo)
    return first


class Training(Panoptic):
    """Merges its maps after it has found objects, as detectors do."""

    class_names, stuff_names = ("cat", "dog"), ("grass", "sky")

    def first(self):
        return {**NO_OBJECTS, "semantic_map": self.maps()["semantic_map"]}

    def maps(self):
        maps = super().maps()
        labels = {1: 0, 2: 1, 3: 1, 4: 1}
        return {
            **maps,
            "semantic_map": np.where(
                maps["semantic_map"] == 1, 2, maps["semantic_map"]
            ),
            "segments": [{**s, "label": labels[s["id"]]} for s in maps["segments"]],
        }

    def merged(self, found, photo_size):
        assert "panoptic_map" not in found
        return {**found, **self.maps()}


class TrainingSemantic(Semantic):
    class_names = ("road", "sky")

    def first(self):
        return {"semantic_map": np.zeros(SIZE, np.uint8)}

    def merged(self, found, photo_size):
        return found


def measured(model, dataset, rows):
    """The callback after an epoch, and its logs."""
    evaluation = CocoEvaluation(Loader(dataset, SMALL, 2, fill=True))
    evaluation.set_model(model)
    rows.append(model.first())
    evaluation._detect = lambda x: {"images": x["images"]}
    logs = {}
    evaluation.on_epoch_end(0, logs)
    return evaluation, logs


def test_the_callback_adds_the_numbers_to_the_logs(dataset, rows):
    evaluation, logs = measured(Training(), dataset, rows)
    assert {
        "val_AP",
        "val_mIoU",
        "val_pixel_accuracy",
        "val_PQ",
        "val_RQ_stuff",
    } <= set(logs)
    assert logs["val_PQ"] == evaluation.panoptic.values["PQ"]
    assert 0 < logs["val_PQ"] < 1
    assert logs["val_mIoU"] == evaluation.semantic.values["mIoU"]


def test_the_callback_measures_a_model_without_objects(streets, rows):
    evaluation, logs = measured(TrainingSemantic(), streets, rows)
    assert set(logs) == {
        f"val_{name}" for name in ("mIoU", "fwIoU", "mean_accuracy", "pixel_accuracy")
    }
    assert logs["val_mIoU"] == pytest.approx(18 / 120 / 2)
    assert (evaluation.metrics, evaluation.panoptic) == (None, None)


def test_the_callback_refuses_other_classes(dataset):
    evaluation = CocoEvaluation(Loader(dataset, SMALL, 1))
    with pytest.raises(ValueError, match="same semantic classes in the same order"):
        evaluation.set_model(Panoptic())
