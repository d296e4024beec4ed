"""SGD against the formulas of PyTorch, written in NumPy."""

import keras
import numpy as np
import pytest

from keras_fpn.training import SGD, WarmupMultiStep

GRADIENTS = np.array([[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]], np.float32)
RATES = [0.1, 0.1, 0.01]


def pytorch(weights, decay, momentum, nesterov):
    """The loop in the documentation of torch.optim.SGD."""
    buffer = np.zeros_like(weights)
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        step = gradient + decay * weights
        buffer = momentum * buffer + step
        weights = weights - rate * (step + momentum * buffer if nesterov else buffer)
    return weights


def trained(optimizer):
    weights = keras.Variable(np.array([3.0, -1.0], np.float32), name="kernel")
    norm = keras.Variable(np.array([3.0, -1.0], np.float32), name="gamma")
    optimizer.exclude_from_weight_decay(var_list=[norm])
    for gradient in GRADIENTS:
        optimizer.apply([gradient, gradient], [weights, norm])
    return weights.numpy(), norm.numpy()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_steps_are_pytorchs_also_when_the_rate_changes(momentum, nesterov):
    rate = WarmupMultiStep(0.1, [2], warmup_steps=0)
    weights, norm = trained(SGD(rate, momentum, 0.5, nesterov))
    start = np.array([3.0, -1.0], np.float32)
    np.testing.assert_allclose(
        weights, pytorch(start, 0.5, momentum, nesterov), rtol=1e-5
    )
    np.testing.assert_allclose(norm, pytorch(start, 0.0, momentum, nesterov), rtol=1e-5)


def test_keras_sgd_takes_other_steps():
    # Otherwise ours would not be needed.
    rate = WarmupMultiStep(0.1, [2], warmup_steps=0)
    ours, _ = trained(SGD(rate, 0.9, 0.5))
    theirs, _ = trained(keras.optimizers.SGD(rate, 0.9, weight_decay=0.5))
    assert np.abs(ours - theirs).max() > 0.05


def test_it_comes_back_from_its_configuration():
    optimizer = SGD(0.05, 0.8, 1e-3, True, global_clipnorm=2.0)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, SGD)
    assert again.get_config() == optimizer.get_config()
