"""Rows of padding are cut where shapes may be dynamic."""

import keras
import numpy as np
import pytest
from layer_checks import check_layer
from on_backend import arrays, compiled

from keras_fpn.layers import LeadingRows

BOXES = np.arange(24, dtype="float32").reshape(2, 3, 4)


@pytest.mark.tensorflow_only
def test_rows_after_the_last_detection_of_the_fullest_image_are_cut():
    cut = arrays(LeadingRows()(BOXES, np.array([0, 2])))
    np.testing.assert_array_equal(cut, BOXES[:, :2])


@pytest.mark.tensorflow_only
def test_one_row_is_left():
    np.testing.assert_array_equal(
        arrays(LeadingRows()(BOXES, np.array([0, 0]))), BOXES[:, :1]
    )


@pytest.mark.tensorflow_only
def test_nothing_is_cut_under_xla():
    import tensorflow as tf

    layer = LeadingRows()
    run = tf.function(lambda boxes, count: layer(boxes, count), jit_compile=True)
    np.testing.assert_array_equal(run(BOXES, np.array([0, 1])), BOXES)


def test_nothing_is_cut_where_shapes_are_fixed():
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow's shapes may be dynamic")
    got = compiled(LeadingRows(), BOXES, np.array([0, 1], "int32"))
    np.testing.assert_array_equal(got, BOXES)


def test_it_keeps_what_a_layer_owes():
    check_layer(
        LeadingRows,
        {},
        (BOXES, np.array([3, 1], "float32")),
        ((None, None, 4), (None,)),
        (BOXES[:1, :2], np.array([2], "float32")),
        half="float32",
    )
