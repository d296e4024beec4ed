import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import gradient, outputs_of

from keras_fpn.losses import (
    binary_cross_entropy,
    sigmoid_focal,
    smooth_l1,
    softmax_cross_entropy,
)


def floats(values):
    return np.array(values, "float32")


@pytest.mark.parametrize("beta", [1.0, 0.5, 1 / 9])
def test_smooth_l1_is_a_parabola_within_beta_and_a_line_beyond(beta):
    differences = floats([0, 0.1 * beta, -0.5 * beta, beta, -beta, 2 * beta, -7])
    expected = [
        0,
        0.005 * beta,  # (0.1 beta)^2 / (2 beta)
        0.125 * beta,
        0.5 * beta,  # both forms say so where they meet
        0.5 * beta,
        1.5 * beta,  # 2 beta - beta / 2
        7 - beta / 2,
    ]
    got = outputs_of(lambda x: smooth_l1(x, beta), differences)
    assert_allclose(got, expected, rtol=1e-5)


def test_smooth_l1_has_slope_x_by_beta_and_then_one():
    got = gradient(lambda x: smooth_l1(x, 0.5), floats([-3, -0.25, 0, 0.1, 2]))
    assert_allclose(got, [-1, -0.5, 0, 0.2, 1], rtol=1e-5)


def test_a_beta_of_0_is_the_absolute_difference():
    differences = floats([-3, -1e-6, 0, 2])
    got = outputs_of(lambda x: smooth_l1(x, 0.0), differences)
    assert_array_equal(got, np.abs(differences))
    slopes = gradient(lambda x: smooth_l1(x, 0.0), differences)
    assert_array_equal(slopes, [-1, -1, 0, 1])


def test_binary_cross_entropy_by_hand():
    log_odds = math.log(3)  # probability 3/4
    logits, targets = floats([0, 0, log_odds, log_odds, -log_odds]), [0, 1, 1, 0, 0.5]
    half = 0.5 * (math.log(4) + math.log(4 / 3))
    expected = [math.log(2), math.log(2), math.log(4 / 3), math.log(4), half]
    got = outputs_of(binary_cross_entropy, logits, floats(targets))
    assert_allclose(got, expected, rtol=1e-5)


def test_binary_cross_entropy_equals_its_plain_formula():
    generator = np.random.default_rng(0)
    logits, targets = generator.normal(0, 3, 50), generator.uniform(0, 1, 50)
    chance = 1 / (1 + np.exp(-logits))
    expected = -targets * np.log(chance) - (1 - targets) * np.log(1 - chance)
    got = outputs_of(binary_cross_entropy, floats(logits), floats(targets))
    assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_binary_cross_entropy_of_large_logits_is_finite():
    logits, targets = floats([1e4, 1e4, -1e4, -1e4]), floats([1, 0, 1, 0])
    got = outputs_of(binary_cross_entropy, logits, targets)
    assert_array_equal(got, [0, 1e4, 1e4, 0])
    slope = gradient(lambda x: binary_cross_entropy(x, targets), logits)
    assert_allclose(slope, [0, 1, -1, 0], atol=1e-6)


def test_binary_cross_entropy_slopes_by_probability_minus_target():
    # sigmoid(log 3) = 3/4
    got = gradient(
        lambda x: binary_cross_entropy(x, floats([1, 0])), floats([math.log(3)] * 2)
    )
    assert_allclose(got, [-0.25, 0.75], rtol=1e-5)


def test_focal_loss_by_hand():
    log_odds = math.log(3)  # probability 3/4
    logits = floats([0, 0, log_odds, log_odds])
    positive = np.array([True, False, True, False])
    expected = [
        0.25 * 0.25 * math.log(2),
        0.75 * 0.25 * math.log(2),
        0.25 * (1 / 4) ** 2 * math.log(4 / 3),
        0.75 * (3 / 4) ** 2 * math.log(4),
    ]
    got = outputs_of(sigmoid_focal, logits, positive)
    assert_allclose(got, expected, rtol=1e-5)


def test_focal_loss_equals_its_plain_formula_and_slope():
    generator = np.random.default_rng(2)
    logits, positive = generator.normal(0, 3, 50), generator.uniform(0, 1, 50) < 0.5

    def plain(logits):
        chance = 1 / (1 + np.exp(-logits))
        truth = np.where(positive, chance, 1 - chance)
        return -np.where(positive, 0.25, 0.75) * (1 - truth) ** 2 * np.log(truth)

    got = outputs_of(sigmoid_focal, floats(logits), positive)
    assert_allclose(got, plain(logits), rtol=1e-4, atol=1e-7)
    slope = (plain(logits + 1e-5) - plain(logits - 1e-5)) / 2e-5
    got = gradient(lambda x: sigmoid_focal(x, positive), floats(logits))
    assert_allclose(got, slope, rtol=1e-3, atol=1e-5)


def test_focal_loss_of_large_logits_is_finite():
    logits = floats([1e4, 1e4, -1e4, -1e4])
    positive = np.array([True, False, True, False])
    got = outputs_of(sigmoid_focal, logits, positive)
    assert_array_equal(got, [0, 7500, 2500, 0])
    slope = gradient(lambda x: sigmoid_focal(x, positive), logits)
    assert_allclose(slope, [0, 0.75, -0.25, 0], atol=1e-6)


def test_softmax_cross_entropy_by_hand():
    # Probabilities 1/6, 2/6, 3/6.
    logits = floats([np.log([1, 2, 3])] * 3)
    got = outputs_of(lambda x: softmax_cross_entropy(x, np.arange(3)), logits)
    assert_allclose(got, [math.log(6), math.log(3), math.log(2)], rtol=1e-5)


def test_softmax_cross_entropy_equals_its_plain_formula():
    generator = np.random.default_rng(1)
    logits, labels = generator.normal(0, 3, (4, 5, 6)), generator.integers(0, 6, (4, 5))
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log(np.take_along_axis(chances, labels[..., None], -1))[..., 0]
    got = outputs_of(lambda x: softmax_cross_entropy(x, labels), floats(logits))
    assert_allclose(got, expected, rtol=1e-4)


def test_softmax_cross_entropy_of_large_logits_is_finite():
    logits = floats([[1e4, -1e4], [1e4, -1e4]])
    got = outputs_of(lambda x: softmax_cross_entropy(x, np.arange(2)), logits)
    assert_array_equal(got, [0, 2e4])
