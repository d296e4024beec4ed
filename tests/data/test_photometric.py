"""Photometric: colours against a plain loop; objects stay where they are."""

import colorsys

import numpy as np
import pytest
from data.drawn import chance, check_equal, copied, drawn_sample

from keras_fpn.data import Photometric

SEEDS = 1000
NOTHING = {
    "brightness": (1, 1),
    "contrast": (1, 1),
    "saturation": (1, 1),
    "hue": (0, 0),
    "probability": 1.0,
}


def changed(image, random=None, **options):
    sample = {"image": np.asarray(image)}
    augment = Photometric(**{**NOTHING, **options})
    return augment(sample, random or chance(0))["image"]


def pixels_of(random, dtype):
    """3x4 pixels, some of them grey, black, white or of equal channels."""
    image = random.integers(0, 256, (3, 4, 3))
    image[0, 0], image[0, 1] = 0, 255
    image[0, 2] = random.integers(256)
    image[1, 0, 1] = image[1, 0, 0]
    image[1, 1, 2] = image[1, 1, 1]
    return image.astype(dtype)


def grey_of(pixel):
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


def by_pixel(image, function):
    rows = [[function(pixel) for pixel in row] for row in image.astype(np.float64)]
    return np.clip(rows, 0, 255)


def loop(image, step, factor):
    """One step, pixel by pixel in float64."""
    if step == "brightness":
        return by_pixel(image, lambda pixel: pixel * factor)
    if step == "contrast":
        mean = np.mean([grey_of(pixel) for row in image for pixel in row])
        return by_pixel(image, lambda p: p * factor + mean * (1 - factor))
    if step == "saturation":
        return by_pixel(image, lambda p: p * factor + grey_of(p) * (1 - factor))

    def turned(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        turned_hue = (hue + factor) % 1
        return np.multiply(colorsys.hsv_to_rgb(turned_hue, saturation, value), 255)

    return by_pixel(image, turned)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("step", ["brightness", "contrast", "saturation", "hue"])
def test_each_change_is_what_a_plain_loop_makes(step, dtype):
    limit = 0.5 if step == "hue" else 3.0
    for seed in range(SEEDS // 8):
        random = chance(seed)
        image = pixels_of(random, dtype)
        factor = random.uniform(-limit if step == "hue" else 0, limit)
        result = changed(image, **{step: (factor, factor)})
        slack = 0.51 if dtype == np.uint8 else 2e-3
        np.testing.assert_allclose(result, loop(image, step, factor), atol=slack)
        assert result.dtype == dtype


def test_all_changes_come_one_after_the_other():
    factors = {"brightness": 1.3, "contrast": 0.6, "saturation": 1.4, "hue": 0.1}
    ranges = {name: (factor, factor) for name, factor in factors.items()}
    orders = {
        "early": ("brightness", "contrast", "saturation", "hue"),
        "late": ("brightness", "saturation", "hue", "contrast"),
    }
    counts = dict.fromkeys(orders, 0)
    for seed in range(200):
        image = pixels_of(chance(seed), np.float32)
        result = changed(image, chance(seed), **ranges)
        for name, order in orders.items():
            expected = image
            for step in order:
                expected = loop(expected, step, factors[step])
            counts[name] += np.allclose(result, expected, atol=1e-2)
    assert sum(counts.values()) >= 200
    assert min(counts.values()) > 60  # a half each


def test_known_colors():
    red, grey = [[[200, 0, 0]]], [[[90, 90, 90]]]
    third = (1 / 3, 1 / 3)
    np.testing.assert_array_equal(changed(np.uint8(red), hue=third), [[[0, 200, 0]]])
    np.testing.assert_array_equal(changed(np.uint8(grey), hue=third), grey)
    np.testing.assert_array_equal(changed(np.uint8(grey), saturation=(3, 3)), grey)
    # 0.299 * 200 = 59.8
    result = changed(np.uint8(red), saturation=(0, 0))
    np.testing.assert_array_equal(result, [[[60] * 3]])
    result = changed(np.uint8([[[0] * 3, [100] * 3]]), contrast=(0, 0))
    np.testing.assert_array_equal(result, [[[50] * 3] * 2])


def test_changes_of_nothing_change_nothing():
    for seed in range(100):
        image = pixels_of(chance(seed), np.uint8)
        np.testing.assert_array_equal(changed(image), image)


def test_images_larger_than_a_strip_are_changed_to_the_last_pixel():
    image = np.tile(np.uint8([[10, 80, 200]]), (300, 111, 1))
    options = {"hue": (0.2, 0.2), "contrast": (0.7, 0.7), "saturation": (1.2, 1.2)}
    result = changed(image, **options)
    assert (result == result[0, 0]).all()
    assert (result[0, 0] != image[0, 0]).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_drawn_objects_stay_where_they_are_and_of_one_color(dtype):
    """Over all the defaults' choices; the image is within 0..255 and not changed."""
    augment = Photometric()
    same = 0
    for seed in range(SEEDS):
        sample = drawn_sample(chance(seed))
        sample["image"] = sample["image"].astype(dtype)
        before = copied(sample)
        result = augment(sample, chance(seed + 1))
        check_equal(sample, before)
        image = result["image"]
        assert image.dtype == dtype
        assert image.min() >= 0
        assert image.max() <= 255
        for mask in result["masks"]:
            whole = mask & (before["image"][..., 1] == 0)
            assert len(np.unique(image[whole], axis=0)) <= 1
        check_equal({**result, "image": 0}, {**before, "image": 0})
        same += np.array_equal(image, sample["image"])
    assert SEEDS / 16 < same + SEEDS / 32 < SEEDS / 4  # none of four halves: 1 of 16


def test_extreme_factors_stay_within_the_range():
    wild = {"brightness": (0, 9), "contrast": (0, 9), "saturation": (0, 9)}
    for seed in range(300):
        random = chance(seed)
        image = pixels_of(random, np.float32)
        result = changed(image, random, hue=(-0.5, 0.5), **wild)
        assert result.min() >= 0
        assert result.max() <= 255
        assert np.isfinite(result).all()


def test_probability_0_leaves_the_sample():
    sample = drawn_sample(chance(0))
    assert Photometric(probability=0.0)(sample, chance(0)) is sample


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"brightness": (1.2, 0.8)}, r"received brightness=\(1\.2, 0\.8\)"),
        ({"contrast": (-0.1, 1)}, r"received contrast=\(-0\.1, 1\)"),
        ({"saturation": 0.5}, r"received saturation=0\.5"),
        ({"hue": (0, 0.6)}, r"-0\.5 <= low <= high <= 0\.5; received hue=\(0, 0\.6\)"),
        ({"hue": (0, float("nan"))}, r"received hue=\(0, nan\)"),
        ({"brightness": (1, 2, 3)}, r"received brightness=\(1, 2, 3\)"),
        ({"brightness": (1, float("inf"))}, r"received brightness=\(1, inf\)"),
        ({"probability": 2}, "received probability=2"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Photometric(**options)
