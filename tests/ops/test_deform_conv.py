"""Deformable convolution and its errors, against a plain loop."""

import importlib

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import compiled, graph_of_all_sizes

from keras_fpn.ops import deform_conv

MODULE = "keras_fpn.ops.deform_conv"


# On JAX the kernel that is chosen is the portable one.
TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture(params=["chosen", "portable"] if TENSORFLOW else ["chosen"])
def form(request, monkeypatch):
    """The kernel that the backend chooses, and the one for every backend."""
    if request.param == "portable":
        module = importlib.import_module(MODULE)
        monkeypatch.setattr(module, "native_kernels_run", lambda: False)


def read_by_loop(channels, y, x):
    """The value and its derivatives by y and x at a point of a map (H, W, c)."""
    height, width, count = channels.shape
    value, by_y, by_x = np.zeros((3, count))
    if not (-1 < y < height and -1 < x < width):
        return value, by_y, by_x
    top, left = int(np.floor(y)), int(np.floor(x))
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < height and 0 <= column < width:
                cell = channels[row, column]
                part_y, part_x = 1 - abs(y - row), 1 - abs(x - column)
                value = value + part_y * part_x * cell
                by_y = by_y + (1 if row > top else -1) * part_x * cell
                by_x = by_x + (1 if column > left else -1) * part_y * cell
    return value, by_y, by_x


def reads_of(settings, kernel, offsets):
    """Yields (image, i, j, position, row and column in the kernel, group, y, x)."""
    stride, padding, dilation, groups, _ = settings
    batch, height, width, _ = offsets.shape
    rows, columns = kernel.shape[:2]
    for image, i, j in np.ndindex(batch, height, width):
        for group, row, column in np.ndindex(groups, rows, columns):
            position = group * rows * columns + row * columns + column
            down, across = offsets[image, i, j, 2 * position : 2 * position + 2]
            y = i * stride[0] - padding[0] + row * dilation[0] + down
            x = j * stride[1] - padding[1] + column * dilation[1] + across
            yield (image, i, j), position, (row, column), group, y, x


def convolved_by_loop(settings, inputs, kernel, offsets, mask, upstream=None):
    """The convolution, or its gradients by all four for the upstream gradient."""
    groups, conv_groups = settings[3:]
    per_group = inputs.shape[3] // groups
    per_conv, outputs = kernel.shape[2], kernel.shape[3] // conv_groups
    result = np.zeros((*offsets.shape[:3], kernel.shape[3]))
    slopes = [np.zeros(one.shape) for one in (inputs, kernel, offsets, mask)]
    for cell, position, tap, group, y, x in reads_of(settings, kernel, offsets):
        first = group * per_group
        maps = inputs[cell[0], :, :, first : first + per_group]
        value, by_y, by_x = read_by_loop(maps, y, x)
        factor = mask[(*cell, position)]
        for number, channel in enumerate(range(first, first + per_group)):
            own = channel // per_conv
            outs = slice(own * outputs, (own + 1) * outputs)
            weights = kernel[(*tap, channel % per_conv, outs)]
            result[(*cell, outs)] += weights * value[number] * factor
            if upstream is None:
                continue
            up = upstream[(*cell, outs)]
            slopes[1][(*tap, channel % per_conv, outs)] += up * value[number] * factor
            total = up @ weights
            slopes[3][(*cell, position)] += total * value[number]
            slopes[2][(*cell, 2 * position)] += total * factor * by_y[number]
            slopes[2][(*cell, 2 * position + 1)] += total * factor * by_x[number]
            spread(slopes[0][cell[0], :, :, channel], y, x, total * factor)
    return result if upstream is None else slopes


def spread(channel, y, x, value):
    """Gives a value back to the four cells around a point."""
    height, width = channel.shape
    for row, column in np.ndindex(height, width):
        if -1 < y < height and -1 < x < width:
            share = max(1 - abs(y - row), 0) * max(1 - abs(x - column), 0)
            channel[row, column] += share * value


def a_case(seed, size, kernel, settings, spread_of_offsets=1.5, batch=2):
    """Returns inputs, kernel, offsets and mask, as float32 arrays."""
    stride, padding, dilation, groups, conv_groups = settings
    generator = np.random.default_rng(seed)
    height, width, channels = size
    rows, columns, outputs = kernel
    shape = [
        (side + 2 * pad - step * (cells - 1) - 1) // jump + 1
        for side, pad, step, cells, jump in zip(
            (height, width), padding, dilation, (rows, columns), stride, strict=True
        )
    ]
    count = groups * rows * columns
    arrays = (
        generator.normal(size=(batch, height, width, channels)),
        generator.normal(size=(rows, columns, channels // conv_groups, outputs)),
        spread_of_offsets * generator.normal(size=(batch, *shape, 2 * count)),
        generator.uniform(size=(batch, *shape, count)),
    )
    return [array.astype("float32") for array in arrays]


# Strides, padding, dilation, deformable groups, groups of the convolution.
SETTINGS = {
    "plain": ((5, 6, 4), (3, 3, 3), ((1, 1), (1, 1), (1, 1), 1, 1)),
    "groups": ((5, 6, 12), (3, 3, 8), ((1, 1), (1, 1), (1, 1), 3, 4)),
    "conv groups within a deformable group": (
        (4, 4, 8),
        (3, 3, 4),
        ((1, 1), (1, 1), (1, 1), 2, 4),
    ),
    "uneven": ((9, 7, 4), (3, 2, 2), ((2, 1), (2, 0), (1, 3), 2, 1)),
    "one position": ((3, 4, 6), (1, 1, 2), ((1, 2), (0, 1), (1, 1), 3, 1)),
}
CASES = pytest.mark.parametrize("case", SETTINGS)


def named(settings):
    names = ("strides", "padding", "dilation", "deformable_groups", "groups")
    return dict(zip(names, settings, strict=True))


def on_arrays(**options):
    return lambda *tensors: deform_conv(*tensors, **options)


@pytest.mark.usefixtures("form")
@CASES
def test_it_equals_a_loop_over_points(case):
    size, kernel, settings = SETTINGS[case]
    tensors = a_case(1, size, kernel, settings)
    expected = convolved_by_loop(settings, *tensors)
    got = compiled(on_arrays(**named(settings)), *tensors)
    assert np.abs(expected).max() > 1
    assert_allclose(got, expected, atol=1e-4)


def gradients(tensors, upstream, jit_compile=False, **options):
    """Returns the gradients of the sum of outputs times `upstream`, by each tensor."""

    def loss(*tensors):
        return ops.sum(deform_conv(*tensors, **options) * upstream)

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(jax.grad(loss, range(len(tensors))))(*tensors)
    import tensorflow as tf

    def derive(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = loss(*tensors)
        return tape.gradient(total, tensors)

    derive = tf.function(derive, jit_compile=True) if jit_compile else derive
    return derive(*map(tf.constant, tensors))


def one_row(*offsets):
    """Offsets of a 1x1 kernel on a row of cells, from pairs (y, x)."""
    return np.array(offsets, "float32").reshape(1, 1, len(offsets), 2)


ROW = np.array([10.0, 20.0, 40.0], "float32").reshape(1, 1, 3, 1)
ONE = np.ones((1, 1, 1, 1), "float32")


@pytest.mark.usefixtures("form")
def test_a_point_reads_between_cells_and_zeros_outside():
    # Cell 0 reads at x 0.5: (10 + 20) / 2; cell 1 at y 0.25: 3/4 of 20; cell 2 at 2.5,
    # half of 40 and half of nothing.
    offsets = one_row((0, 0.5), (0.25, 0), (0, 0.5))
    assert_allclose(deform_conv(ROW, ONE, offsets)[0, 0, :, 0], [15, 15, 20], rtol=1e-6)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("far", [(-1, 0), (1, 0), (0, 3), (0, -3), (1e9, 0), (0, -1e9)])
def test_a_point_one_cell_outside_reads_nothing_and_moves_nothing(far):
    offsets = one_row(far, far, far)
    tensors = (ROW, ONE, offsets, np.ones((1, 1, 3, 1), "float32"))
    assert_array_equal(deform_conv(*tensors), np.zeros((1, 1, 3, 1)))
    for slope in gradients(tensors, 1.0):
        assert not np.any(slope)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_offsets_that_are_no_numbers_read_nothing(value):
    offsets = one_row((0, value), (value, 0), (0, 0))
    got = deform_conv(ROW, ONE, offsets)
    assert_array_equal(got[0, 0, :, 0], [0, 0, 40])


@pytest.mark.usefixtures("form")
def test_offsets_are_ordered_by_group_then_position_then_y_before_x():
    # Two groups, a kernel of 1x2: group 1's second position moves down by one cell.
    inputs = np.arange(1.0, 19.0, dtype="float32").reshape(1, 3, 3, 2)
    offsets = np.zeros((1, 3, 2, 8), "float32")
    offsets[..., 6] = 1  # group 1, position 1, y
    kernel = np.zeros((1, 2, 2, 2), "float32")
    kernel[0, 1, 0, 0] = kernel[0, 1, 1, 1] = 1  # each channel of the right cell
    got = np.asarray(deform_conv(inputs, kernel, offsets, deformable_groups=2))
    assert_array_equal(got[0, :, :, 0], inputs[0, :, 1:, 0])
    assert_array_equal(got[0, :2, :, 1], inputs[0, 1:, 1:, 1])
    assert_array_equal(got[0, 2, :, 1], [0, 0])


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("groups", [1, 2])
def test_without_offsets_it_is_a_convolution(groups):
    settings = ((2, 1), (2, 1), (2, 1), 2, groups)
    inputs, kernel, offsets, _ = a_case(4, (8, 6, 4), (3, 3, 6), settings, 0.0)
    got = deform_conv(inputs, kernel, offsets, **named(settings))
    expected = ops.conv(
        np.pad(inputs, ((0, 0), (2, 2), (1, 1), (0, 0))),
        np.kron(kernel, np.array([1, 0], "float32")[:, None, None, None])[:5],
        (2, 1),
        "valid",
    )
    assert_allclose(got, expected, atol=1e-4)


@pytest.mark.usefixtures("form")
def test_a_mask_of_ones_is_no_mask():
    *tensors, mask = a_case(5, (5, 6, 4), (3, 3, 3), SETTINGS["plain"][2])
    options = named(SETTINGS["plain"][2])
    ones = np.ones_like(mask)
    masked = compiled(on_arrays(**options), *tensors, ones)
    assert_array_equal(compiled(on_arrays(**options), *tensors), masked)
    upstream = np.ones_like(masked)
    for one, two in zip(
        gradients(tensors, upstream, **options),
        gradients((*tensors, ones), upstream, **options)[:3],
        strict=True,
    ):
        assert_allclose(one, two, atol=1e-5)


@pytest.mark.usefixtures("form")
def test_more_cells_than_one_chunk_are_those_of_their_own_images(monkeypatch):
    size, kernel, settings = SETTINGS["plain"]
    tensors = a_case(6, size, kernel, settings, batch=3)  # 90 output cells
    upstream = np.random.default_rng(7).normal(size=(3, 5, 6, 3)).astype("float32")
    options = named(settings)

    def everything():
        outputs = compiled(on_arrays(**options), *tensors)
        return [outputs, *gradients(tensors, upstream, **options)]

    expected = everything()
    monkeypatch.setattr("keras_fpn.ops.deform_chunks._CHUNK", 32)
    for one, two in zip(everything(), expected, strict=True):
        assert_allclose(one, two, atol=1e-4)


@pytest.mark.usefixtures("form")
def test_one_graph_takes_all_sizes():
    settings = ((2, 2), (1, 1), (1, 1), 2, 1)
    shapes = [(None, None, None, 4), (3, 3, 4, 3), (None, None, None, 36)]
    run = graph_of_all_sizes(on_arrays(**named(settings)), shapes)
    for number, size in enumerate([(5, 6, 4), (8, 3, 4)]):
        *tensors, mask = a_case(number, size, (3, 3, 3), settings, batch=number + 1)
        expected = convolved_by_loop(settings, *tensors, np.ones_like(mask))
        assert_allclose(run(*tensors), expected, atol=1e-4)


@pytest.mark.usefixtures("form")
def test_no_images_have_no_outputs_and_no_gradients():
    settings = SETTINGS["plain"][2]
    tensors = a_case(1, (5, 6, 4), (3, 3, 3), settings, batch=0)
    outputs = compiled(on_arrays(**named(settings)), *tensors)
    assert outputs.shape == (0, 5, 6, 3)
    slopes = gradients(tensors, outputs, **named(settings))
    assert not np.any(slopes[1])


def test_half_precision_keeps_coordinates():
    # At column 1000 bfloat16 knows every fourth cell only.
    inputs = np.arange(1010.0, dtype="float32").reshape(1, 1, -1, 1) % 7
    half = ops.cast(inputs, "bfloat16")
    offsets = ops.full((1, 1, 1010, 2), 0.0, "bfloat16")
    got = deform_conv(half, ops.cast(ONE, "bfloat16"), offsets)
    assert keras.backend.standardize_dtype(got.dtype) == "bfloat16"
    assert_allclose(ops.cast(got, "float32"), inputs, atol=0.01)


def changed(number, array):
    """The tensors of the case "plain", one of them replaced."""
    tensors = a_case(1, (5, 6, 4), (3, 3, 3), SETTINGS["plain"][2])
    tensors[number] = array
    return tensors


OFFSETS, MASK = (2, 5, 6, 18), (2, 5, 6, 9)


@pytest.mark.parametrize(
    ("shape", "number", "options", "message"),
    [
        (OFFSETS, 2, {"deformable_groups": 3}, "deformable_groups=3 for 4 channels"),
        (OFFSETS, 2, {"groups": 3}, "divide the channels .* groups=3 for 4 channels"),
        (OFFSETS, 2, {"groups": 2}, r"kernel of shape \(3, 3, 4, 3\) .* groups=2"),
        ((3, 3, 2, 3), 1, {"groups": 2}, r"\(3, 3, 2, 3\) for 4 channels and groups=2"),
        ((2, 5, 6, 9), 2, {}, r"two channels .* 18\); received \(2, 5, 6, 9\)"),
        (OFFSETS, 2, {"deformable_groups": 2}, r"36\); received \(2, 5, 6, 18\)"),
        ((2, 5, 5, 18), 2, {}, r"\('B', 5, 6, 18\); received \(2, 5, 5, 18\)"),
        ((2, 5, 6, 8), 3, {}, r"mask .* one per .* 9\); received \(2, 5, 6, 8\)"),
        (MASK, 3, {"strides": 2}, r"\('B', 3, 3, 18\); received \(2, 5, 6, 18\)"),
    ],
)
def test_shapes_that_do_not_fit_raise(shape, number, options, message):
    tensors = changed(number, np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match=message):
        deform_conv(*tensors, **{"padding": 1, **options})
