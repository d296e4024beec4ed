import pathlib

import numpy as np

from keras_fpn.data import Dataset, Objects, Photo, statistics
from keras_fpn.data.segments import mask_segment
from keras_fpn.data.statistics import count_extras, object_areas


def photo(boxes, labels, crowds=None, **changes):
    crowds = [False] * len(labels) if crowds is None else crowds
    objects = Objects(boxes, labels, crowds, **changes)
    return Photo(1, pathlib.Path("a.jpg"), 500, 500, objects)


def three_photos():
    """Areas 31 x 32, 32 x 32, 95 x 96, 96 x 96: on both sides of COCO's limits."""
    return Dataset(
        photos=[
            photo([[0, 0, 31, 32], [0, 0, 32, 32]], [0, 0]),
            photo([[0, 0, 95, 96], [0, 0, 96, 96], [0, 0, 9, 9]], [0, 1, 1], [0, 0, 1]),
            photo([], []),
        ],
        class_names=["cat", "dog", "yak"],
        category_ids=[1, 2, 3],
    )


def test_objects_are_counted_by_class_and_size():
    found = statistics(three_photos())
    assert (found.photos, found.photos_without_objects, found.crowds) == (3, 1, 1)
    np.testing.assert_array_equal(found.objects, [3, 1, 0])
    np.testing.assert_array_equal(found.photos_with, [2, 1, 0])
    # small up to 32 x 32, large from 96 x 96
    np.testing.assert_array_equal(found.sizes, [[1, 2, 0], [0, 0, 1], [0, 0, 0]])


def test_the_table_is_readable():
    assert str(statistics(three_photos())).splitlines() == [
        "3 photos, 4 objects of 3 classes, 1 crowd region; 1 photo without objects",
        "  class  objects   photos    small   medium    large",
        "  cat          3        2        1        2        0",
        "  dog          1        1        0        0        1",
        "  all          4        2        1        2        1",
        "  no objects of: yak",
    ]


def test_the_table_of_one_class_has_no_sum():
    dataset = Dataset([photo([[0, 0, 9, 9]], [0])], ["cat"], [1])
    assert str(statistics(dataset)).splitlines() == [
        "1 photo, 1 object of 1 class, 0 crowd regions; 0 photos without objects",
        "  class  objects   photos    small   medium    large",
        "  cat          1        1        1        0        0",
    ]


def test_the_area_is_the_masks_where_there_is_one():
    mask = np.zeros((500, 500), bool)
    mask[:3, :5] = True
    triangle = [[0.0, 0.0, 10.0, 0.0, 0.0, 10.0]]
    objects = photo(
        [[0, 0, 10, 10]] * 3, [0] * 3, segments=[triangle, mask_segment(mask), None]
    ).objects
    np.testing.assert_array_equal(object_areas(objects), [50, 15, 100])


def test_what_not_every_format_holds_is_counted():
    points = np.zeros((2, 1, 3))
    points[0, 0] = 5, 5, 1
    triangle = [[0.0, 0.0, 10.0, 0.0, 0.0, 10.0]]
    one = photo(
        [[0, 0, 9, 9]] * 2,
        [0, 0],
        [True, False],
        segments=[triangle, None],
        keypoints=points,
    )
    assert count_extras(Dataset([one, one], ["cat"], [1])) == {
        "masks": 2,
        "crowd regions": 2,
        "objects with keypoints": 2,
    }
    assert count_extras(Dataset([photo([], [])], ["cat"], [1])) == {}
