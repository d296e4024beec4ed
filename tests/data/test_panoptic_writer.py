import dataclasses
import json

import numpy as np
import pytest
from data.tiny_panoptic import CAT, SIZE, ids_of_a, write_panoptic_set

from keras_fpn.data import read_coco_panoptic, write_panoptic


@pytest.fixture
def dataset(tmp_path):
    return read_coco_panoptic(write_panoptic_set(tmp_path))


def maps(dataset):
    return [photo.pixel_labels.panoptic_map(SIZE) for photo in dataset.photos]


def same(first, second):
    for (numbers, segments), (others, other_segments) in zip(
        first, second, strict=True
    ):
        np.testing.assert_array_equal(numbers, others)
        assert segments == other_segments


def test_the_truth_is_read_back(dataset, tmp_path):
    write_panoptic(dataset, tmp_path / "new/again.json")
    again = read_coco_panoptic(tmp_path / "new/again.json")
    same(maps(again), maps(dataset))
    assert (again.class_names, again.category_ids) == (("cat", "dog"), (3, 5))
    assert (again.stuff_names, again.stuff_ids) == (("grass", "sky"), (30, 40))
    for one, other in zip(again.photos, dataset.photos, strict=True):
        np.testing.assert_array_equal(one.objects.boxes, other.objects.boxes)
        np.testing.assert_array_equal(one.objects.is_crowd, other.objects.is_crowd)
        areas = [
            [segment.area for segment in photo.objects.segments or ()]
            for photo in (one, other)
        ]
        assert areas[0] == areas[1]
    assert sorted(p.name for p in (tmp_path / "new").rglob("*")) == [
        "a.png",
        "again",
        "again.json",
        "b.png",
    ]


def found(numbers=None, **changes):
    """A result for photo a, and one of no segment for photo b."""
    numbers = np.where(ids_of_a() == CAT, 2**24 - 1, 0) if numbers is None else numbers
    segment = {"id": 2**24 - 1, "label": 1, "isthing": True, "score": 0.75} | changes
    return [
        {"panoptic_map": numbers, "segments": [segment]},
        {"panoptic_map": np.zeros(SIZE, np.int32), "segments": []},
    ]


def test_results_are_written_with_their_scores(dataset, tmp_path):
    write_panoptic(dataset, tmp_path / "found.json", found())
    contents = json.loads((tmp_path / "found.json").read_text())
    assert contents["annotations"][0]["segments_info"] == [
        {
            "id": 2**24 - 1,
            "category_id": 5,
            "bbox": [0, 0, 4, 6],
            "area": 24,
            "iscrowd": 0,
            "score": 0.75,
        }
    ]
    assert contents["annotations"][1]["segments_info"] == []
    again = read_coco_panoptic(tmp_path / "found.json")
    numbers, [segment] = maps(again)[0]
    np.testing.assert_array_equal(numbers, found()[0]["panoptic_map"])
    assert segment == {
        "id": 2**24 - 1,
        "label": 1,
        "isthing": True,
        "iscrowd": False,
    }


def test_stuff_without_a_score_has_none_in_the_file(dataset, tmp_path):
    results = found(isthing=False, label=0, score=None)
    write_panoptic(dataset, tmp_path / "found.json", results)
    contents = json.loads((tmp_path / "found.json").read_text())
    [segment] = contents["annotations"][0]["segments_info"]
    assert segment["category_id"] == 30
    assert "score" not in segment


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (found(np.zeros((3, 3), int)), r"\(6, 10\).*received shape \(3, 3\)"),
        (found(np.zeros(SIZE, int)), r"a\.jpg with \[\] and without \[16777215\]"),
        (found(np.ones(SIZE, int)), r"a\.jpg with \[1\] and without \[16777215\]"),
        (found(label=2), r"Labels must be 0\.\.1.*'label': 2"),
    ],
)
def test_what_does_not_fit_is_an_error_and_no_json_is_left(
    dataset, tmp_path, results, message
):
    with pytest.raises(ValueError, match=message):
        write_panoptic(dataset, tmp_path / "found.json", results)
    assert not (tmp_path / "found.json").exists()


def test_there_is_one_result_for_each_photo(dataset, tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_panoptic(dataset, tmp_path / "found.json", found()[:1])


def test_photos_of_one_name_get_their_ids(dataset, tmp_path):
    photos = [
        dataclasses.replace(photo, path=tmp_path / folder / "a.jpg")
        for photo, folder in zip(dataset.photos, "xy", strict=True)
    ]
    twins = dataclasses.replace(dataset, photos=tuple(photos))
    write_panoptic(twins, tmp_path / "found.json", found())
    assert {p.name for p in (tmp_path / "found").iterdir()} == {"a.png", "a_9.png"}


def test_a_photo_is_not_replaced(dataset, tmp_path):
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    photo.write_bytes(b"a photo")
    photos = (dataclasses.replace(dataset[0], path=photo),)
    one = dataclasses.replace(dataset, photos=photos)
    with pytest.raises(ValueError, match=r"must not replace its photo; .*a\.png"):
        write_panoptic(one, tmp_path / "photos.json")
    assert photo.read_bytes() == b"a photo"
