import numpy as np
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

from keras_fpn.layers import NormalizePixels

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)


def photos(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def sizes(*values):
    return np.array(values, "float32")


def normalized(images, image_sizes, **options):
    return outputs_of(NormalizePixels(MEAN, STD, **options), images, image_sizes)


def test_keeps_what_a_layer_owes():
    check_layer(
        NormalizePixels,
        {"mean": MEAN, "std": STD},
        (photos(2, 6, 8, 3), sizes((6, 8), (3, 5))),
        ((None, None, None, 3), (None, 2)),
        (photos(1, 5, 4, 3), sizes((5, 2))),
    )


def test_channels_are_scaled_each_by_its_own_mean_and_deviation():
    images = np.array([[0, 0, 0], [255, 255, 255], [51, 51, 51]], "float32")
    got = normalized(images.reshape(1, 1, 3, 3), sizes((1, 3)))[0, 0]
    expected = [
        [-0.5 / 0.25, -0.4 / 0.2, -0.3 / 0.1],
        [0.5 / 0.25, 0.6 / 0.2, 0.7 / 0.1],
        [-0.3 / 0.25, -0.2 / 0.2, -0.1 / 0.1],  # 51 / 255 = 0.2
    ]
    assert_allclose(got, expected, rtol=1e-5)


def test_padding_is_zero_after_normalizing_whatever_it_holds():
    images = photos(2, 4, 5, 3)
    got = normalized(images, sizes((3, 5), (4, 2)))  # height, width
    inside = np.zeros((2, 4, 5), bool)
    inside[0, :3, :] = inside[1, :, :2] = True
    assert not got[~inside].any()
    whole = normalized(images, sizes((4, 5), (4, 5)))
    assert_array_equal(got[inside], whole[inside])
    assert (whole[~inside] != 0).all()


def test_padding_that_is_no_number_becomes_zero_too():
    images = photos(1, 3, 3, 3)
    images[0, 2] = np.nan
    got = normalized(images, sizes((2, 3)))
    assert np.isfinite(got).all()
    assert not got[0, 2].any()


def test_an_image_of_only_padding_is_zero():
    assert not normalized(photos(1, 3, 3, 3), sizes((0, 0))).any()


def test_pixels_are_not_rounded_before_they_are_normalized():
    # Between 128 and 256 bfloat16 has whole numbers only, and resizing makes others.
    # With a deviation of 1/255 around 200 these come out as 0 and 0.5.
    layer = NormalizePixels((200 / 255,) * 3, (1 / 255,) * 3, dtype="mixed_bfloat16")
    images = np.array([[[[200] * 3, [200.5] * 3]]], "float32")
    got = outputs_of(layer, images, sizes((1, 2)))
    assert got.dtype.name == "bfloat16"
    assert_allclose(got[0, 0, :, 0].astype("float32"), [0, 0.5], atol=1e-2)


def test_sizes_are_not_rounded_under_mixed_precision():
    # 257 is no bfloat16, its neighbours are 256 and 258.
    images = np.full((1, 1, 260, 3), 255, "float32")
    got = normalized(images, sizes((1, 257)), dtype="mixed_bfloat16")
    assert np.count_nonzero(got[0, 0, :, 0]) == 257
