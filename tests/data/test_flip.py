"""RandomFlip: mirrored objects, seen in the image."""

import numpy as np
import pytest
from data.drawn import (
    FLIP_PAIRS,
    JOINTS,
    chance,
    check_equal,
    check_seen,
    copied,
    drawn_sample,
)

from keras_fpn.data import RandomFlip
from keras_fpn.data.flip import flip_sample
from keras_fpn.data.masks import flip_masks

SEEDS = 1000
JOINT_AFTER = np.array([0, 3, 2, 1])  # joints 1 and 3, drawn so in green, change places


def test_a_flip_by_hand():
    sample = {
        "image": np.arange(12, dtype=np.uint8).reshape(1, 4, 3),
        "boxes": np.array([[0, 0, 1, 1], [1.5, 0, 4, 1]], np.float32),
        "labels": np.array([0, 1], np.int32),
        "is_crowd": np.array([True, False]),
        "keypoints": np.array([[[0.5, 0.5, 2], [0, 0, 0]]] * 2, np.float32),
    }
    flipped = RandomFlip(1.0, [(0, 1)])(sample, chance(0))
    np.testing.assert_array_equal(
        flipped["image"][0], [[9, 10, 11], [6, 7, 8], [3, 4, 5], [0, 1, 2]]
    )
    np.testing.assert_array_equal(flipped["boxes"], [[3, 0, 4, 1], [0, 0, 2.5, 1]])
    # The left eye at 0.5 is the right one at 4 - 0.5 now, and the left is unknown.
    np.testing.assert_array_equal(flipped["keypoints"], [[[0] * 3, [3.5, 0.5, 2]]] * 2)
    np.testing.assert_array_equal(flipped["is_crowd"], [True, False])


def test_drawn_objects_stay_in_their_boxes():
    augment = RandomFlip(0.5, FLIP_PAIRS)
    flips = 0
    for seed in range(SEEDS):
        sample = drawn_sample(chance(seed))
        before = copied(sample)
        flipped = augment(sample, chance(seed + 1))
        check_equal(sample, before)
        mirrored = flipped is not sample
        if mirrored:
            np.testing.assert_array_equal(flipped["image"], sample["image"][:, ::-1])
            image = flipped["image"]
            image[..., 1] = JOINT_AFTER[image[..., 1]]  # a mirrored left is a right
        check_seen(flipped)
        flips += mirrored
    assert 0.4 * SEEDS < flips < 0.6 * SEEDS


def test_two_flips_change_nothing():
    for seed in range(100):
        sample = drawn_sample(chance(seed))
        twice = flip_sample(flip_sample(sample, FLIP_PAIRS), FLIP_PAIRS)
        check_equal(twice, sample)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_views_and_both_dtypes_are_flipped(dtype):
    image = chance(0).integers(0, 256, (5, 7, 3)).astype(dtype)
    sample = {**drawn_sample(chance(0), size=(3, 4)), "image": image[1:4, 2:6]}
    flipped = flip_sample(sample)["image"]
    np.testing.assert_array_equal(flipped, image[1:4, 2:6][:, ::-1])
    assert flipped.dtype == dtype


def test_masks_are_flipped_wherever_they_lie():
    for seed in range(200):
        random = chance(seed)
        masks = random.random((3, *random.integers(1, 9, 2))) < 0.2
        np.testing.assert_array_equal(flip_masks(masks), masks[:, :, ::-1])


def test_probabilities_of_0_and_1_are_certain():
    sample = drawn_sample(chance(2), size=(4, 9))
    random = chance(0)
    for _ in range(200):
        check_equal(RandomFlip(0.0)(sample, random), sample)
        assert not np.array_equal(
            RandomFlip(1.0)(sample, random)["image"], sample["image"]
        )


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan"), "half", True, None])
def test_what_is_no_probability_is_refused(probability):
    match = f"probability must be a number from 0 to 1; received .*={probability!r}"
    with pytest.raises(ValueError, match=match):
        RandomFlip(probability)


def test_pairs_of_keypoints_that_do_not_exist_are_refused():
    sample = drawn_sample(chance(7), count=1)
    match = rf"0\.\.{JOINTS - 1}; received the pair \(0, 3\)"
    with pytest.raises(ValueError, match=match):
        RandomFlip(1.0, ((0, 3),))(sample, chance(0))
