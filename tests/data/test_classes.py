import dataclasses
import pathlib

import numpy as np
import pytest

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.classes import union_of_classes, with_classes
from keras_fpn.data.pixel_labels import SemanticImage


def dataset(names=("ant", "bee", "cat"), ids=(3, 5, 8)):
    boxes = [[0, 0, 5, 5], [1, 1, 6, 6], [2, 2, 7, 7], [3, 3, 8, 8]]
    segments = [[[0, 0, 5, 0, 5, 5]], None, None, None]
    objects = Objects(boxes, [2, 0, 1, 2], [0, 1, 0, 0], segments, np.ones((4, 1, 3)))
    photos = [
        Photo(1, pathlib.Path("a.png"), 10, 10, objects),
        Photo(2, pathlib.Path("b.png"), 10, 10, Objects([], [], [])),
    ]
    return Dataset(photos, names, ids, ("nose",), name="bugs")


def test_objects_of_other_classes_go_and_the_rest_is_kept():
    chosen = with_classes(dataset(), ["cat", "ant"])
    assert (chosen.class_names, chosen.category_ids) == (("cat", "ant"), (8, 3))
    objects = chosen[0].objects
    np.testing.assert_array_equal(objects.labels, [0, 1, 0])
    np.testing.assert_array_equal(objects.boxes[:, 0], [0, 1, 3])
    np.testing.assert_array_equal(objects.is_crowd, [False, True, False])
    assert objects.segments == ([[0, 0, 5, 0, 5, 5]], None, None)
    assert objects.keypoints.shape == (3, 1, 3)
    assert (len(chosen), len(chosen[1].objects)) == (2, 0)
    assert (chosen.name, chosen.keypoint_names) == ("bugs", ("nose",))


def test_classes_that_it_lacks_get_unused_ids():
    chosen = with_classes(dataset(), ["yak", "bee", "emu"])
    assert chosen.category_ids == (9, 5, 10)
    np.testing.assert_array_equal(chosen[0].objects.labels, [1])
    none = with_classes(dataset(), ["yak"])
    assert [len(photo.objects) for photo in none.photos] == [0, 0]


def test_its_own_classes_change_nothing():
    whole = dataset()
    assert with_classes(whole, ["ant", "bee", "cat"]) is whole


def test_pixel_labels_cannot_be_changed_afterwards():
    labels = SemanticImage(pathlib.Path("a.png"), (0, 1, 2))
    photos = [dataclasses.replace(p, pixel_labels=labels) for p in dataset().photos]
    labeled = dataclasses.replace(dataset(), photos=photos)
    with pytest.raises(ValueError, match=r"received \('ant',\) and"):
        with_classes(labeled, ["ant"])
    assert with_classes(labeled, ["ant", "bee", "cat"]) is labeled


def test_a_union_keeps_the_order_of_appearance():
    other = dataset(("dog", "bee", "ant"))
    assert union_of_classes(dataset(), other) == ["ant", "bee", "cat", "dog"]
    assert union_of_classes(dataset()) == ["ant", "bee", "cat"]
