import dataclasses

import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.report.compared_photos import compared_photo, photos_to_compare
from keras_fpn.visualize import class_color


def photo(path, image_id=1, crowds=(False,)):
    """A gray photo of 500x400 with objects of class "dog" at its left edge."""
    Image.new("RGB", (500, 400), (90, 90, 90)).save(path)
    boxes = [[10, 150, 110, 350]] * len(crowds)
    return Photo(image_id, path, 400, 500, Objects(boxes, [1] * len(crowds), crowds))


@pytest.fixture
def dataset(tmp_path):
    return Dataset((photo(tmp_path / "a.png"),), ("cat", "dog"), (7, 8))


def colored(picture, label):
    """Columns in which a picture has a class's color, below titles and labels."""
    pixels = np.asarray(picture)[250:]
    return np.flatnonzero((pixels == class_color(label)).all(axis=-1).any(axis=0))


def test_what_was_found_is_on_the_left_and_the_truth_on_the_right(dataset):
    result = {"image_id": 1, "bbox": [200, 100, 50, 290], "score": 0.9}
    picture = compared_photo(dataset[0], [{**result, "category_id": 7}], dataset)
    assert picture.width == 500 + 8 + 500
    found, truth = colored(picture, 0), colored(picture, 1)
    line = 3  # pixels, and a rim of 1 between it and the box
    assert (found.min(), found.max()) == (200 - 1 - line, 250 + line)
    assert (truth.min(), truth.max()) == (508 + 10 - 1 - line, 508 + 110 + line)


@pytest.mark.parametrize("change", [{"image_id": 2}, {"score": 0.1}])
def test_other_photos_and_low_scores_are_not_drawn(dataset, change):
    result = {"image_id": 1, "bbox": [200, 100, 50, 290], "score": 0.9}
    result |= {"category_id": 7, **change}
    assert colored(compared_photo(dataset[0], [result], dataset), 0).size == 0


def test_crowd_regions_are_not_drawn(dataset, tmp_path):
    crowd = photo(tmp_path / "b.png", crowds=(True,))
    assert colored(compared_photo(crowd, [], dataset), 1).size == 0


def test_pictures_are_not_large(tmp_path, dataset):
    Image.new("RGB", (4000, 3000)).save(tmp_path / "large.png")
    large = dataclasses.replace(dataset[0], path=tmp_path / "large.png")
    picture = compared_photo(large, [], dataset)
    assert max(picture.size) == 1600


def test_photos_with_objects_are_taken_from_all_over_the_data(tmp_path, dataset):
    photos = [photo(tmp_path / f"{i}.png", i) for i in range(9)]
    none = Objects([], [], [])
    photos[4] = dataclasses.replace(photos[4], objects=none)
    photos[0] = photo(tmp_path / "0.png", 0, crowds=(True,))
    dataset = dataclasses.replace(dataset, photos=photos)
    chosen = photos_to_compare(dataset, 3)
    assert [p.image_id for p in chosen] == [1, 5, 8]  # of 1, 2, 3, 5, 6, 7, 8
    assert len(photos_to_compare(dataset, 20)) == 7
