import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import FeatureSelection


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("norm", ["frozen_batch", "batch", "group"])
def test_keeps_what_a_layer_owes(norm):
    check_layer(
        FeatureSelection,
        {"channels": 6, "norm": norm, "use_bias": True},
        (maps(2, 5, 4, 3),),
        ((None, None, None, 3),),
        (maps(1, 3, 7, 3, seed=1),),
    )


def test_channels_are_weighed_by_one_and_their_gate():
    layer = FeatureSelection(1)
    layer.build((None, None, None, 2))
    # The means are 2 and 10; the gate reads channel 0 only: sigmoid(2 / 2), sigmoid(0).
    cells = np.array([[1, 10], [3, 10]], "float32").reshape(1, 1, 2, 2)
    layer.gate.kernel.assign(np.array([[0.5, 0], [0, 0]]).reshape(1, 1, 2, 2))
    layer.kernel.assign(np.array([1.0, 100.0]).reshape(1, 1, 2, 1))
    first, second = 1 + 1 / (1 + np.exp(-1)), 1.5
    expected = [1 * first + 1000 * second, 3 * first + 1000 * second]
    assert_allclose(outputs_of(layer, cells)[0, 0, :, 0], expected, rtol=1e-5)


def test_it_equals_the_gate_on_the_map_as_in_the_paper():
    keras.utils.set_random_seed(0)
    inputs = maps(2, 5, 4, 6)
    layer = FeatureSelection(3)
    layer.build(inputs.shape)
    mean = inputs.mean(axis=(1, 2))
    gate = 1 / (1 + np.exp(-mean @ arrays(layer.gate.kernel)[0, 0]))
    gated = inputs + inputs * gate[:, None, None]
    expected = gated @ arrays(layer.kernel)[0, 0]
    assert_allclose(outputs_of(layer, inputs), expected, atol=1e-5)


def test_each_image_has_its_own_gate():
    layer = FeatureSelection(3)
    inputs = maps(2, 4, 4, 6)
    layer.build(inputs.shape)
    randomize(layer)
    both = outputs_of(layer, inputs)
    for number in range(2):
        alone = outputs_of(layer, inputs[number : number + 1])[0]
        assert_allclose(both[number], alone, atol=1e-5)


def test_there_is_no_bias_unless_asked_for():
    for use_bias in (False, True):
        layer = FeatureSelection(3, use_bias=use_bias)
        layer.build((None, None, None, 4))
        names = {v.path.split("/", 1)[1] for v in layer.weights}
        assert names == {"kernel", "gate/kernel"} | (
            {"gate/bias"} if use_bias else set()
        )
        if use_bias:
            zeros = np.zeros((1, 2, 2, 4), "float32")
            assert_array_equal(outputs_of(layer, zeros), np.zeros((1, 2, 2, 3)))


def test_start_is_uniform_within_the_square_root_of_three_by_the_inputs():
    keras.utils.set_random_seed(0)
    layer = FeatureSelection(48)
    layer.build((None, None, None, 64))
    limit = np.sqrt(3 / 64)
    kernels = [arrays(layer.kernel), arrays(layer.gate.kernel)]
    for kernel in kernels:
        assert 0.95 * limit < np.abs(kernel).max() < 1.001 * limit
    assert abs(kernels[0][..., :48] - kernels[1][..., :48]).max() > 0.1


def test_another_norm_raises():
    with pytest.raises(ValueError, match="received norm='layer'"):
        FeatureSelection(8, norm="layer").build((None, None, None, 4))
