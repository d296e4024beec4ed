"""MultiScale and LargeScaleJitter: objects at other scales, seen in the image."""

import numpy as np
import pytest
from data.drawn import chance, channel_sample, check_equal, check_resized, copied

from keras_fpn.data import LargeScaleJitter, MultiScale
from keras_fpn.data.sample import resize_sample
from keras_fpn.preprocessing import resized_size

SEEDS = 1000
GREY = np.array([123.675, 116.28, 103.53], np.float32)  # ImageNet's mean, times 255


def half_and_half():
    """4 wide, 2 high: white left, black right; the white half is the object."""
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, :2] = 255
    return {
        "image": image,
        "boxes": np.array([[0, 0, 2, 2]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": image[None, ..., 0] > 0,
        "keypoints": np.array([[[1, 1, 2]]], np.float32),
    }


def test_multi_scale_resizes_to_one_of_its_lengths():
    sample = half_and_half()
    augment = MultiScale([4, 6, 8], max_size=12)
    random = chance(0)
    results = [augment(sample, random) for _ in range(300)]
    counts = {}
    for result in results:
        size = result["image"].shape[:2]
        counts[size] = counts.get(size, 0) + 1
        check_equal(result, resize_sample(sample, size))
    # A shorter side of 8 would make the longer 16: 12 is the limit, as for 6.
    assert set(counts) == {resized_size((2, 4), 4, 12), (6, 12)}
    assert 70 < counts[4, 8] < 130  # a third


def test_drawn_objects_stay_in_their_boxes_at_multiple_scales():
    augment = MultiScale((8, 13, 31), max_size=48)
    sizes = set()
    for seed in range(SEEDS):
        sample = channel_sample(chance(seed))
        before = copied(sample)
        scaled = augment(sample, chance(seed + 1))
        check_equal(sample, before)
        check_resized(scaled)
        assert len(scaled["boxes"]) == len(sample["boxes"])
        sizes.add(min(scaled["image"].shape[:2]))
    assert {8, 13, 31} <= sizes


def test_jitter_enlarges_and_cuts():
    # Factor 2 of 4 pixels: 4x8, of which 4 columns are kept, from the old 0, 1 or 2.
    augment = LargeScaleJitter(4, 2.0, 2.0)
    seen = set()
    for seed in range(60):
        jittered = augment(half_and_half(), chance(seed))
        column = 2 - round(jittered["image"][0, :, 0].sum() / 255 / 2)
        seen.add(column)
        np.testing.assert_array_equal(
            jittered["image"], resize_sample(crop(column), (4, 4))["image"]
        )
        if column == 2:
            assert jittered["boxes"].shape == (0, 4)
            continue
        width = 4 - 2 * column
        np.testing.assert_array_equal(jittered["boxes"], [[0, 0, width, 4]])
        assert jittered["masks"][0].sum() == width * 4
        np.testing.assert_array_equal(
            jittered["keypoints"], [[[(1 - column) * 2, 2, 2]]]
        )
    assert seen == {0, 1, 2}


def crop(column):
    """Columns of the half and half sample, without its objects."""
    sample = half_and_half()
    none = {name: sample[name][:0] for name in ("boxes", "labels", "is_crowd")}
    return {"image": sample["image"][:, column : column + 2], **none}


def test_jitter_shrinks_and_pads_with_grey():
    jittered = LargeScaleJitter(8, 0.5, 0.5)(half_and_half(), chance(0))
    expected = np.broadcast_to(GREY, (8, 8, 3)).copy()
    expected[:2, :4] = half_and_half()["image"]  # 4 pixels are half of 8 already
    np.testing.assert_array_equal(jittered["image"], expected)
    np.testing.assert_array_equal(jittered["boxes"], [[0, 0, 2, 2]])
    np.testing.assert_array_equal(np.argwhere(jittered["masks"][0])[-1], [1, 1])
    assert jittered["masks"].shape == (1, 8, 8)
    np.testing.assert_array_equal(jittered["keypoints"], [[[1, 1, 2]]])


def test_drawn_objects_stay_in_their_boxes_when_jittered():
    augment = LargeScaleJitter(32)
    dropped = padded = 0
    for seed in range(SEEDS):
        sample = channel_sample(chance(seed), largest=40)
        before = copied(sample)
        jittered = augment(sample, chance(seed + 1))
        check_equal(sample, before)
        assert jittered["image"].shape == (32, 32, 3)
        check_resized(jittered)
        gone = np.setdiff1d(sample["labels"], jittered["labels"])
        assert (jittered["image"][..., gone] < 127.6).all(), "what is seen is kept"
        dropped += len(gone)
        padded += (jittered["image"][-1] == GREY).all()
    assert dropped > SEEDS / 50
    assert SEEDS / 4 < padded < 3 * SEEDS / 4


def test_factors_of_the_jitter_are_even():
    """Of the longer side, seen where it is shorter than the square."""
    sample = half_and_half()
    augment = LargeScaleJitter(100)
    widths = [grey_from(augment(sample, chance(seed))["image"]) for seed in range(400)]
    widths = np.array(widths)
    assert widths.min() >= 10  # 0.1 of 100
    assert abs((widths < 100).mean() - 0.9 / 1.9) < 0.08
    assert abs(np.median(widths[widths < 100]) - 55) < 8


def grey_from(image):
    """The first column that is padding."""
    grey = (image == GREY).all(axis=(0, 2))
    return int(grey.argmax()) if grey.any() else image.shape[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (700, 2)])
def test_tiny_and_oblong_photos_are_jittered(size):
    image = np.full((*size, 3), 255, np.uint8)
    height, width = size
    sample = {
        "image": image,
        "boxes": np.array([[0, 0, width, height]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": np.ones((1, *size), bool),
    }
    for seed in range(50):
        jittered = LargeScaleJitter(16)(sample, chance(seed))
        seen = (jittered["image"] == 255).all(axis=2)
        np.testing.assert_array_equal(jittered["masks"][0], seen)
        y, x = np.argwhere(seen)[-1] + 1
        # The box fills what is seen of the photo, but for a pixel's fraction.
        np.testing.assert_allclose(jittered["boxes"], [[0, 0, x, y]], atol=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiScale(()), r"at least one; received min_sizes=\(\)"),
        (lambda: MultiScale(640), "received min_sizes=640"),
        (lambda: MultiScale((640, 0)), "received min_sizes=0"),
        (lambda: MultiScale((640,), 0.5), r"received max_size=0\.5"),
        (lambda: LargeScaleJitter(0), "received size=0"),
        (lambda: LargeScaleJitter(64, 0.0), r"received low, high=\(0\.0, 2\.0\)"),
        (lambda: LargeScaleJitter(64, 2, 1), r"received low, high=\(2, 1\)"),
    ],
)
def test_sizes_that_cannot_be_meant_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_photo_too_oblong_for_multi_scale_is_refused():
    sample = {**crop(0), "image": np.zeros((1, 5000, 3), np.uint8)}
    with pytest.raises(ValueError, match=r"received size=\(1, 5000\)"):
        MultiScale((800,), 1333)(sample, chance(0))
