import keras
import numpy as np
import pytest
from layer_checks import randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers.channel_means import channel_means
from keras_fpn.layers.group_norm import GroupNorm


def maps(*shape, mean=0.5):
    return np.random.default_rng(0).normal(mean, 1, shape).astype("float32")


def built(channels, groups=4, **options):
    layer = GroupNorm(groups, epsilon=1e-5, **options)
    layer.build((None, None, None, channels))
    randomize(layer)
    return layer


def by_loops(layer, inputs):
    """Group norm by its definition, in float64."""
    gamma, beta = (arrays(one).astype("float64") for one in (layer.gamma, layer.beta))
    outputs = np.empty(inputs.shape)
    size = inputs.shape[-1] // layer.groups
    for image, output in zip(inputs.astype("float64"), outputs, strict=True):
        for start in range(0, inputs.shape[-1], size):
            own = slice(start, start + size)
            values = image[..., own]
            normalized = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
            output[..., own] = normalized * gamma[own] + beta[own]
    return outputs


def test_means_are_those_of_each_channel_of_each_image():
    inputs = maps(3, 5, 7, 2)
    means = outputs_of(channel_means, inputs)
    assert_allclose(means, inputs.mean((1, 2)), atol=1e-6)
    assert abs(means - inputs.mean((0, 1, 2))).max() > 1e-2


@pytest.mark.parametrize("shape", [(2, 5, 7, 8), (1, 1, 1, 8), (3, 1, 9, 4)])
def test_it_is_as_defined(shape):
    layer = built(shape[-1])
    inputs = maps(*shape)
    assert_allclose(outputs_of(layer, inputs), by_loops(layer, inputs), atol=1e-5)


def test_large_maps_lose_no_digits():
    layer = built(8)
    inputs = maps(1, 300, 200, 8, mean=3)
    assert_allclose(outputs_of(layer, inputs), by_loops(layer, inputs), atol=1e-5)


def test_a_constant_map_becomes_the_offset():
    layer = built(8)
    expected = np.broadcast_to(arrays(layer.beta), (1, 4, 4, 8))
    found = outputs_of(layer, np.full((1, 4, 4, 8), 7, "float32"))
    assert_allclose(found, expected, atol=1e-6)


def test_images_of_a_batch_do_not_see_each_other():
    layer, inputs = built(8), maps(2, 6, 6, 8)
    [alone] = outputs_of(layer, inputs[1:])
    assert_allclose(outputs_of(layer, inputs)[1], alone, atol=1e-6)


def test_its_weights_are_those_of_kerass_layer():
    layer, theirs = built(8), keras.layers.GroupNormalization(4, epsilon=1e-5)
    theirs.build((None, None, None, 8))
    theirs.set_weights(layer.get_weights())
    inputs = maps(2, 6, 6, 8)
    found, expected = (outputs_of(one, inputs) for one in (layer, theirs))
    assert_allclose(found, expected, atol=1e-5)
    names = [[weight.name for weight in one.weights] for one in (layer, theirs)]
    assert names[0] == names[1]


@pytest.mark.parametrize("other", [{"axis": 1}, {"scale": False}, {"center": False}])
def test_what_it_does_not_do_is_refused(other):
    [(name, value)] = other.items()
    with pytest.raises(ValueError, match=rf"received .*{name}={value}"):
        GroupNorm(2, **other)


def test_half_precision_is_normalized_in_float32():
    layer = built(8, dtype="mixed_bfloat16")
    halves = keras.ops.cast(maps(1, 16, 16, 8, mean=100), "bfloat16")
    found = outputs_of(layer, halves)
    assert str(found.dtype) == "bfloat16"
    expected = by_loops(layer, arrays(halves).astype("float32"))
    assert_allclose(found.astype("float32"), expected, atol=0.01)


@pytest.mark.tensorflow_only
def test_gradients_are_those_of_kerass_layer():
    import tensorflow as tf

    layer, theirs = built(8), keras.layers.GroupNormalization(4, epsilon=1e-5)
    theirs.build((None, None, None, 8))
    theirs.set_weights(layer.get_weights())
    inputs, rates = tf.constant(maps(2, 6, 6, 8)), maps(2, 6, 6, 8, mean=0)
    gradients = []
    for one in (layer, theirs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(one(inputs) * rates)
        sources = [inputs, one.gamma.value, one.beta.value]
        gradients.append(arrays(tape.gradient(loss, sources)))
    for found, expected in zip(*gradients, strict=True):
        assert np.abs(expected).max() > 0.1
        assert_allclose(found, expected, atol=1e-4)
    assert_array_equal(found.shape, (8,))
