import math

import numpy as np
import pytest

from keras_fpn.preprocessing import Preprocessing

PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10


def test_the_numbers_are_torchvisions():
    own = Preprocessing()
    assert (own.min_size, own.max_size, own.size_divisor) == (800, 1333, 32)
    assert own.mean is own.std is None  # the backbone's


def test_a_mean_and_deviation_of_its_own_are_kept():
    others = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    completed = Preprocessing().completed(*others)
    assert (completed.mean, completed.std) == others
    own = Preprocessing(mean=(0.0, 0.0, 0.0))
    assert own.completed(*others) == Preprocessing(mean=own.mean, std=others[1])
    own = Preprocessing(std=(1.0, 1.0, 1e-3))
    assert own.completed(*others) == Preprocessing(mean=others[0], std=own.std)


def test_a_resize_rule_of_its_own_is_kept():
    pixels = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    assert Preprocessing().completed(*pixels).rule == "torchvision"
    assert Preprocessing().completed(*pixels, "detectron2").rule == "detectron2"
    own = Preprocessing(resize_rule="torchvision")
    assert own.completed(*pixels, "detectron2").rule == "torchvision"


def test_a_batch_is_padded_to_the_multiple_of_the_largest():
    photos = [np.full((40, 60, 3), 7, np.uint8), np.full((90, 30, 3), 9, np.uint8)]
    inputs, sizes = Preprocessing(min_size=20, max_size=50).prepare(photos)
    # 20/40 = 0.5; 50/90 = 0.56 < 20/30: 90 -> 50, 30 -> 16.7
    assert sizes == [(20, 30), (50, 16)]
    assert inputs["images"].shape == (2, 64, 32, 3)  # 50 -> 64, 30 -> 32
    for name in ("images", "image_sizes"):
        assert inputs[name].dtype == np.float32
    np.testing.assert_array_equal(inputs["image_sizes"], sizes)
    for image, size, grey in zip(inputs["images"], sizes, (7, 9), strict=True):
        assert (image[: size[0], : size[1]] == grey).all()
        assert image.sum() == pytest.approx(grey * math.prod(size) * 3)  # zeros else


def test_sizes_can_be_given_for_one_batch_and_the_divisor_counts():
    own = Preprocessing(size_divisor=10)
    inputs, sizes = own.prepare([PIXELS], min_size=11, max_size=15)
    assert sizes == [(10, 15)]  # 15/3 = 5 < 11/2
    assert inputs["images"].shape == (1, 10, 20, 3)
    assert own.prepare([PIXELS], max_size=1000)[1] == [(666, 1000)]


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match=r"at least one photo; received photos=\[\]"):
        Preprocessing().prepare([])


def test_a_preprocessing_comes_back_from_its_config():
    own = Preprocessing(
        320, 640, 64, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], resize_rule="detectron2"
    )
    config = own.to_config()
    assert config == {
        "min_size": 320,
        "max_size": 640,
        "size_divisor": 64,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "resize_rule": "detectron2",
    }
    assert Preprocessing.from_config(config) == own
    assert hash(own) == hash(Preprocessing.from_config(config))


def test_wrong_means_and_deviations_are_refused():
    with pytest.raises(ValueError, match=r"mean must be 3 .*mean=\(0.5, 0.5\)"):
        Preprocessing(mean=(0.5, 0.5))
    with pytest.raises(ValueError, match=r"std above 0; received std=\(1.0, 0.0, 1.0"):
        Preprocessing(std=(1, 0, 1))


def test_an_unknown_resize_rule_raises():
    with pytest.raises(ValueError, match=r"\['detectron2', .*resize_rule='pillow'"):
        Preprocessing(resize_rule="pillow")


def test_the_rule_decides_on_size_and_pixels():
    own = Preprocessing(2, 3, size_divisor=1, resize_rule="detectron2")
    assert own.resized_size((5, 8)) == (2, 3)  # 8 * 3 / 5 is over 3: 1.9 and 3
    assert own.resized_size((5, 8), min_size=5, max_size=8) == (5, 8)
    stripes = np.zeros((4, 6, 3), np.uint8)
    stripes[:, ::2] = 255
    inputs, _ = own.prepare([stripes])
    np.testing.assert_array_equal(inputs["images"][0], own.resize(stripes, (2, 3)))
    # Without antialiasing a pixel of every other column would be 127.5 too, but here
    # it blends 3 columns or more.
    assert (inputs["images"] % 1 == 0).all()
    assert not np.array_equal(
        inputs["images"], Preprocessing(2, 3, 1).prepare([stripes])[0]["images"]
    )
