import dataclasses
import pathlib

import pytest

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.hold_out import hold_out
from keras_fpn.data.pixel_labels import SemanticImage


def photos(count, first=1, objects=1):
    boxes = Objects([[0, 0, 5, 5]] * objects, [0] * objects, [False] * objects)
    return [
        Photo(i, pathlib.Path(f"{i}.png"), 10, 10, boxes)
        for i in range(first, first + count)
    ]


def dataset(*groups):
    return Dataset([p for group in groups for p in group], ("cat",), (1,), name="pets")


def ids(part):
    return [photo.image_id for photo in part.photos]


@pytest.mark.parametrize(
    ("count", "held"), [(2, 1), (8, 2), (12, 4), (20, 4), (100, 15), (10_000, 1000)]
)
def test_about_a_seventh_is_held_out_of_many_and_few_of_few(count, held):
    larger, smaller = hold_out(dataset(photos(count)))
    assert (len(larger), len(smaller)) == (count - held, held)


def test_no_photo_is_in_both_or_in_none_and_their_order_stays():
    larger, smaller = hold_out(dataset(photos(30)))
    assert sorted([*ids(larger), *ids(smaller)]) == list(range(1, 31))
    assert ids(larger) == sorted(ids(larger))
    assert smaller.name == "pets, held out"
    assert smaller.class_names == larger.class_names == ("cat",)


def test_which_ones_depends_on_their_ids_alone():
    whole = dataset(photos(30))
    mixed = dataclasses.replace(whole, photos=whole.photos[::-1])
    _, first = hold_out(whole)
    _, second = hold_out(mixed)
    assert sorted(ids(first)) == sorted(ids(second))
    assert ids(first) != list(range(1, 5))  # and not on their place


def test_photos_without_objects_are_parted_alike():
    whole = dataset(photos(40), photos(40, first=41, objects=0))
    _, smaller = hold_out(whole)
    assert sum(photo.image_id > 40 for photo in smaller.photos) == 6
    assert len(smaller) == 12


def test_one_photo_with_objects_cannot_be_parted():
    with pytest.raises(
        ValueError, match=r"At least 2 photos must have .* 'pets' with 1"
    ):
        hold_out(dataset(photos(1), photos(5, first=2, objects=0)))


def test_photos_with_pixel_labels_need_no_objects():
    labels = SemanticImage(pathlib.Path("1.png"), (0, 1))
    bare = photos(30, objects=0)
    labeled = [dataclasses.replace(photo, pixel_labels=labels) for photo in bare]
    larger, smaller = hold_out(dataset(labeled))
    assert (len(larger), len(smaller)) == (26, 4)
    with pytest.raises(ValueError, match="received 'pets' with 0"):
        hold_out(dataset(bare))


def copies(count, each, objects=1):
    """Photos of which each is there several times, as Roboflow augments them."""
    return [
        dataclasses.replace(photo, path=pathlib.Path(f"{i // each}_jpg.rf.{i}ab.jpg"))
        for i, photo in enumerate(photos(count * each, objects=objects))
    ]


@pytest.mark.parametrize(("count", "each", "held"), [(20, 3, 9), (2, 5, 5), (3, 1, 1)])
def test_copies_of_a_photo_stay_together(count, each, held):
    parts = hold_out(dataset(copies(count, each)))
    assert [len(part) for part in parts] == [count * each - held, held]
    names = [{p.path.name.split("_")[0] for p in part.photos} for part in parts]
    assert names[0].isdisjoint(names[1])


def test_copies_without_objects_stay_together():
    bare = copies(10, 2, objects=0)
    bare = [dataclasses.replace(p, image_id=p.image_id + 100) for p in bare]
    larger, smaller = hold_out(dataset(photos(40), bare))
    names = [
        {p.path.name.split("_")[0] for p in part.photos if p.image_id > 100}
        for part in (larger, smaller)
    ]
    assert names[0].isdisjoint(names[1])
    assert len(smaller) == 6 + 4  # 3 of 20 in proportion: two whole pairs


def test_copies_of_one_photo_cannot_be_parted():
    with pytest.raises(ValueError, match=r"'pets' with 4 \(copies of 1\)"):
        hold_out(dataset(copies(1, 4)))
