import pathlib

import numpy as np
import pytest

from keras_fpn.data import Dataset, Objects, Photo

BOXES = [[0, 0, 10, 10], [5, 5, 20, 30], [1, 2, 3, 4]]
SQUARE = [[0, 0, 10, 0, 10, 10, 0, 10]]


def three_objects(**changes):
    fields = {"boxes": BOXES, "labels": [0, 1, 1], "is_crowd": [False, True, False]}
    return Objects(**(fields | changes))


def photo(image_id, objects=None):
    return Photo(image_id, pathlib.Path("a.jpg"), 40, 50, objects or three_objects())


def test_arrays_get_their_dtypes():
    objects = three_objects(keypoints=np.zeros((3, 4, 3)))
    assert objects.boxes.dtype == np.float32
    assert objects.labels.dtype == np.int32
    assert objects.is_crowd.dtype == bool
    assert objects.keypoints.dtype == np.float32
    assert len(objects) == 3


def test_no_objects_have_boxes_of_four_columns():
    assert Objects(boxes=[], labels=[], is_crowd=[]).boxes.shape == (0, 4)


def test_rows_are_taken_from_all_arrays():
    points = np.arange(3 * 2 * 3).reshape(3, 2, 3)
    objects = three_objects(segments=[SQUARE, None, SQUARE], keypoints=points)
    for rows in (np.array([False, True, True]), slice(1, 3), [1, 2]):
        part = objects[rows]
        np.testing.assert_array_equal(part.boxes, BOXES[1:])
        np.testing.assert_array_equal(part.labels, [1, 1])
        np.testing.assert_array_equal(part.is_crowd, [True, False])
        assert part.segments == (None, SQUARE)
        np.testing.assert_array_equal(part.keypoints, points[1:])
    assert three_objects()[:1].segments is None
    assert three_objects()[:1].keypoints is None


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"labels": [0, 1]}, r"'labels': \(2,\)"),
        ({"boxes": [[1, 2, 3]] * 3}, r"'boxes': \(3, 3\)"),
        ({"is_crowd": [True]}, r"'is_crowd': \(1,\)"),
        ({"segments": [None]}, r"'segments': \(1,\)"),
        ({"keypoints": np.zeros((3, 4))}, r"'keypoints': \(3, 4\)"),
        ({"keypoints": np.zeros((2, 4, 3))}, r"'keypoints': \(2, 4, 3\)"),
    ],
)
def test_rows_must_be_equally_many(changes, received):
    with pytest.raises(ValueError, match=f"equally many rows.*{received}"):
        three_objects(**changes)


def test_a_slice_is_a_data_set_and_a_number_a_photo():
    photos = [photo(i) for i in range(5)]
    dataset = Dataset(photos, ["cat"], [1], ["nose"], [[0, 0]], name="five")
    part = dataset[1:3]
    assert [p.image_id for p in part.photos] == [1, 2]
    assert (len(dataset), len(part)) == (5, 2)
    assert dataset[-1].image_id == 4
    assert (part.class_names, part.category_ids) == (("cat",), (1,))
    assert (part.keypoint_names, part.flip_pairs) == (("nose",), ((0, 0),))
    assert part.name == "five"


def test_every_class_needs_an_id():
    with pytest.raises(ValueError, match=r"class_names=\('cat',\), category_ids=\(\)"):
        Dataset([], ["cat"], [])


def test_photos_without_annotations_can_be_left_out():
    crowd = Objects([[0, 0, 9, 9]], [0], [True])
    photos = [
        Photo(number, pathlib.Path(f"{number}.png"), 9, 9, objects)
        for number, objects in enumerate([Objects([], [], []), crowd])
    ]
    dataset = Dataset(photos, ["cell"], [1])
    assert [photo.image_id for photo in dataset.without_empty().photos] == [1]
    assert len(dataset) == 2
