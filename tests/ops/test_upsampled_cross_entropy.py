"""The loss of upsampled logits, by hand and beside upsampling all of them."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from on_backend import by_xla, compiled, gradient

from keras_fpn.losses import softmax_cross_entropy
from keras_fpn.ops.bilinear_upsample import bilinear_upsample
from keras_fpn.ops.upsampled_cross_entropy import (
    cross_entropy_portable,
    upsampled_cross_entropy,
)

FACTOR = 4
draw = np.random.default_rng(0)
LOGITS = draw.normal(size=(2, 3, 5, 6)).astype("float32")
LABELS = draw.integers(0, 6, (2, 12, 20)).astype("uint8")
LABELS[:, :, 17:] = 255
WEIGHTS = np.float32([1.0, 0.5])


def plain(logits):
    """As `upsampled_cross_entropy`, with all logits at once."""
    entropies = softmax_cross_entropy(
        bilinear_upsample(keras.ops.convert_to_tensor(logits), FACTOR),
        np.where(LABELS < 6, LABELS, 0).astype("int32"),
    )
    return keras.ops.sum(entropies * (LABELS < 6) * WEIGHTS[:, None, None])


def total(logits):
    return upsampled_cross_entropy(logits, LABELS, WEIGHTS, FACTOR)


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes():
    found, count = compiled(total, np.zeros_like(LOGITS))
    pixels = 12 * 17 * 1.5  # of the second image, half
    assert_allclose(count, pixels)
    assert_allclose(found, pixels * np.log(6), rtol=1e-5)


def test_sum_and_gradient_are_those_of_upsampling_all_logits():
    assert_allclose(compiled(total, LOGITS)[0], compiled(plain, LOGITS), rtol=1e-5)
    found = gradient(lambda logits: 3.0 * total(logits)[0], LOGITS)
    assert_allclose(found, 3.0 * gradient(plain, LOGITS), atol=1e-4)
    assert np.abs(found).max() > 1


def test_the_portable_form_has_the_same_sum_and_gradient():
    weights = (LABELS < 6) * WEIGHTS[:, None, None]
    labels = np.where(LABELS < 6, LABELS, 0).astype("int32")

    def portable(logits):
        return cross_entropy_portable(logits, labels, weights, FACTOR)

    assert_allclose(compiled(portable, LOGITS), compiled(plain, LOGITS), rtol=1e-5)
    assert_allclose(gradient(portable, LOGITS), gradient(plain, LOGITS), atol=1e-4)


def test_pixels_without_a_class_do_not_count():
    others = np.full_like(LABELS, 255)
    found, count = compiled(
        lambda x: upsampled_cross_entropy(x, others, WEIGHTS, FACTOR), LOGITS
    )
    assert (float(found), float(count)) == (0, 0)


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    assert_allclose(by_xla(total, LOGITS)[0], compiled(total, LOGITS)[0], rtol=1e-5)
