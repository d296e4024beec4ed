import dataclasses
import pathlib
import types

import pytest

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.pixel_labels import SemanticImage
from keras_fpn.data.semantic import check_semantic, labels_pixels, semantic_names

STUFF = ("grass", "sky")


def model(targets=("boxes", "semantic_map"), **names):
    return types.SimpleNamespace(targets=targets, **{"class_names": ("cat",), **names})


def dataset(count=2, labeled=2, stuff=STUFF, class_names=("cat",)):
    none = Objects([], [], [])
    labels = SemanticImage(pathlib.Path("x.png"), (0, 1, 2))
    photos = [
        Photo(i, pathlib.Path(f"{i}.jpg"), 8, 9, none, pixel_labels=labels)
        for i in range(count)
    ]
    photos[labeled:] = [
        dataclasses.replace(photo, pixel_labels=None) for photo in photos[labeled:]
    ]
    ids = range(len(class_names))
    return Dataset(
        photos,
        class_names,
        tuple(ids),
        stuff_names=stuff,
        stuff_ids=tuple(range(len(stuff))),
        name="parks",
    )


def test_the_names_are_those_of_stuff_after_things():
    assert semantic_names(model(stuff_names=STUFF)) == ("things", *STUFF)
    assert semantic_names(model(class_names=["a", "b"])) == ("a", "b")
    assert labels_pixels(model())
    assert not labels_pixels(model(targets=("boxes", "masks")))
    assert not labels_pixels(object())


def test_equal_classes_pass():
    check_semantic(model(stuff_names=STUFF), dataset())
    check_semantic(model(class_names=("a", "b")), dataset(2, 2, (), ("a", "b")))
    check_semantic(model(targets=("boxes",)), dataset(2, 0))


def test_photos_without_labels_are_refused():
    with pytest.raises(
        ValueError, match=r"'parks', where 1 of 2 have none, such as 1\.jpg\."
    ):
        check_semantic(model(stuff_names=STUFF), dataset(2, 1))


@pytest.mark.parametrize("names", [("sky", "grass"), ("grass",), ("grass", "sky", "x")])
def test_other_classes_are_refused(names):
    with pytest.raises(ValueError, match=r"same order; received \['things', .*'sky'\]"):
        check_semantic(model(stuff_names=names), dataset())


def test_a_data_set_has_an_id_for_each_name_of_stuff():
    with pytest.raises(ValueError, match=r"stuff_names=\('sky',\), stuff_ids=\(\)"):
        Dataset((), (), (), stuff_names=("sky",))
    many = [str(i) for i in range(255)]
    with pytest.raises(ValueError, match=r"at most 254 classes of stuff.*received 255"):
        Dataset((), (), (), stuff_names=many, stuff_ids=range(255))
