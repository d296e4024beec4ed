"""The gradients of RoIAlign's maps, on TensorFlow without determinism, too."""

import os
import subprocess
import sys

import numpy as np
import pytest
from keras import ops
from on_backend import gradient
from ops.test_roi_align import FORMS, RAMP, odd_boxes, random_maps
from process_environment import environment_of_its_own

from keras_fpn.ops.roi_align import roi_align, roi_align_portable


@FORMS
def test_gradient_returns_to_each_sampled_cell(portable):
    form = roi_align_portable if portable else roi_align
    # One bin, one point at x 1.5, y 1.25: cells in columns 1 and 2 get half each, row 1
    # three quarters, row 2 one.
    boxes = np.array([[[1.0, 0.75, 2.0, 1.75]]], "float32")
    levels = np.zeros((1, 1), "int32")
    got = gradient(
        lambda x: form([x], boxes, (1.0,), levels, 1, 1, False),
        np.zeros((1, 4, 4, 1), "float32"),
    )
    expected = np.zeros((4, 4))
    expected[1, 1:3], expected[2, 1:3] = 0.375, 0.125
    np.testing.assert_allclose(got[0, :, :, 0], expected, atol=1e-6)


def gradients_by_loop(features, boxes, scales, levels, upstream, settings):
    """The gradients of the maps, cell by cell, from the samples' definition."""
    output_size, ratio, aligned = settings
    gradients = [np.zeros(feature.shape) for feature in features]
    for image, row in enumerate(boxes):
        for number, box in enumerate(row):
            level = levels[image, number]
            gradient = gradients[level][image]
            x1, y1, x2, y2 = (float(s) * scales[level] - 0.5 * aligned for s in box)
            smallest = 0.0 if aligned else 1.0
            step_x = max(x2 - x1, smallest) / output_size / ratio
            step_y = max(y2 - y1, smallest) / output_size / ratio
            for i, j in np.ndindex(output_size * ratio, output_size * ratio):
                value = upstream[image, number, i // ratio, j // ratio] / ratio**2
                y, x = y1 + (i + 0.5) * step_y, x1 + (j + 0.5) * step_x
                add_sample(gradient, y, x, value)
    return gradients


def add_sample(gradient, y, x, value):
    """Gives a sample's value back to the cells that `bilinear_by_loop` reads."""
    height, width = gradient.shape[:2]
    if y < -1 or y > height or x < -1 or x > width:
        return
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    for row in {int(y), min(int(y) + 1, height - 1)}:
        for column in {int(x), min(int(x) + 1, width - 1)}:
            part = (1 - abs(y - row)) * (1 - abs(x - column))
            gradient[row, column] += part * value


@FORMS
@pytest.mark.parametrize("aligned", [False, True], ids=["not-aligned", "aligned"])
def test_gradients_of_odd_boxes_on_several_levels_equal_a_loop(portable, aligned):
    generator = np.random.default_rng(11)
    features = random_maps(generator, [(16, 21), (8, 11), (4, 6)])
    scales, settings = (0.25, 0.125, 0.0625), (3, 2, aligned)
    # More boxes than are added at a time, and no multiple of that.
    boxes = np.tile(odd_boxes(generator, 2, (64, 84)), (1, 4, 1))
    levels = generator.integers(0, 3, boxes.shape[:2]).astype("int32")
    upstream = generator.normal(size=(*levels.shape, 3, 3, 3)).astype("float32")
    form = roi_align_portable if portable else roi_align
    expected = gradients_by_loop(features, boxes, scales, levels, upstream, settings)
    found = gradient(
        lambda maps: form(maps, boxes, scales, levels, *settings) * upstream, features
    )
    for got, wanted in zip(found, expected, strict=True):
        assert np.abs(wanted).max() > 1.0
        np.testing.assert_allclose(got, wanted, atol=5e-4)


@FORMS
def test_gradients_have_the_maps_own_precision(portable):
    feature = random_maps(np.random.default_rng(12), [(8, 9)], images=1)[0]
    boxes = np.array([[[1, 1, 6, 7], [2, 0, 9, 5]]], "float32")
    levels = np.zeros((1, 2), "int32")
    form = roi_align_portable if portable else roi_align

    def halved(x):
        half = ops.cast(x, "bfloat16")
        return ops.cast(form([half], boxes, (1.0,), levels, 2, 2, False), "float32")

    got = gradient(halved, feature)
    expected = gradients_by_loop(
        [feature], boxes, (1.0,), levels, np.ones((1, 2, 2, 2, 3)), (2, 2, False)
    )[0]
    np.testing.assert_allclose(got, expected, rtol=0.02, atol=0.02)


@pytest.mark.tensorflow_only
def test_no_gradient_goes_through_the_crop_kernel():
    import tensorflow as tf

    @tf.function
    def derivative(feature):
        with tf.GradientTape() as tape:
            tape.watch(feature)
            total = tf.reduce_sum(roi_align([feature], [[[1.0, 1, 4, 4]]], (1.0,)))
        return tape.gradient(total, feature)

    graph = derivative.get_concrete_function(tf.constant(RAMP)).graph.as_graph_def()
    functions = [function.node_def for function in graph.library.function]
    operations = {node.op for nodes in (graph.node, *functions) for node in nodes}
    assert "SparseTensorDenseMatMul" in operations
    assert not [name for name in operations if "CropAndResizeGrad" in name]


# Overlapping boxes on one map, so that threads meet at its cells. Without determinism:
# that would let one thread do all the work.
RACE = """
import numpy as np, tensorflow as tf
from tensorflow.python.framework import config
from keras_fpn.ops.roi_align import roi_align, roi_align_portable
generator = np.random.default_rng(0)
feature = tf.zeros((1, 100, 100, 256))
corners = generator.uniform(0, 50, (1, 512, 2))
sides = generator.uniform(20, 50, (1, 512, 2))
boxes = np.concatenate([corners, corners + sides], -1).astype("float32")
levels = np.zeros((1, 512), "int32")
print(config.is_op_determinism_enabled())
upstream = tf.constant(generator.normal(size=(1, 512, 7, 7, 256)), "float32")

def derivative(form):
    @tf.function
    def run(feature, upstream):  # as a constant it would be computed once only
        with tf.GradientTape() as tape:
            tape.watch(feature)
            outputs = form([feature], boxes, (1.0,), levels, 7, 2, False)
            total = tf.reduce_sum(outputs * upstream)
        return tape.gradient(total, feature)
    return run

wanted = derivative(roi_align_portable)(feature, upstream).numpy()
run = derivative(roi_align)
for _ in range(12):
    print(np.abs(run(feature, upstream).numpy() - wanted).max() / np.abs(wanted).max())
"""


@pytest.mark.ci
@pytest.mark.tensorflow_only
@pytest.mark.skipif(os.cpu_count() == 1, reason="one core runs no two threads at once")
def test_gradients_are_right_without_determinism_each_of_twelve_times():
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        env=environment_of_its_own(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    deterministic, *errors = done.stdout.split()
    assert deterministic == "False"
    errors = [float(error) for error in errors]
    assert len(errors) == 12
    assert max(errors) < 1e-5, errors


@FORMS
def test_no_boxes_have_no_gradient(portable):
    form = roi_align_portable if portable else roi_align
    boxes, levels = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "int32")
    feature = random_maps(np.random.default_rng(0), [(8, 8)])[0]
    got = gradient(lambda x: form([x], boxes, (1.0,), levels, 2, 2, False), feature)
    np.testing.assert_array_equal(got, np.zeros_like(feature))
