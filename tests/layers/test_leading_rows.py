"""Rows after the last detection are cut off where shapes may depend on values."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import compiled, outputs_of

from keras_fpn.layers import LeadingRows

CUTS = keras.config.backend() == "tensorflow"
BOXES = np.arange(2 * 5 * 4).reshape(2, 5, 4).astype("float32")


@pytest.mark.parametrize(
    ("counts", "rows"), [([1, 3], 3), ([5, 0], 5), ([0, 0], 1), ([2, 2], 2)]
)
def test_the_fullest_image_says_how_many_rows_stay(counts, rows):
    counts = np.array(counts, "int32")
    kept = BOXES[:, : rows if CUTS else 5]
    assert_array_equal(outputs_of(LeadingRows(), BOXES, counts), kept)
    assert_array_equal(compiled(LeadingRows(), BOXES, counts), kept)


@pytest.mark.tensorflow_only
def test_under_xla_all_rows_stay():
    import tensorflow as tf

    layer = LeadingRows()
    run = tf.function(lambda *x: layer(*x), jit_compile=True)
    assert_array_equal(run(BOXES, np.array([1, 3], "int32")), BOXES)


def test_it_is_loaded_and_keeps_float32_in_half_precision():
    layer = LeadingRows(name="rows", dtype="mixed_bfloat16")
    again = LeadingRows.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    counts = np.array([5, 5], "int32")
    boxes = BOXES + 1000.5  # more than bfloat16's 8 bits
    assert_array_equal(outputs_of(again, boxes, counts), boxes)
    boxes = keras.Input((5, 4)), keras.Input((), dtype="int32")
    symbolic = again(*boxes)
    assert symbolic.shape == (None, None if CUTS else 5, 4)
    assert symbolic.dtype == "float32"
