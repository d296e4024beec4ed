"""Rows of padding are cut where shapes may be dynamic."""

import keras
import numpy as np
import pytest
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


def test_it_is_saved_within_a_model(tmp_path):
    # Not `check_layer`: on TensorFlow the number of rows is not known beforehand.
    inputs = keras.Input((3, 4)), keras.Input((), dtype="int32")
    model = keras.Model(inputs, LeadingRows(name="rows")(*inputs))
    dynamic = keras.backend.backend() == "tensorflow"
    assert model.output.shape == (None, None if dynamic else 3, 4)
    model.save(tmp_path / "rows.keras")
    again = keras.models.load_model(tmp_path / "rows.keras")
    assert again.get_layer("rows").get_config() == model.get_layer("rows").get_config()
    count = np.array([3, 1], "int32")
    np.testing.assert_array_equal(arrays(again([BOXES, count])), BOXES)
