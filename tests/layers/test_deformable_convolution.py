import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import DeformableConvolution


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("separate", [False, True], ids=["own", "other-features"])
def test_keeps_what_a_layer_owes(separate):
    both = slice(2 if separate else 1)
    check_layer(
        DeformableConvolution,
        {"filters": 6, "kernel_size": 1, "deformable_groups": 2},
        (maps(2, 5, 4, 4), maps(2, 5, 4, 3, seed=1))[both],
        ((None, None, None, 4), (None, None, None, 3))[both],
        (maps(1, 3, 7, 4, seed=2), maps(1, 3, 7, 3, seed=3))[both],
    )


def test_it_starts_as_half_a_convolution():
    # Offsets are 0 and masks sigmoid(0); the bias is not halved.
    keras.utils.set_random_seed(0)
    layer = DeformableConvolution(3, deformable_groups=2)
    inputs = maps(2, 5, 6, 4)
    layer.build(inputs.shape)
    layer.bias.assign([1.0, 2.0, 3.0])
    convolved = keras.ops.conv(inputs, arrays(layer.kernel), 1, "same")
    got = outputs_of(layer, inputs)
    assert_allclose(got, arrays(convolved) / 2 + [1, 2, 3], atol=1e-5)


def test_offsets_come_from_the_features_that_are_given():
    layer = DeformableConvolution(1, kernel_size=1)
    inputs, features = maps(1, 1, 4, 1), np.array([0, 1, -1, 0], "float32")
    features = features.reshape(1, 1, 4, 1)
    layer.build(inputs.shape, features.shape)
    layer.kernel.assign(np.ones((1, 1, 1, 1)))
    layer.predict_points.kernel.assign(np.array([0.0, 1.0, 0.0]).reshape(1, 1, 1, 3))
    layer.predict_points.bias.assign([0.0, 0.0, 40.0])  # masks of 1
    got = outputs_of(layer, inputs, features)
    assert_allclose(got[0, 0, :, 0], inputs[0, 0, [0, 2, 1, 3], 0], rtol=1e-5)


def test_start_is_uniform_within_one_by_the_square_root_of_the_inputs():
    keras.utils.set_random_seed(0)
    layer = DeformableConvolution(64)
    layer.build((None, None, None, 32))
    kernel = arrays(layer.kernel)
    limit = 1 / np.sqrt(32 * 9)
    assert 0.95 * limit < np.abs(kernel).max() < 1.001 * limit
    assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.05)
    assert not arrays(layer.bias).any()
    assert not arrays(layer.predict_points.kernel).any()


def test_a_map_of_one_cell_works():
    layer = DeformableConvolution(2, deformable_groups=2)
    layer.build((None, None, None, 4))
    randomize(layer)
    assert np.isfinite(outputs_of(layer, maps(1, 1, 1, 4))).all()


def test_half_precision_predicts_points_that_large_maps_need():
    # One row of 600 cells: offsets of 0.5 at column 500 are read at 500.5.
    layer = DeformableConvolution(1, kernel_size=1, dtype="mixed_bfloat16")
    row = (np.arange(600, dtype="float32") % 2).reshape(1, 1, 600, 1)
    layer.build(row.shape)
    layer.kernel.assign(np.ones((1, 1, 1, 1)))
    layer.predict_points.bias.assign([0.0, 0.5, 40.0])
    got = outputs_of(layer, row)[0, 0, :-1, 0].astype("float32")
    assert_array_equal(got, np.full(599, 0.5))


def test_groups_that_do_not_divide_the_channels_raise():
    layer = DeformableConvolution(8, deformable_groups=8)
    with pytest.raises(ValueError, match="deformable_groups=8 for 12 channels"):
        layer.build((None, None, None, 12))


def test_an_even_kernel_raises():
    with pytest.raises(ValueError, match=r"odd.*received kernel_size=2"):
        DeformableConvolution(8, kernel_size=2)


def test_a_kernel_of_five_cells_is_padded_by_two():
    layer = DeformableConvolution(3, kernel_size=5)
    inputs = maps(1, 6, 4, 2)
    layer.build(inputs.shape)
    convolved = keras.ops.conv(inputs, arrays(layer.kernel), 1, "same")
    assert_allclose(outputs_of(layer, inputs), arrays(convolved) / 2, atol=1e-5)
