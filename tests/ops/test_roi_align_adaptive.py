"""RoIAlign with a sampling ratio of 0: as many samples per bin as the box needs."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from on_backend import compiled, gradient
from ops.test_roi_align import (
    FORMS,
    RAMP,
    aligned_rois,
    bilinear_by_loop,
    odd_boxes,
    random_maps,
)
from ops.test_roi_align_gradient import add_sample

from keras_fpn.ops.roi_align import roi_align, roi_align_portable
from keras_fpn.ops.roi_align_adaptive import axis_of

ALIGNED = pytest.mark.parametrize("aligned", [False, True], ids=["not", "aligned"])
SCALES = (0.25, 0.125, 0.0625)


def points_by_loop(box, scale, output_size, aligned):
    """Yields bin row, bin column, y, x and the number of points of the bin."""
    x1, y1, x2, y2 = (float(side) * scale - 0.5 * aligned for side in box)
    smallest = -math.inf if aligned else 1.0
    width, height = max(x2 - x1, smallest), max(y2 - y1, smallest)
    down = max(math.ceil(height / output_size), 0)
    across = max(math.ceil(width / output_size), 0)
    for row, column in np.ndindex(output_size, output_size):
        for i, j in np.ndindex(down, across):
            y = y1 + (row + (i + 0.5) / down) * height / output_size
            x = x1 + (column + (j + 0.5) / across) * width / output_size
            yield row, column, y, x, down * across


def all_by_loop(features, boxes, levels, output_size, aligned):
    channels = features[0].shape[-1]
    shape = (*levels.shape, output_size, output_size, channels)
    output = np.zeros(shape)
    for image, number in np.ndindex(*levels.shape):
        level = levels[image, number]
        points = points_by_loop(
            boxes[image, number], SCALES[level], output_size, aligned
        )
        for row, column, y, x, count in points:
            sample = bilinear_by_loop(features[level][image], y, x)
            output[image, number, row, column] += sample / count
    return output


def gradients_by_loop(features, boxes, levels, upstream, aligned):
    gradients = [np.zeros(feature.shape) for feature in features]
    for image, number in np.ndindex(*levels.shape):
        level = levels[image, number]
        values = upstream[image, number]
        points = points_by_loop(
            boxes[image, number], SCALES[level], len(values), aligned
        )
        for row, column, y, x, count in points:
            add_sample(gradients[level][image], y, x, values[row, column] / count)
    return gradients


def case(seed, copies=1):
    """Maps, boxes of every kind and the level of each."""
    generator = np.random.default_rng(seed)
    features = random_maps(generator, [(16, 25), (8, 13), (4, 7)])
    boxes = np.tile(odd_boxes(generator, 2, (64, 100)), (1, copies, 1))
    upside_down = [[[60, 20, 10, 50]]] * 2  # x2 < x1: as empty boxes
    boxes = np.concatenate([boxes, upside_down], axis=1).astype("float32")
    levels = generator.integers(0, 3, boxes.shape[:2]).astype("int32")
    return features, boxes, levels


def compiled_gradient(function, array):
    """`gradient` of a graph."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        function = tf.function(function)
    return gradient(function, array)


@FORMS
def test_bins_of_more_than_one_cell_take_more_points(portable):
    # A map that is 1 in column 2 and 0 elsewhere; a bin of 3 cells from x 0 to 3 has
    # points at 0.5, 1.5 and 2.5: the last two read half of column 2.
    comb = np.zeros((1, 5, 6, 1), "float32")
    comb[:, :, 2] = 1
    got = aligned_rois(portable, [comb], [[[0, 0, 3, 1]]], (1.0,), None, 1, 0)
    np.testing.assert_allclose(got.ravel(), [1 / 3], atol=1e-6)
    # Just more than 3 cells: 4 points, 0.375 + 3 / 4 k.
    got = aligned_rois(portable, [comb], [[[0, 0, 3.001, 1]]], (1.0,), None, 1, 0)
    shares = [1 - abs(0.375125 + 0.75025 * k - 2) for k in range(4)]
    expected = sum(share for share in shares if share > 0) / 4
    np.testing.assert_allclose(got.ravel(), [expected], atol=1e-6)


@FORMS
def test_the_number_of_points_is_each_axis_own(portable):
    # The mean of a ramp over a box is that of its middle, whatever the points.
    [[got]] = aligned_rois(portable, [RAMP], [[[0, 1, 1, 4]]], (1.0,), None, 1, 0)
    np.testing.assert_allclose(got.ravel(), [25.5], rtol=1e-6)


@FORMS
@ALIGNED
def test_odd_boxes_on_several_levels_equal_a_loop(portable, aligned):
    features, boxes, levels = case(seed=1, copies=3)  # more than are summed together
    # The loop over cells takes long without a graph.
    settings = (SCALES, levels, 3, 0, aligned, compiled)
    got = aligned_rois(portable, features, boxes, *settings)
    expected = all_by_loop(features, boxes, levels, 3, aligned)
    assert len(set(levels.ravel())) == 3
    np.testing.assert_allclose(got, expected, atol=2e-5)


@FORMS
@ALIGNED
def test_gradients_of_odd_boxes_equal_a_loop(portable, aligned):
    features, boxes, levels = case(seed=2, copies=3)
    upstream = np.random.default_rng(3).normal(size=(*levels.shape, 3, 3, 3))
    upstream = upstream.astype("float32")
    form = roi_align_portable if portable else roi_align
    found = compiled_gradient(
        lambda maps: form(maps, boxes, SCALES, levels, 3, 0, aligned) * upstream,
        features,
    )
    expected = gradients_by_loop(features, boxes, levels, upstream, aligned)
    for got, wanted in zip(found, expected, strict=True):
        assert np.abs(wanted).max() > 1.0
        np.testing.assert_allclose(got, wanted, atol=2e-4)


@FORMS
def test_gradients_are_what_each_cell_adds_to_the_features(portable):
    # The features are linear in the map, so the difference that a cell makes is the sum
    # of the features of a map that is 1 in this cell: here one image for each cell.
    height, width = 6, 5  # smaller than the boxes
    units = np.eye(height * width, dtype="float32").reshape(-1, height, width, 1)
    boxes = np.array([[[3.3, 1.2, 30.5, 26.1], [-4, 0, 9, 40]]], "float32")
    many = np.tile(boxes, (len(units), 1, 1))
    found = aligned_rois(portable, [units], many, (0.25,), None, 2, 0, True)
    expected = found.sum(axis=(1, 2, 3, 4)).reshape(height, width)
    form = roi_align_portable if portable else roi_align
    [got] = gradient(
        lambda x: form([x], boxes, (0.25,), np.zeros((1, 2), "int32"), 2, 0, True),
        np.ones((1, height, width, 1), "float32"),
    )
    np.testing.assert_allclose(got[..., 0], expected, atol=1e-4)


def test_bins_of_whole_cells_take_one_point_per_cell():
    # A compiler that multiplies by 1 / 7 makes 42 / 7 a little more than 6.
    bins = np.arange(1, 200, dtype="float32")

    def samples(bins):
        sides = bins * 7.0
        size = ops.full(ops.shape(bins), 10_000, "int32")
        return axis_of(ops.zeros_like(sides), sides, size, 7, True).samples

    np.testing.assert_array_equal(compiled(samples, bins), bins)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        by_xla = tf.function(samples, jit_compile=True)(tf.constant(bins))
        np.testing.assert_array_equal(by_xla, bins)


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_xla_gives_the_same_features_and_gradients():
    import tensorflow as tf

    features, boxes, levels = case(seed=5)

    def both(*maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            found = roi_align(maps, boxes, SCALES, levels, 3, 0, True)
            total = tf.reduce_sum(found**2)
        return found, *tape.gradient(total, maps)

    maps = [tf.constant(feature) for feature in features]
    plain = tf.function(both)(*maps)
    by_xla = tf.function(both, jit_compile=True)(*maps)
    for one, other in zip(plain, by_xla, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.ci
@FORMS
def test_half_precision_maps_give_half_precision_features_and_gradients(portable):
    features, boxes, levels = case(seed=6)
    form = roi_align_portable if portable else roi_align

    def halved(x, *others):
        halves = [ops.cast(feature, "bfloat16") for feature in (x, *others)]
        output = form(halves, boxes, SCALES, levels, 3, 0, False)
        assert output.dtype == "bfloat16"
        return ops.cast(output, "float32")

    got = compiled(halved, *features)
    expected = all_by_loop(features, boxes, levels, 3, False)
    np.testing.assert_allclose(got, expected, atol=0.03)
    upstream = np.ones(expected.shape)
    expected = gradients_by_loop(features, boxes, levels, upstream, False)[0]
    got = compiled_gradient(lambda x: halved(x, *features[1:]), features[0])
    np.testing.assert_allclose(got, expected, rtol=0.02, atol=0.02)


@FORMS
def test_no_boxes_give_no_features_and_no_gradient(portable):
    features = random_maps(np.random.default_rng(0), [(8, 8)])
    boxes, levels = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "int32")
    got = aligned_rois(portable, features, boxes, (1.0,), levels, 2, 0)
    assert got.shape == (2, 0, 2, 2, 3)
    form = roi_align_portable if portable else roi_align
    got = gradient(lambda x: form([x], boxes, (1.0,), levels, 2, 0, False), *features)
    np.testing.assert_array_equal(got, np.zeros_like(features[0]))


@FORMS
def test_empty_boxes_are_zero_if_aligned(portable):
    got = aligned_rois(
        portable, [RAMP + 1], [[[2, 1, 2, 3], [0] * 4]], (1.0,), None, 2, 0, True
    )
    np.testing.assert_array_equal(got, np.zeros((1, 2, 2, 2, 1)))
