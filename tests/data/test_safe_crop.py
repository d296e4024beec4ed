"""SafeCrop: cut objects, seen in the image, and always one of them left."""

import numpy as np
import pytest
from data.drawn import chance, check_equal, check_seen, copied, drawn_sample

from keras_fpn.data import SafeCrop

SEEDS = 1000


def placed_sample(random, **options):
    """A drawn sample whose blue tells every pixel's place: 16 y + x."""
    sample = drawn_sample(random, size=random.integers(1, 17, 2), **options)
    height, width = sample["image"].shape[:2]
    places = 16 * np.arange(height)[:, None] + np.arange(width)
    sample["image"][..., 2] = places
    return sample


def window_of(cropped):
    """The window, xyxy, that a placed sample was cut to."""
    height, width = cropped["image"].shape[:2]
    y, x = divmod(int(cropped["image"][0, 0, 2]), 16)
    return x, y, x + width, y + height


def kept_by_hand(sample, window, min_visible):
    """Labels of the objects that are to be kept, told one by one."""
    kept = []
    x1, y1, x2, y2 = window
    for row, label in enumerate(sample["labels"]):
        a, b, c, d = sample["boxes"][row]
        wide, high = min(c, x2) - max(a, x1), min(d, y2) - max(b, y1)
        if not sample["masks"][row][y1:y2, x1:x2].any():
            continue
        share = max(wide, 0) * max(high, 0) / ((c - a) * (d - b))
        central = x1 <= (a + c) / 2 <= x2 and y1 <= (b + d) / 2 <= y2
        if share < min_visible and not central and not sample["is_crowd"][row]:
            x, y = nearest_pixel(sample["masks"][row], (a + c) / 2, (b + d) / 2)
            if not (x1 <= x < x2 and y1 <= y < y2):
                continue
        kept.append(label)
    return kept


def nearest_pixel(mask, x, y):
    """The mask's pixel, x and y, whose centre is nearest; the first of several."""

    def distance(pixel):
        return (pixel[1] + 0.5 - x) ** 2 + (pixel[0] + 0.5 - y) ** 2

    return min(np.argwhere(mask), key=distance)[::-1]


@pytest.mark.parametrize("min_visible", [0.0, 0.25, 1.0])
def test_drawn_objects_stay_in_their_boxes_and_one_is_always_left(min_visible):
    augment = SafeCrop(1.0, low=0.1, min_visible=min_visible)
    dropped = 0
    for seed in range(SEEDS):
        sample = placed_sample(chance(seed))
        before = copied(sample)
        cropped = augment(sample, chance(seed + 1))
        check_equal(sample, before)
        check_seen(cropped)
        x1, y1, x2, y2 = window = window_of(cropped)
        np.testing.assert_array_equal(cropped["image"], sample["image"][y1:y2, x1:x2])
        kept = kept_by_hand(sample, window, min_visible)
        np.testing.assert_array_equal(cropped["labels"], kept)
        if not sample["is_crowd"].all():
            assert not cropped["is_crowd"].all()
        dropped += len(sample["labels"]) - len(kept)
    assert dropped > SEEDS / 10


def test_one_object_is_left_without_masks_too():
    augment = SafeCrop(1.0, low=0.0)
    for seed in range(SEEDS):
        sample = placed_sample(chance(seed), crowds=False)
        del sample["masks"]
        cropped = augment(sample, chance(seed + 1))
        assert len(cropped["boxes"]) >= min(len(sample["boxes"]), 1)
        sides = cropped["boxes"][:, 2:] - cropped["boxes"][:, :2]
        assert (sides > 0).all()


def test_every_window_around_the_centre_occurs():
    """A strip of 7 pixels, an object on the fourth, windows of 3."""
    sample = {
        "image": np.arange(21, dtype=np.uint8).reshape(1, 7, 3),
        "boxes": np.array([[3, 0, 4, 1]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
    }
    starts = []
    for seed in range(1200):
        image = SafeCrop(1.0, low=0.0)(sample, chance(seed))["image"]
        if image.shape[1] == 3:
            starts.append(int(image[0, 0, 0]) // 3)
    counts = np.bincount(starts, minlength=7)
    np.testing.assert_array_equal(np.flatnonzero(counts), [1, 2, 3])
    assert counts.max() < 1.5 * counts[1:4].min()


def test_sides_are_at_least_the_lowest_share():
    sample = drawn_sample(chance(0), size=(40, 20))
    sizes = [
        SafeCrop(1.0, low=0.5)(sample, chance(s))["image"].shape[:2] for s in range(300)
    ]
    assert np.min(sizes, axis=0).tolist() == [20, 10]
    assert np.max(sizes, axis=0).tolist() == [40, 20]


def test_the_centre_of_a_bent_object_is_the_nearest_pixel_of_its_mask():
    """A ring: nothing of it is at its box's centre."""
    mask = np.ones((1, 15, 15), bool)
    mask[0, 1:14, 1:14] = False
    sample = {
        "image": np.zeros((15, 15, 3), np.uint8),
        "boxes": np.array([[0, 0, 15, 15]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": mask,
    }
    for seed in range(200):
        cropped = SafeCrop(1.0, low=0.0)(sample, chance(seed))
        assert len(cropped["boxes"]) == 1
        assert cropped["masks"].any()


def test_a_mask_outside_its_box_does_not_lose_the_object():
    """Annotations that contradict themselves: the box decides where to cut."""
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 0, 0] = True
    sample = {
        "image": np.zeros((8, 8, 3), np.uint8),
        "boxes": np.array([[6, 6, 7, 7]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": mask,
    }
    for seed in range(100):
        cropped = SafeCrop(1.0, low=0.0)(sample, chance(seed))
        x1, y1, x2, y2 = cropped["boxes"][0]
        assert (x2 - x1, y2 - y1) == (1, 1)


def test_boxes_that_reach_outside_are_judged_by_what_is_inside():
    sample = {
        "image": np.zeros((10, 10, 3), np.uint8),
        "boxes": np.array([[8, 8, 400, 400]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
    }
    for seed in range(100):
        cropped = SafeCrop(1.0, low=0.0)(sample, chance(seed))
        assert len(cropped["boxes"]) == 1
        assert cropped["boxes"].max() <= max(cropped["image"].shape[:2])


def test_nothing_is_left_where_nothing_was_inside():
    sample = {
        "image": np.zeros((10, 10, 3), np.uint8),
        "boxes": np.array([[20, 20, 30, 30]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": np.zeros((1, 10, 10), bool),
    }
    cropped = SafeCrop(1.0)(sample, chance(0))
    assert cropped["boxes"].shape == (0, 4)
    assert cropped["masks"].shape == (0, *cropped["image"].shape[:2])


def test_probabilities_are_kept():
    sample = drawn_sample(chance(0), size=(30, 30))
    cut = [
        SafeCrop(0.25, low=0.0)(sample, chance(seed)) is not sample
        for seed in range(400)
    ]
    assert 70 < sum(cut) < 130
    assert SafeCrop(0.0)(sample, chance(0)) is sample


@pytest.mark.parametrize("name", ["probability", "low", "min_visible"])
def test_shares_outside_0_to_1_are_refused(name):
    match = rf"{name} must be a number from 0 to 1; received {name}=1\.1"
    with pytest.raises(ValueError, match=match):
        SafeCrop(**{name: 1.1})
