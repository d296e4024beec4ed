"""CopyPaste: pasted and covered objects, seen in the image."""

import numpy as np
import pytest
from data.drawn import (
    JOINTS,
    chance,
    check_equal,
    check_seen,
    contains,
    copied,
    drawn_sample,
    extent,
)

from keras_fpn.data import CopyPaste

SEEDS = 1000


def pair(seed, one_size):
    """Two samples whose labels, and so their colours, differ."""
    random = chance(seed)
    sample = drawn_sample(random)
    size = sample["image"].shape[:2] if one_size else None
    return sample, drawn_sample(random, size, first_label=100)


def square(box, size=(8, 8), label=0, masks=True):
    """A sample with one object that fills a box, xyxy; grey inside, black outside."""
    x1, y1, x2, y2 = box
    mask = np.zeros((1, *size), bool)
    mask[0, y1:y2, x1:x2] = True
    sample = {
        "image": mask[0, ..., None] * np.full(3, 100 + label, np.uint8),
        "boxes": np.array([box], np.float32),
        "labels": np.array([label], np.int32),
        "is_crowd": np.zeros(1, bool),
        "image_id": label,
        "photo_size": size,
    }
    return {**sample, "masks": mask} if masks else sample


@pytest.mark.parametrize("one_size", [True, False])
def test_drawn_objects_stay_in_their_boxes(one_size):
    augment = CopyPaste()
    pasted = hidden = 0
    for seed in range(SEEDS):
        sample, other = pair(seed, one_size)
        copies = copied(sample), copied(other)
        result = augment(sample, other, chance(seed + 1))
        check_equal(sample, copies[0])
        check_equal(other, copies[1])
        check_seen(result)
        seen = np.unique(result["image"][..., 0])
        np.testing.assert_array_equal(result["labels"], seen[seen > 0])
        check_beneath(sample, result)
        if one_size:
            check_on_top(other, result)
        new = result["labels"] >= 100
        assert not result["is_crowd"][new].any()
        pasted += new.sum()
        hidden += len(sample["labels"]) - (~new).sum()
    assert pasted > SEEDS / 2
    assert hidden > SEEDS / 50


def check_beneath(sample, result):
    """Objects of the sample: untouched ones as they were, covered ones narrowed."""
    for row, label in enumerate(sample["labels"]):
        found = np.flatnonzero(result["labels"] == label)
        if len(found) == 0:
            continue
        mask, box = result["masks"][found[0]], result["boxes"][found[0]]
        before = sample["boxes"][row]
        assert result["is_crowd"][found[0]] == sample["is_crowd"][row]
        if mask.sum() == sample["masks"][row].sum():
            np.testing.assert_array_equal(box, before)
        else:
            assert contains(before, box)
            np.testing.assert_array_equal(box, extent(mask))
        joints, were = result["keypoints"][found[0]], sample["keypoints"][row]
        np.testing.assert_array_equal(joints[:, :2], were[:, :2])
        for (x, y, now), then in zip(joints, were[:, 2], strict=True):
            covered = result["image"][int(y), int(x), 0] != label
            assert now == (1 if then == 2 and covered else then)


def check_on_top(other, result):
    """Pasted objects of an image of the same size: as they were."""
    for row, label in enumerate(other["labels"]):
        for found in np.flatnonzero(result["labels"] == label):
            for name in ("boxes", "masks", "keypoints"):
                np.testing.assert_array_equal(result[name][found], other[name][row])


def test_a_paste_by_hand():
    below, above = square((0, 0, 4, 4)), square((2, 0, 8, 8), label=1)
    result = CopyPaste(share=1.0)(below, above, chance(0))
    np.testing.assert_array_equal(result["boxes"], [[0, 0, 2, 4], [2, 0, 8, 8]])
    np.testing.assert_array_equal(result["labels"], [0, 1])
    assert result["masks"].sum(axis=(1, 2)).tolist() == [8, 48]
    np.testing.assert_array_equal(result["image"][0, :, 0], [100] * 2 + [101] * 6)
    assert (result["image_id"], result["photo_size"]) == (0, (8, 8))


def test_a_wholly_covered_object_is_dropped():
    result = CopyPaste(share=1.0)(
        square((2, 2, 4, 4)), square((0, 0, 8, 8), label=1), chance(0)
    )
    np.testing.assert_array_equal(result["labels"], [1])


def test_a_wholly_covered_crowd_region_is_dropped_and_another_kept():
    crowd = square((2, 2, 4, 4)) | {"is_crowd": np.ones(1, bool)}
    result = CopyPaste(share=1.0)(crowd, square((0, 0, 3, 8), label=1), chance(0))
    np.testing.assert_array_equal(result["is_crowd"], [True, False])
    np.testing.assert_array_equal(result["boxes"][0], [3, 2, 4, 4])
    result = CopyPaste(share=1.0)(crowd, square((0, 0, 8, 8), label=1), chance(0))
    np.testing.assert_array_equal(result["is_crowd"], [False])


def test_an_object_without_a_mask_is_hidden_by_what_covers_its_box():
    below = square((2, 2, 4, 4)) | {"masks": np.zeros((1, 8, 8), bool)}
    result = CopyPaste(share=1.0)(below, square((2, 2, 4, 4), label=1), chance(0))
    np.testing.assert_array_equal(result["labels"], [1])
    result = CopyPaste(share=1.0)(below, square((2, 2, 4, 3), label=1), chance(0))
    np.testing.assert_array_equal(result["labels"], [0, 1])
    np.testing.assert_array_equal(result["boxes"][0], [2, 2, 4, 4])


def test_crowd_regions_and_objects_without_a_mask_are_not_pasted():
    below = square((0, 0, 2, 2))
    crowd = square((2, 2, 4, 4), label=1) | {"is_crowd": np.ones(1, bool)}
    without = square((2, 2, 4, 4), label=1) | {"masks": np.zeros((1, 8, 8), bool)}
    for other in (crowd, without):
        assert CopyPaste(share=1.0)(below, other, chance(0)) is below


def test_a_smaller_image_lands_anywhere_inside_and_a_larger_one_is_cut():
    below, dot = square((0, 0, 8, 8)), square((0, 0, 1, 1), (6, 7), label=1)
    places = set()
    for seed in range(200):
        box = CopyPaste(share=1.0)(below, dot, chance(seed))["boxes"][1]
        places.add((*box[:2].astype(int).tolist(),))
    assert places == {(x, y) for x in range(2) for y in range(3)}
    middle = square((4, 0, 5, 10), (10, 10), label=1)
    lefts = set()
    for seed in range(200):
        result = CopyPaste(share=1.0)(below, middle, chance(seed))
        x1, y1, x2, y2 = result["boxes"][1]
        assert (y1, y2, x2 - x1) == (0, 8, 1)
        lefts.add(int(x1))
    assert lefts == {2, 3, 4}


def test_share_is_the_chance_of_each_object():
    other = drawn_sample(chance(0), (20, 20), first_label=100, crowds=False, count=6)
    count = len(other["labels"])
    assert count > 2
    below = {**square((0, 0, 1, 1), (20, 20)), "keypoints": np.zeros((1, JOINTS, 3))}
    numbers = [
        (CopyPaste(share=0.3)(below, other, chance(seed))["labels"] >= 100).sum()
        for seed in range(400)
    ]
    assert abs(np.mean(numbers) - 0.3 * count) < 0.15


def test_probability_is_that_of_pasting_at_all():
    below, above = square((0, 0, 4, 4)), square((2, 0, 8, 8), label=1)
    untouched = [
        CopyPaste(probability=0.25, share=1.0)(below, above, chance(seed)) is below
        for seed in range(400)
    ]
    assert 270 < sum(untouched) < 330
    assert CopyPaste(probability=0.0)(below, above, chance(0)) is below


def test_samples_that_do_not_fit_are_refused():
    below, above = square((0, 0, 4, 4)), square((2, 0, 8, 8), label=1)
    bare = square((2, 0, 8, 8), label=1, masks=False)
    with pytest.raises(ValueError, match="received other of image_id=1 without"):
        CopyPaste()(below, bare, chance(0))
    with pytest.raises(ValueError, match="received sample of image_id=1 without"):
        CopyPaste()(bare, below, chance(0))
    resized = above | {"image": above["image"].astype(np.float32)}
    with pytest.raises(ValueError, match="one dtype; received uint8 and float32"):
        CopyPaste()(below, resized, chance(0))
    posed = above | {"keypoints": np.zeros((1, 5, 3), np.float32)}
    with pytest.raises(ValueError, match="same keypoints; received 0 and 5 of them"):
        CopyPaste()(below, posed, chance(0))


@pytest.mark.parametrize("name", ["probability", "share"])
def test_shares_outside_0_to_1_are_refused(name):
    match = rf"{name} must be a number from 0 to 1; received {name}=-0\.5"
    with pytest.raises(ValueError, match=match):
        CopyPaste(**{name: -0.5})
