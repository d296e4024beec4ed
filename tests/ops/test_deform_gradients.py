"""The gradients of deformable convolution, against a plain loop; XLA."""

import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose
from on_backend import gradient
from ops.test_deform_conv import (
    CASES,
    SETTINGS,
    a_case,
    convolved_by_loop,
    form,
    gradients,
    named,
    on_arrays,
)

from keras_fpn.ops import deform_conv

__all__ = ["form"]  # a fixture


@pytest.mark.usefixtures("form")
@CASES
def test_its_gradients_equal_a_loop_over_points(case):
    size, kernel, settings = SETTINGS[case]
    tensors = a_case(2, size, kernel, settings)
    outputs = convolved_by_loop(settings, *tensors)
    upstream = np.random.default_rng(3).normal(size=outputs.shape).astype("float32")
    expected = convolved_by_loop(settings, *tensors, upstream)
    got = gradients(tensors, upstream, **named(settings))
    for one, other in zip(got, expected, strict=True):
        assert np.abs(other).max() > 0.5
        assert_allclose(one, other, atol=2e-4)


@pytest.mark.usefixtures("form")
def test_gradients_have_the_precision_of_their_tensors():
    size, kernel, settings = SETTINGS["plain"]
    tensors = a_case(10, size, kernel, settings, 0.5)
    outputs = convolved_by_loop(settings, *tensors)
    expected = convolved_by_loop(settings, *tensors, np.ones_like(outputs))

    def halved(*tensors):
        halves = [ops.cast(tensor, "bfloat16") for tensor in tensors]
        return ops.cast(deform_conv(*halves, **named(settings)), "float32")

    for number, slope in enumerate(expected):

        def of_one(x, number=number):
            return halved(*tensors[:number], x, *tensors[number + 1 :])

        got = gradient(of_one, tensors[number])
        # Points near a whole cell may read the next one in half precision.
        error = np.abs(got - slope) / np.abs(slope).max()
        assert np.quantile(error, 0.95) < 0.03


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_xla_compiles_it_and_its_gradients():
    import tensorflow as tf

    size, kernel, settings = SETTINGS["groups"]
    tensors = a_case(8, size, kernel, settings)
    outputs = convolved_by_loop(settings, *tensors)
    options = named(settings)
    run = tf.function(on_arrays(**options), jit_compile=True)
    assert_allclose(run(*map(tf.constant, tensors)), outputs, atol=1e-4)
    upstream = outputs.astype("float32")
    expected = convolved_by_loop(settings, *tensors, upstream)
    got = gradients(tensors, upstream, jit_compile=True, **options)
    for one, other in zip(got, expected, strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.tensorflow_only
def test_no_gradient_goes_through_the_crop_kernel():
    import tensorflow as tf

    tensors = a_case(9, (5, 6, 4), (3, 3, 3), SETTINGS["plain"][2])

    @tf.function
    def derive(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = tf.reduce_sum(deform_conv(*tensors, padding=1))
        return tape.gradient(total, tensors)

    graph = derive.get_concrete_function(
        *map(tf.constant, tensors)
    ).graph.as_graph_def()
    functions = [function.node_def for function in graph.library.function]
    operations = {node.op for nodes in (graph.node, *functions) for node in nodes}
    assert "CropAndResize" in operations
    assert not [name for name in operations if "CropAndResizeGrad" in name]
