import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.metrics import PhotoError, evaluate_photos


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
