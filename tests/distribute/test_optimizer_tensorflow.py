"""Optimizers adapted to replicas must do on a single one as before."""

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow_only

STEPS = 7
AVERAGES = "_model_variables_moving_average"


def start():
    """Two new variables."""
    return [
        keras.Variable(np.array([1.0, -2.0, 3.0], "float32"), name="a"),
        keras.Variable(np.array([[0.5]], "float32"), name="b"),
    ]


def gradients(step):
    draw = np.random.default_rng(step)
    shapes = (3,), (1, 1)
    return [
        keras.ops.convert_to_tensor(draw.normal(0, 3, s), "float32") for s in shapes
    ]


def walked(optimizer, adapt):
    """The variables after each of some steps."""
    from keras_fpn.distribute.optimizer_tensorflow import adapt_to_replicas

    variables = start()
    optimizer.build(variables)
    if adapt:
        adapt_to_replicas(optimizer)
    places = []
    for step in range(STEPS):
        optimizer.apply(gradients(step), variables)
        places.append(np.concatenate([np.ravel(v.numpy()) for v in variables]))
    return np.array(places)


SETTINGS = {
    "plain": {},
    "clipped": {"global_clipnorm": 0.5},
    "decayed": {"weight_decay": 0.1},
    "accumulated": {"gradient_accumulation_steps": 3},
    "accumulated and clipped": {
        "gradient_accumulation_steps": 2,
        "global_clipnorm": 0.5,
        "weight_decay": 0.1,
    },
    "averaged": {"use_ema": True, "ema_momentum": 0.5},
    "overwritten": {
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 3,
    },
    "all": {
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
    },
}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_on_one_replica_an_adapted_optimizer_does_as_kerass_own(name):
    settings = {"learning_rate": 0.1, "momentum": 0.9, **SETTINGS[name]}
    plain, adapted = (keras.optimizers.SGD(**settings) for _ in range(2))
    expected = walked(plain, adapt=False)
    found = walked(adapted, adapt=True)
    assert np.abs(np.diff(expected, axis=0)).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    averages = (
        [np.array(v) for v in getattr(optimizer, AVERAGES, ())]
        for optimizer in (plain, adapted)
    )
    for one, other in zip(*averages, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_gradients_are_summed_once_and_those_missing_stay_missing(monkeypatch):
    from keras_fpn.distribute import optimizer_tensorflow

    monkeypatch.setattr(
        optimizer_tensorflow, "all_reduced", lambda sums: [2 * one for one in sums]
    )
    given = []
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.apply = lambda gradients, variables: given.append(gradients)
    for _ in range(2):  # the second time it is already adapted
        optimizer_tensorflow.adapt_to_replicas(optimizer)
    optimizer.apply([1.0, None, 5.0], start())
    optimizer.apply([None], start())
    assert given == [[2.0, None, 10.0], [None]]


def test_optimizers_within_a_wrapper_are_adapted():
    from keras_fpn.distribute.optimizer_tensorflow import adapt_to_replicas

    inner = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    plain = keras.optimizers.SGD(0.1)
    before = plain._backend_apply_gradients
    for optimizer in (keras.optimizers.LossScaleOptimizer(inner), plain):
        adapt_to_replicas(optimizer)
    assert inner._all_reduce_sum_gradients is plain._all_reduce_sum_gradients is list
    assert inner._backend_apply_gradients.__name__ == "apply"
    assert plain._backend_apply_gradients == before  # that of Keras works for it
