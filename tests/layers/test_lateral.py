import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import LateralConnection, SmoothingConvolution

BOTH = pytest.mark.parametrize("make", [LateralConnection, SmoothingConvolution])


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@BOTH
@pytest.mark.parametrize("norm", ["frozen_batch", "group"])
def test_keeps_what_a_layer_owes(make, norm):
    check_layer(
        make,
        {"channels": 6, "norm": norm},
        (maps(2, 5, 4, 3),),
        ((None, None, None, 3),),
        (maps(1, 3, 7, 3, seed=1),),
    )


def test_lateral_mixes_the_channels_of_a_cell_without_activation():
    lateral = LateralConnection(2)
    lateral.build((None, None, None, 3))
    lateral.kernel.assign(np.array([[1, 0], [10, 0], [100, -1]]).reshape(1, 1, 3, 2))
    lateral.bias.assign([0.5, 0])
    cells = np.array([[1, 2, 3], [4, 5, 6]], "float32").reshape(1, 1, 2, 3)
    got = outputs_of(lateral, cells)[0, 0]
    assert_array_equal(got, [[321.5, -3], [654.5, -6]])  # -3 passes: no ReLU


def test_smoothing_sums_three_by_three_cells_with_zeros_around():
    smooth = SmoothingConvolution(1)
    smooth.build((None, None, None, 1))
    smooth.kernel.assign(np.ones((3, 3, 1, 1)))
    cells = -np.arange(1, 7, dtype="float32").reshape(1, 2, 3, 1)
    # Columns add up to 5, 7, 9; at the sides one of three columns is missing.
    assert_array_equal(outputs_of(smooth, cells)[0, :, :, 0], [[-12, -21, -16]] * 2)


@BOTH
def test_start_is_uniform_within_the_square_root_of_three_by_the_inputs(make):
    keras.utils.set_random_seed(0)
    layer = make(64)
    layer.build((None, None, None, 32))
    kernel = arrays(layer.kernel)
    limit = np.sqrt(3 / np.prod(kernel.shape[:3]))
    assert 0.95 * limit < np.abs(kernel).max() < 1.001 * limit
    assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.05)
    assert not arrays(layer.bias).any()


@BOTH
def test_a_norm_takes_the_place_of_the_bias(make):
    layer = make(6, norm="batch")
    layer.build((None, None, None, 3))
    names = {variable.name for variable in layer.weights}
    assert names == {"kernel", "gamma", "beta", "moving_mean", "moving_variance"}


@BOTH
def test_what_a_convolution_takes_besides_is_kept_too(make):
    layer = make(6, norm="frozen_batch", epsilon=0.25)
    layer.build((None, None, None, 3))
    again = make.from_config(layer.get_config())
    again.build((None, None, None, 3))
    randomize(layer)
    again.set_weights(layer.get_weights())
    inputs = maps(1, 3, 3, 3)
    assert_array_equal(outputs_of(again, inputs), outputs_of(layer, inputs))


@BOTH
def test_the_papers_channels_are_the_default(make):
    assert make().filters == 256
    assert make().norm is None


@BOTH
def test_another_norm_is_refused(make):
    with pytest.raises(ValueError, match="received norm='layer'"):
        make(8, norm="layer")
