import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import ConvNorm, DepthwiseConvNorm, conv_norm

NORMS = [None, "frozen_batch", "batch", "group"]


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(make, channels, *arguments, **options):
    """A layer with random weights, for maps of so many channels."""
    layer = make(*arguments, kernel_initializer="zeros", **options)
    layer.build((None, None, None, channels))
    randomize(layer)
    return layer


def explicit(layer, inputs, convolution):
    """The same by Keras's own layers: padding, convolution, batch norm."""
    margin = layer.kernel_size // 2 if layer.padding == "symmetric" else 0
    inputs = np.pad(inputs, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    convolution.build(inputs.shape)
    convolution.set_weights([arrays(layer.kernel)])
    norm = keras.layers.BatchNormalization(epsilon=layer.epsilon)
    norm.build(convolution.compute_output_shape(inputs.shape))
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    norm.set_weights([arrays(getattr(layer, name)) for name in names])
    return outputs_of(lambda x: norm(convolution(x), training=False), inputs)


def one_cell_kernel(norm, **options):
    """A convolution that passes its one channel on, for looking at norms."""
    layer = ConvNorm(1, norm=norm, **options)
    layer.build((None, None, None, 1))
    layer.kernel.assign(np.ones((1, 1, 1, 1)))
    return layer


@pytest.mark.parametrize("norm", ["frozen_batch", "batch", "group", "biased_group"])
def test_keeps_what_a_layer_owes(norm):
    check_layer(
        ConvNorm,
        {
            "filters": 6,
            "kernel_size": 3,
            "strides": 2,
            "padding": "same",
            "norm": norm,
            "epsilon": 1e-2,
            "activation": "relu6",
            "kernel_initializer": "ones",
            "use_bias": False,
        },
        (maps(2, 7, 6, 4),),
        ((None, None, None, 4),),
        (maps(1, 5, 4, 4, seed=1),),
    )


def test_depthwise_keeps_what_a_layer_owes():
    check_layer(
        DepthwiseConvNorm,
        {
            "filters": 4,
            "kernel_size": 5,
            "strides": 2,
            "padding": "same",
            "norm": "frozen_batch",
            "epsilon": 1e-2,
            "activation": "hard_swish",
            "kernel_initializer": "ones",
            "use_bias": False,
        },
        (maps(2, 7, 6, 4),),
        ((None, None, None, 4),),
        (maps(1, 5, 4, 4, seed=1),),
    )


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_folded_batch_norm_equals_the_explicit_one(kernel_size, strides, padding):
    norms = {"norm": "frozen_batch", "epsilon": 1e-3, "padding": padding}
    layer = built(ConvNorm, 4, 6, kernel_size, strides, **norms)
    border = "valid" if padding == "symmetric" else "same"
    options = {"padding": border, "use_bias": False, "kernel_initializer": "zeros"}
    for height, width in [(8, 9), (5, 6)]:
        inputs = maps(2, height, width, 4)
        convolution = keras.layers.Conv2D(6, kernel_size, strides, **options)
        expected = explicit(layer, inputs, convolution)
        assert_allclose(outputs_of(layer, inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_depthwise_equals_the_explicit_one(padding):
    norms = {"norm": "batch", "epsilon": 1e-3, "padding": padding}
    layer = built(DepthwiseConvNorm, 4, 4, 3, 2, **norms)
    border = "valid" if padding == "symmetric" else "same"
    convolution = keras.layers.DepthwiseConv2D(3, 2, padding=border, use_bias=False)
    inputs = maps(2, 8, 6, 4)
    expected = explicit(layer, inputs, convolution)
    assert_allclose(outputs_of(layer, inputs), expected, rtol=1e-4, atol=1e-4)


def test_defaults_are_a_bare_convolution_of_single_cells():
    layer = ConvNorm(3)
    assert (layer.kernel_size, layer.strides, layer.padding) == (1, 1, "symmetric")
    assert layer.norm is None
    assert layer.epsilon == 1e-5  # torch's
    assert layer.activation is keras.activations.linear


def test_without_a_norm_there_is_a_bias():
    layer = built(ConvNorm, 3, 2)
    layer.kernel.assign(np.array([[1, 0], [10, 0], [100, 1]]).reshape(1, 1, 3, 2))
    layer.bias.assign([0.5, -7])
    got = outputs_of(layer, np.array([1, 2, 3], "float32").reshape(1, 1, 1, 3))
    assert_array_equal(got.ravel(), [321.5, -4])  # 1 + 20 + 300 + .5, 3 - 7


def test_activation_comes_last():
    layer = built(ConvNorm, 1, 1, activation="relu")
    layer.kernel.assign(np.ones((1, 1, 1, 1)))
    layer.bias.assign([-2.0])
    got = outputs_of(layer, np.array([1, 3], "float32").reshape(1, 1, 2, 1))
    assert_array_equal(got.ravel(), [0, 1])  # relu(1 - 2), relu(3 - 2)


def test_symmetric_padding_looks_equally_far_to_both_sides():
    # Ones, 3 wide, stride 2 on 4 cells. Symmetric: cells -1..1 and 1..3; "same" puts
    # its one zero at the right: cells 0..2 and 2..4.
    row = np.array([1, 2, 4, 8], "float32").reshape(1, 1, 4, 1)
    for padding, expected in [("symmetric", [3, 14]), ("same", [7, 12])]:
        layer = ConvNorm(1, 3, 2, padding=padding, kernel_initializer="ones")
        assert_array_equal(outputs_of(layer, row).ravel(), expected)


@pytest.mark.parametrize(("kernel_size", "strides"), [(1, 2), (3, 2), (7, 2), (3, 3)])
def test_output_has_one_cell_per_stride_rounded_up(kernel_size, strides):
    layer = ConvNorm(1, kernel_size, strides)
    for side in range(1, 8):
        shape = outputs_of(layer, maps(1, side, side + 1, 1)).shape
        rows, columns = -(-side // strides), -(-(side + 1) // strides)
        assert shape == (1, rows, columns, 1)
        assert layer.compute_output_shape((1, side, side + 1, 1)) == shape
    assert layer.compute_output_shape((None, None, 8, 1))[1] is None


def test_batch_norm_in_training_uses_and_keeps_the_batchs_statistics():
    layer = one_cell_kernel("batch", epsilon=0.5)
    layer.gamma.assign([3.0])
    layer.beta.assign([10.0])
    layer.moving_mean.assign([1.0])
    layer.moving_variance.assign([2.0])
    inputs = np.array([0, 4, 0, 4], "float32").reshape(2, 1, 2, 1)  # mean 2, variance 4
    got = arrays(layer(inputs, training=True))
    step = 3 * 2 / np.sqrt(4.5)  # gamma * (4 - 2) / sqrt(variance + epsilon)
    assert_allclose(got.ravel(), [10 - step, 10 + step] * 2, rtol=1e-6)
    assert_allclose(arrays(layer.moving_mean), [0.9 * 1 + 0.1 * 2], rtol=1e-6)
    assert_allclose(arrays(layer.moving_variance), [0.9 * 2 + 0.1 * 4], rtol=1e-6)
    # From now on with the stored statistics, and without changing them.
    got = arrays(layer(inputs, training=False))
    expected = 10 + 3 * (inputs - 1.1) / np.sqrt(2.2 + 0.5)
    assert_allclose(got, expected, rtol=1e-5)
    assert_allclose(arrays(layer.moving_mean), [1.1], rtol=1e-6)


def test_batch_norm_on_two_replicas_has_the_statistics_of_both(monkeypatch):
    own, other = maps(2, 3, 4, 1), 3 + maps(2, 3, 4, 1, seed=1)
    both = np.concatenate([own, other])
    # What each replica adds to a sum: its mean, and its squares around the mean of all.
    sums = iter(
        [
            (own.mean(), other.mean()),
            (((own - both.mean()) ** 2).mean(), ((other - both.mean()) ** 2).mean()),
        ]
    )

    def global_sum(value):
        mine, others = next(sums)
        assert_allclose(arrays(value), [mine], rtol=1e-5)
        return value + others

    monkeypatch.setattr(conv_norm, "replica_count", lambda: 2)
    monkeypatch.setattr(conv_norm, "global_sum", global_sum)
    layer = one_cell_kernel("batch", epsilon=0.0)
    got = arrays(layer(own, training=True))
    assert_allclose(got, (own - both.mean()) / both.std(), rtol=1e-4, atol=1e-5)
    assert_allclose(arrays(layer.moving_mean), [0.1 * both.mean()], rtol=1e-5)
    assert_allclose(arrays(layer.moving_variance), [0.9 + 0.1 * both.var()], rtol=1e-5)


def test_training_batch_norm_is_kerass_own():
    layer = built(ConvNorm, 4, 6, 3, norm="batch", epsilon=1e-2)
    inputs = maps(3, 5, 4, 4)
    own = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-2)
    own.build((None, None, None, 6))
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    own.set_weights([arrays(getattr(layer, name)) for name in names])
    convolved = keras.ops.conv(inputs, layer.kernel, padding="same")
    expected = arrays(own(convolved, training=True))
    assert_allclose(arrays(layer(inputs, training=True)), expected, atol=1e-5)
    for name, value in zip(names, own.get_weights(), strict=True):
        assert_allclose(arrays(getattr(layer, name)), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["frozen_batch", "batch"])
def test_frozen_statistics_are_neither_replaced_nor_updated(norm):
    layer = built(ConvNorm, 2, 3, norm=norm)
    layer.trainable = norm == "frozen_batch"  # a live norm freezes with its layer
    inputs, before = 5 + maps(2, 4, 4, 2), layer.get_weights()
    inference = arrays(layer(inputs, training=False))
    assert_array_equal(arrays(layer(inputs, training=True)), inference)
    for one, other in zip(layer.get_weights(), before, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("norm", "trained", "fixed"),
    [
        (None, ["kernel", "bias"], []),
        (
            "frozen_batch",
            ["kernel"],
            ["gamma", "beta", "moving_mean", "moving_variance"],
        ),
        ("batch", ["kernel", "gamma", "beta"], ["moving_mean", "moving_variance"]),
        ("group", ["kernel", "gamma", "beta"], []),
    ],
)
def test_only_live_norms_are_trained(norm, trained, fixed):
    layer = built(ConvNorm, 4, 8, norm=norm)
    assert [v.name for v in layer.trainable_variables] == trained
    assert [v.name for v in layer.non_trainable_variables] == fixed


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("norm", NORMS)
def test_one_step_of_training_moves_what_is_trained(norm, policy):
    images = keras.Input((None, None, 2))
    layer = ConvNorm(4, 3, 2, norm=norm, dtype=policy)
    model = keras.Model(images, layer(images))
    randomize(layer)
    before = {v.path: arrays(v) for v in layer.weights}
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch(maps(2, 6, 6, 2), maps(2, 3, 3, 4, seed=1))
    live = layer.weights if norm == "batch" else layer.trainable_variables
    moved = {v.path for v in layer.weights if (arrays(v) != before[v.path]).any()}
    assert moved == {v.path for v in live}
    assert all(np.isfinite(arrays(v)).all() for v in layer.weights)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_folding_stays_finite_in_half_precision_without_an_epsilon(policy):
    # 1e-12 is zero in float16; 1e-6 / sqrt(1e-12) is 1. Folded in half precision, the
    # scale would be infinite.
    layer = ConvNorm(1, norm="frozen_batch", epsilon=0.0, dtype=policy)
    layer.build((None, None, None, 1))
    layer.kernel.assign(np.ones((1, 1, 1, 1)))
    layer.gamma.assign([1e-6])
    layer.moving_variance.assign([1e-12])
    layer.moving_mean.assign([0.5])
    got = outputs_of(layer, np.array([1, 2, 4], "float32").reshape(1, 1, 3, 1))
    assert got.dtype.name == policy.removeprefix("mixed_")
    assert_allclose(got.astype("float32").ravel(), [0.5, 1.5, 3.5], rtol=0.01)


def test_folded_kernel_and_bias_by_hand():
    layer = one_cell_kernel("frozen_batch", epsilon=1.0)
    layer.kernel.assign(np.full((1, 1, 1, 1), 5.0))
    layer.gamma.assign([6.0])
    layer.beta.assign([7.0])
    layer.moving_mean.assign([4.0])
    layer.moving_variance.assign([8.0])
    kernel, bias = arrays(layer.folded())
    assert_allclose(kernel.ravel(), [10.0])  # 5 * 6 / sqrt(8 + 1)
    assert_allclose(bias, [-1.0])  # 7 - 4 * 6 / 3


@pytest.mark.parametrize("kind", [ConvNorm, DepthwiseConvNorm])
def test_a_group_norm_cannot_be_folded(kind):
    layer = built(kind, 4, 4, norm="group", name="stem")
    with pytest.raises(ValueError, match=r"received norm='group' of the layer 'stem'"):
        layer.folded()


@pytest.mark.parametrize(("filters", "groups"), [(64, 32), (96, 32), (24, 8), (5, 1)])
def test_group_norm_has_32_groups_or_as_many_as_divide(filters, groups):
    layer = built(ConvNorm, 2, filters, norm="group", epsilon=0.1)
    inputs = maps(2, 3, 4, 2)
    plain = inputs @ arrays(layer.kernel)[0, 0]
    grouped = plain.reshape(2, 3, 4, groups, filters // groups)
    mean = grouped.mean((1, 2, 4), keepdims=True)
    variance = grouped.var((1, 2, 4), keepdims=True)
    normal = ((grouped - mean) / np.sqrt(variance + 0.1)).reshape(plain.shape)
    gamma, beta = arrays(layer.group_norm.gamma), arrays(layer.group_norm.beta)
    for training in (False, True):
        got = outputs_of(lambda x, t=training: layer(x, training=t), inputs)
        assert_allclose(got, normal * gamma + beta, atol=1e-4)


def test_group_norm_does_not_see_the_rest_of_the_batch():
    layer = built(ConvNorm, 2, 8, 3, norm="group")
    inputs = maps(3, 4, 4, 2)
    together = outputs_of(lambda x: layer(x, training=True), inputs)
    alone = outputs_of(lambda x: layer(x, training=True), inputs[1:2])
    assert_allclose(together[1:2], alone, atol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "Batch", True])
def test_another_norm_is_refused(norm):
    with pytest.raises(ValueError, match=f"_group'.; received norm={norm!r}"):
        ConvNorm(4, norm=norm)


def test_another_padding_is_refused():
    with pytest.raises(ValueError, match="or 'same'; received padding='valid'"):
        ConvNorm(4, padding="valid")


def test_depthwise_keeps_the_number_of_channels():
    with pytest.raises(ValueError, match="received filters=3 for 4 channels"):
        DepthwiseConvNorm(3, 3).build((None, None, None, 4))


def test_without_norm_and_bias_only_the_kernel_is_left():
    layer = built(ConvNorm, 3, 4, use_bias=False)
    assert [weight.name for weight in layer.weights] == ["kernel"]
    assert layer.folded()[1] is None
    inputs = maps(1, 4, 4, 3)
    expected = inputs @ arrays(layer.kernel)[0, 0]
    assert_allclose(outputs_of(layer, inputs), expected, atol=1e-5)


def test_a_bias_starts_as_asked_for():
    for start in (0, 1):
        layer = ConvNorm(4)
        if start:
            layer.bias_initializer = "ones"
        layer.build((None, None, None, 3))
        assert_array_equal(layer.bias, [start] * 4)
