import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.segments import mask_segment
from keras_fpn.metrics import PhotoError, evaluate_photos
from keras_fpn.report import evaluation_text, write_evaluation


class DogFinder:
    """Finds a dog, its second class, wherever it looks, and one cat."""

    class_names = ("cat", "dog")
    class_agnostic = False

    def detect(self, images):
        return [
            {
                "boxes": np.array([[1, 2, 11, 12], [0, 0, 5, 5]], np.float32),
                "labels": np.array([1, 0], np.int32),
                "scores": np.array([0.75, 0.5], np.float32),
            }
            for _ in images
        ]


@pytest.fixture
def dataset(tmp_path):
    """Two photos with a dog each, of which the finder finds the first exactly."""
    photos = []
    for image_id, box in ((5, [1, 2, 11, 12]), (3, [20, 20, 30, 30])):
        path = tmp_path / f"{image_id}.png"
        Image.new("RGB", (50, 40)).save(path)
        objects = Objects(np.array([box], np.float32), [0], [False])
        photos.append(Photo(image_id, path, 40, 50, objects))
    return Dataset(tuple(photos), ("dog", "bird"), (7, 1), name="pets")


def test_labels_are_matched_by_name_and_other_detections_dropped(dataset, capsys):
    found = evaluate_photos(DogFinder(), dataset, "finder", ["A note."])
    assert [(one["image_id"], one["category_id"]) for one in found.results] == [
        (5, 7),
        (3, 7),
    ]
    assert found.results[0]["bbox"] == [1, 2, 10, 10]
    # Of two equal scores the first is in image 3, where the dog is elsewhere: the
    # precision is 1/2 up to a recall of 1/2, which covers 51 of the 101 recall points.
    assert found.metrics.values["AP"] == pytest.approx(0.5 * 51 / 101)
    assert (found.model_name, found.dataset, found.proposals) == (
        "finder",
        dataset,
        None,
    )
    assert found.notes == [
        "A note.",
        "The model does not know bird: their AP is 0.",
        "Dropped: 2 detections of classes that the data set lacks.",
    ]
    assert capsys.readouterr() == ("", "")  # a library function prints nothing


def test_progress_gets_all_photos(dataset):
    seen = []

    def progress(photos):
        for photo in photos:
            seen.append((photo.image_id, len(photos)))
            yield photo

    evaluate_photos(DogFinder(), dataset, progress=progress)
    assert seen == [(5, 2), (3, 2)]


def test_a_photo_of_another_size_is_an_error_with_its_path(dataset, tmp_path):
    Image.new("RGB", (9, 7)).save(tmp_path / "3.png")
    with pytest.raises(PhotoError, match=r"3\.png: .* \(40, 50\); received \(7, 9\)"):
        evaluate_photos(DogFinder(), dataset)


def test_a_photo_that_cannot_be_read_is_an_error_with_its_path(dataset, tmp_path):
    (tmp_path / "5.png").write_bytes(b"no image")
    with pytest.raises(PhotoError, match=r"5\.png: A photo must be in one of"):
        evaluate_photos(DogFinder(), dataset)


def test_a_model_without_proposals_is_an_error(dataset):
    with pytest.raises(ValueError, match=r"two-stage detector.*received a DogFinder"):
        evaluate_photos(DogFinder(), dataset, with_proposals=True)


class MaskFinder(DogFinder):
    """Finds the same objects, with masks: of the dog, the left half of its box."""

    targets = ("boxes", "labels", "masks")

    def detect(self, images):
        dog, cat = np.zeros((2, 40, 50), bool)
        dog[2:12, 1:6] = cat[:5, :5] = True
        runs = [mask_segment(mask) for mask in (dog, cat)]
        return [{**found, "masks": runs} for found in super().detect(images)]


def with_segments(dataset):
    photos = []
    for photo in dataset.photos:
        [(x1, y1, x2, y2)] = photo.objects.boxes.tolist()
        polygons = [[[x1, y1, x2, y1, x2, y2, x1, y2]]]
        objects = dataclasses.replace(photo.objects, segments=polygons)
        photos.append(dataclasses.replace(photo, objects=objects))
    return dataclasses.replace(dataset, photos=tuple(photos))


def test_masks_are_measured_too_where_objects_have_them(dataset):
    assert not dataset.has_masks
    boxes_only = evaluate_photos(MaskFinder(), dataset)
    assert boxes_only.masks is None
    assert boxes_only.notes[0] == (
        "Not every object has a mask: only boxes were compared."
    )
    dataset = with_segments(dataset)
    assert dataset.has_masks
    assert not dataset[:0].has_masks
    found = evaluate_photos(MaskFinder(), dataset)
    assert found.metrics.values["AP"] == boxes_only.metrics.values["AP"]
    # Half of the dog is found: right at the first of the ten thresholds alone, 0.5.
    assert found.masks.kind == "segm"
    assert found.masks.values["AP"] == pytest.approx(0.5 * 51 / 101 / 10)
    assert "masks:" in evaluation_text(found)
    assert "masks:" not in evaluation_text(boxes_only)


def test_masks_of_any_class_are_measured_by_their_recall(dataset, tmp_path):
    finder = MaskFinder()
    finder.class_agnostic, finder.category_ids = True, [1, 2]
    found = evaluate_photos(finder, with_segments(dataset))
    assert found.proposals.values["AR10"] == pytest.approx(0.5)
    assert found.masks.values["AR10"] == pytest.approx(0.5 / 10)
    assert evaluation_text(found).count("proposals") == 2
    write_evaluation(found, tmp_path)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["masks"]["values"]["AR10"] == pytest.approx(0.05)
