"""Merging objects and stuff, by hand."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from keras_fpn.models import PanopticMerge

SIZE = (4, 6)
SKY_AND_SEA = np.zeros(SIZE, "uint8")  # things, sky on the right, sea below
SKY_AND_SEA[:, 3:] = 1
SKY_AND_SEA[3] = 2


def window(rows, columns):
    """A mask of all pixels of a rectangle, as a part of the photo."""
    (top, bottom), (left, right) = rows, columns
    return np.ones((bottom - top, right - left), bool), (top, left)


def merged(objects, semantic_map=SKY_AND_SEA, **settings):
    """Merges (score, label, mask) of objects."""
    scores, labels, masks = ([one[place] for one in objects] for place in range(3))
    merge = PanopticMerge(**{"stuff_area": 1, **settings})
    return merge(np.float32(scores), labels, iter(masks), semantic_map)


def test_an_object_covers_stuff_and_the_rest_of_things_is_nothing():
    panoptic_map, segments = merged([(0.75, 7, window((0, 2), (2, 4)))])
    assert_array_equal(
        panoptic_map,
        [
            [0, 0, 1, 1, 2, 2],
            [0, 0, 1, 1, 2, 2],
            [0, 0, 0, 2, 2, 2],
            [3, 3, 3, 3, 3, 3],
        ],
    )
    assert panoptic_map.dtype == np.int32
    thing = {"id": 1, "isthing": True, "label": 7, "score": 0.75, "area": 4}
    stuff = [
        {"id": number, "isthing": False, "label": label, "score": None, "area": area}
        for number, label, area in ((2, 0, 7), (3, 1, 6))
    ]
    assert segments == [thing, *stuff]


def test_the_better_object_keeps_its_pixels():
    # The second has half of its 8 pixels, which is not more than half, the third less.
    first, second = window((0, 2), (0, 4)), window((1, 3), (0, 4))
    third = window((1, 2), (2, 5))  # 2 of 3 pixels are taken
    objects = [(0.9, 0, first), (0.8, 1, second), (0.7, 2, third)]
    panoptic_map, segments = merged(objects, np.zeros(SIZE, "uint8"))
    assert_array_equal(panoptic_map[:, 0], [1, 1, 2, 0])
    assert [(one["label"], one["area"]) for one in segments] == [(0, 8), (1, 4)]
    _, more = merged(objects, np.zeros(SIZE, "uint8"), overlap_threshold=0.7)
    assert [(one["label"], one["area"]) for one in more] == [(0, 8), (1, 4), (2, 1)]
    _, fewer = merged(objects, np.zeros(SIZE, "uint8"), overlap_threshold=0.4)
    assert [one["label"] for one in fewer] == [0]


def test_masks_of_low_scores_are_not_made():
    made = []

    def masks():
        for column in range(5):
            made.append(column)
            yield window((0, 1), (column, column + 1))

    merge = PanopticMerge(stuff_area=1)
    scores = np.float32([0.9, 0.5, 0.4999, 0.4, 0.3])
    _, segments = merge(scores, [3] * 5, masks(), np.zeros(SIZE, "uint8"))
    assert [one["id"] for one in segments] == [1, 2]  # 0.5 is enough
    assert made == [0, 1, 2]


def test_small_stuff_is_nothing():
    panoptic_map, segments = merged([], stuff_area=7)
    assert_array_equal(panoptic_map, [[0, 0, 0, 1, 1, 1]] * 3 + [[0] * 6])
    assert [(one["label"], one["area"]) for one in segments] == [(0, 9)]
    # What objects cover does not count.
    _, segments = merged([(0.9, 0, window((0, 1), (3, 6)))], stuff_area=7)
    assert [one["isthing"] for one in segments] == [True]
    assert PanopticMerge().stuff_area == 4096


def test_an_empty_mask_is_no_segment():
    empty = np.zeros((2, 2), bool), (0, 0)
    nothing = np.zeros((0, 3), bool), (0, 0)
    _, segments = merged([(0.9, 0, empty), (0.8, 1, nothing)], stuff_area=100)
    assert segments == []


def test_a_whole_mask_is_one_at_the_first_pixel():
    pixels, (y, x) = window((1, 3), (2, 5))
    whole = np.zeros(SIZE, bool)
    whole[y : y + 2, x : x + 3] = pixels
    part, _ = merged([(0.9, 0, (pixels, (y, x)))])
    assert_array_equal(part, merged([(0.9, 0, (whole, (0, 0)))])[0])


def test_settings_are_saved_and_checked():
    merge = PanopticMerge(0.6, 0.7, 8)
    assert PanopticMerge.from_config(merge.get_config()) == merge
    with pytest.raises(ValueError, match=r"received score_threshold=1\.5"):
        PanopticMerge(1.5)
    with pytest.raises(ValueError, match=r"received overlap_threshold=-0\.1"):
        PanopticMerge(overlap_threshold=-0.1)
    with pytest.raises(ValueError, match="received stuff_area=-1"):
        PanopticMerge(stuff_area=-1)
