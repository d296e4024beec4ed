"""Which form of a kernel runs where."""

import keras
import numpy as np
import pytest
from on_backend import compiled
from ops.test_roi_align import RAMP, odd_boxes, random_maps

from keras_fpn.ops import grouped_nms, roi_align
from keras_fpn.ops.kernels import native_kernels_run

BOX = np.array([[[1.0, 1, 4, 4]]], "float32")


def test_native_kernels_run_on_tensorflow_only():
    assert native_kernels_run() == (keras.config.backend() == "tensorflow")


def test_native_kernels_run_in_plain_graphs_of_tensorflow_only():
    seen = []

    def function(x):
        seen.append(native_kernels_run())
        return x

    compiled(function, np.zeros(1))
    assert seen == [keras.config.backend() == "tensorflow"]


def looped(function):
    import tensorflow as tf

    return lambda x: tf.while_loop(
        lambda y: y[0] < 1.0, lambda y: [function(y) + 1], [x]
    )


def derived(function):
    import tensorflow as tf

    @tf.custom_gradient
    def identity(x):
        return x, function

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(identity(x))
        return tape.gradient(y, x)

    return run


def called(function):
    import tensorflow as tf

    return tf.function(function)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("inside", [lambda f: f, called, looped, derived])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "nested"])
def test_no_native_kernel_is_in_what_xla_compiles(inside, nested):
    import tensorflow as tf

    seen = []

    def function(x):
        seen.append(native_kernels_run())
        return x

    run = tf.function(inside(function), jit_compile=True)
    if nested:
        inner = run

        def outer(x):
            function(x)  # plain
            return inner(x)

        run = tf.function(outer)
    run(tf.zeros(1))
    plain, compiled_ones = seen[:nested], seen[nested:]
    assert plain == [True] * nested
    assert compiled_ones
    assert not any(compiled_ones)
    assert native_kernels_run()


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_kernel_is_the_one_that_can_run(jit_compile):
    import tensorflow as tf

    def both(feature, boxes):
        kept = grouped_nms(boxes[:, :, None], boxes[:, :, :1], 0.5, 3)
        return roi_align([feature], boxes, (1.0,)), kept.boxes

    run = tf.function(both, jit_compile=jit_compile)
    graph = run.get_concrete_function(tf.constant(RAMP), tf.constant(BOX)).graph
    names = {node.op for node in graph.as_graph_def().node}
    native = {"CropAndResize", "CombinedNonMaxSuppression"}
    assert names & native == (set() if jit_compile else native)
    features, boxes = run(tf.constant(RAMP), tf.constant(BOX))
    # 7 bins of 3/7 cells from 1: the middle one's value is that at 2.5, 10 y + x.
    np.testing.assert_allclose(features[0, 0, 3, 3], [27.5], rtol=1e-6)
    np.testing.assert_array_equal(boxes[0, 0], BOX[0, 0])


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_roi_align_and_its_gradient_are_alike_with_and_without_xla():
    import tensorflow as tf

    generator = np.random.default_rng(5)
    maps = random_maps(generator, [(16, 21), (8, 11)])
    boxes = odd_boxes(generator, 2, (64, 84))
    levels = generator.integers(0, 2, boxes.shape[:2]).astype("int32")
    upstream = generator.normal(size=(*levels.shape, 3, 3, 3)).astype("float32")

    def both(maps, boxes, levels):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            features = roi_align(maps, boxes, (0.25, 0.125), levels, 3)
            total = tf.reduce_sum(features * upstream)
        return [features, *tape.gradient(total, maps)]

    inputs = [tf.constant(one) for one in maps], boxes, levels
    plain = tf.function(both)(*inputs)
    compiled_by_xla = tf.function(both, jit_compile=True)(*inputs)
    for one, other in zip(plain, compiled_by_xla, strict=True):
        assert np.abs(one).max() > 1
        np.testing.assert_allclose(one, other, atol=2e-4)
