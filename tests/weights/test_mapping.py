import keras
import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays

from keras_fpn.layers import ConvNorm, DepthwiseConvNorm
from keras_fpn.weights.mapping import (
    Slot,
    as_is,
    conv_kernel,
    conv_norm_slots,
    dense_kernel,
    dense_slots,
    depthwise_kernel,
    fill,
)


def floats(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.fixture
def slots():
    """A vector "a" of 2 and a matrix "b" of 2 x 3, which comes transposed."""
    a = keras.Variable(np.zeros(2, "float32"), name="a")
    b = keras.Variable(np.ones((2, 3), "float32"), name="b")
    return [Slot("a", a, as_is), Slot("b", b, dense_kernel)]


def values(slots):
    return [arrays(slot.variable) for slot in slots]


def assert_untouched(slots):
    assert_array_equal(values(slots)[0], np.zeros(2))
    assert_array_equal(values(slots)[1], np.ones((2, 3)))


def test_every_tensor_goes_to_its_variable_in_its_layout(slots):
    a, b = floats(2), floats(3, 2)
    fill(slots, {"b": b, "a": a})
    assert_array_equal(values(slots)[0], a)
    assert_array_equal(values(slots)[1], b.T)


@pytest.mark.parametrize("dtype", ["float16", "float64", ml_dtypes.bfloat16])
def test_any_kind_of_float_is_taken(slots, dtype):
    tensors = {"a": np.array([0.5, -2], dtype), "b": np.full((3, 2), 0.25, dtype)}
    fill(slots, tensors)
    assert_array_equal(values(slots)[0], [0.5, -2])
    assert {value.dtype.name for value in values(slots)} == {"float32"}


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "complex64"])
def test_what_is_no_float_is_refused_by_name(slots, dtype):
    message = f"must be floats; received b of dtype {dtype}"
    with pytest.raises(ValueError, match=message):
        fill(slots, {"a": floats(2), "b": np.ones((3, 2), dtype)})
    assert_untouched(slots)


def test_a_missing_tensor_is_refused_by_name(slots):
    with pytest.raises(ValueError, match=r"1 missing \['b'\] and 0 surplus \[\]"):
        fill(slots, {"a": floats(2)})
    assert_untouched(slots)


def test_a_surplus_tensor_is_refused_by_name(slots):
    with pytest.raises(ValueError, match=r"0 missing \[\] and 2 surplus \['c', 'd'\]"):
        fill(slots, {"a": floats(2), "b": floats(3, 2), "d": 0, "c": 0})
    assert_untouched(slots)


def test_long_lists_of_names_are_cut():
    slots = [Slot(f"key{n:02}", keras.Variable(0.0), as_is) for n in range(11)]
    message = r"11 missing \['key00', .*'key07'\] and 3 more and 1 surplus \['x'\]"
    with pytest.raises(ValueError, match=message):
        fill(slots, {"x": 0})


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ((2, 3), r"b \(2, 3\)"),  # not transposed
        ((3, 2, 1), r"b \(3, 2, 1\)"),
        ((6,), r"b \(6,\)"),
        ((), r"b \(\)"),
        ((0, 2), r"b \(0, 2\)"),
    ],
)
def test_a_misshapen_tensor_is_refused_with_its_shape(slots, shape, named):
    with pytest.raises(ValueError, match=rf"received 1 misshapen \['{named}'\]"):
        fill(slots, {"a": floats(2), "b": floats(*shape)})
    assert_untouched(slots)


def test_all_misshapen_tensors_are_named(slots):
    message = r"2 misshapen \['a \(3,\)', 'b \(4, 4\)'\]"
    with pytest.raises(ValueError, match=message):
        fill(slots, {"a": floats(3), "b": floats(4, 4)})


def test_a_tensor_of_other_rank_than_the_layouts_is_misshapen():
    kernel = keras.Variable(np.zeros((3, 3, 2, 4)))
    with pytest.raises(ValueError, match=r"misshapen \['k \(4, 18\)'\]"):
        fill([Slot("k", kernel, conv_kernel)], {"k": floats(4, 18)})


def test_nothing_to_fill_and_nothing_given_is_fine():
    fill([], {})


def test_layouts_by_where_each_element_goes():
    conv = floats(5, 4, 3, 2)  # out, in, h, w
    assert conv_kernel(conv).shape == (3, 2, 4, 5)
    assert conv_kernel(conv)[2, 1, 3, 4] == conv[4, 3, 2, 1]
    depthwise = floats(5, 1, 3, 2)  # channels, 1, h, w
    assert depthwise_kernel(depthwise).shape == (3, 2, 5, 1)
    assert depthwise_kernel(depthwise)[2, 1, 4, 0] == depthwise[4, 0, 2, 1]
    dense = floats(5, 4)  # out, in
    assert dense_kernel(dense)[3, 2] == dense[2, 3]


VECTORS = ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]


@pytest.mark.parametrize(
    ("norm", "keys"),
    [
        (None, ["conv.weight", "conv.bias"]),
        ("frozen_batch", ["conv.weight", *VECTORS]),
        ("batch", ["conv.weight", *VECTORS]),
        ("group", ["conv.weight", *VECTORS[:2]]),
    ],
)
def test_a_convolution_and_its_norm_take_torchs_tensors(norm, keys):
    layer = ConvNorm(4, 3, norm=norm)
    layer.build((None, None, None, 2))
    slots = conv_norm_slots(layer, "conv", "norm")
    assert [slot.key for slot in slots] == keys
    tensors = {key: floats(4, seed=n) for n, key in enumerate(keys)}
    tensors["conv.weight"] = floats(4, 2, 3, 3)
    fill(slots, tensors)
    assert arrays(layer.kernel)[2, 1, 1, 3] == tensors["conv.weight"][3, 1, 2, 1]
    if norm is None:
        assert_array_equal(arrays(layer.bias), tensors["conv.bias"])
        return
    owner = layer.group_norm if norm == "group" else layer
    ours = ["gamma", "beta", "moving_mean", "moving_variance"]
    for key, name in zip(keys[1:], ours, strict=False):
        assert_array_equal(arrays(getattr(owner, name)), tensors[key])


def test_a_depthwise_convolution_has_a_layout_of_its_own():
    layer = DepthwiseConvNorm(4, 3, norm="batch")
    layer.build((None, None, None, 4))
    [kernel] = [s for s in conv_norm_slots(layer, "c", "n") if s.key == "c.weight"]
    tensor = floats(4, 1, 3, 3)
    fill([kernel], {"c.weight": tensor})
    assert arrays(layer.kernel)[2, 1, 3, 0] == tensor[3, 0, 2, 1]


def test_a_dense_layer_takes_a_linear_modules_tensors():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    weight, bias = floats(3, 2), floats(3, seed=1)
    fill(dense_slots(layer, "fc"), {"fc.weight": weight, "fc.bias": bias})
    inputs = floats(5, 2, seed=2)
    expected = inputs @ weight.T + bias
    np.testing.assert_allclose(arrays(layer(inputs)), expected, rtol=1e-4, atol=1e-5)
