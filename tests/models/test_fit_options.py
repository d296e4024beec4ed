"""What `compile` offers does in a detector what Keras says it does."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, two_levels

from keras_fpn.layers import FeaturePyramid
from keras_fpn.models import rpn_fpn
from keras_fpn.weights import fill_with_formula

RATE = 0.01
SIDE = 64


def batch(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, SIDE / 2, (2, 3, 2))
    sides = rng.uniform(12, SIDE / 2, (2, 3, 2))
    x = {
        "images": rng.uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32"),
        "image_sizes": np.full((2, 2), SIDE, "float32"),
    }
    y = {
        "boxes": np.concatenate([corners, corners + sides], -1).astype("float32"),
        "labels": rng.integers(0, 3, (2, 3)).astype("int32"),
        "image_ids": np.array([seed, seed + 100], "int32"),
    }
    return x, y


@pytest.fixture(scope="module")
def model():
    """One stage, which is sooner compiled: all detectors share their training."""
    neck = FeaturePyramid(16, name="neck")
    model = rpn_fpn(tiny_backbone(("C3", "C4")), neck=neck)
    fill_with_formula(model)
    return model


class Steps:
    """Takes training steps from the same start, and says what the weights became."""

    def __init__(self, model):
        self.model = model
        self.start = [np.array(v) for v in model.get_weights()]

    def taken(self, batches, first_step=0, **settings):
        """Returns the change of each trainable weight after each of the batches."""
        self.model.set_weights(self.start)
        self.model.training_step.assign(first_step)
        self.model.compile(optimizer=keras.optimizers.SGD(RATE, **settings))
        before = [np.array(v) for v in self.model.trainable_variables]
        changes = []
        for number in batches:
            self.model.train_on_batch(*batch(number))
            after = [np.array(v) for v in self.model.trainable_variables]
            changes.append([b - a for a, b in zip(before, after, strict=True)])
        return changes


@pytest.fixture(scope="module")
def steps(model):
    return Steps(model)


@pytest.fixture(scope="module")
def first(steps):
    return steps.taken([1])[0]


def check_close(changes, expected):
    largest = max(np.abs(e).max() for e in expected)
    for change, other in zip(changes, expected, strict=True):
        np.testing.assert_allclose(change, other, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.ci
def test_accumulated_steps_change_nothing_and_then_apply_their_mean(steps, first):
    [second] = steps.taken([2], first_step=1)
    waiting, both = steps.taken([1, 2], gradient_accumulation_steps=2)
    assert max(np.abs(change).max() for change in waiting) == 0
    check_close(both, [(a + b) / 2 for a, b in zip(first, second, strict=True)])


def test_the_whole_gradient_is_clipped_to_a_norm(steps, first):
    norm = np.sqrt(sum((change**2).sum() for change in first)) / RATE
    [clipped] = steps.taken([1], global_clipnorm=float(norm) / 4)
    check_close(clipped, [change / 4 for change in first])


def test_averages_follow_the_weights(steps):
    after_one, after_two = steps.taken([1, 2], use_ema=True, ema_momentum=0.75)
    averages = steps.model.optimizer._model_variables_moving_average
    weights = steps.model.trainable_variables
    # The first average is the weights after the first step.
    for average, weight, one, two in zip(
        averages, weights, after_one, after_two, strict=True
    ):
        expected = np.array(weight) + 0.75 * (one - two)
        np.testing.assert_allclose(np.array(average), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.ci
def test_mixed_bfloat16_trains_float32_weights_with_nearly_the_same_losses():
    model = two_levels()
    x, y = batch(1)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    exact = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = two_levels()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    mixed.compile(optimizer=keras.optimizers.SGD(RATE))
    found = mixed.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    assert {v.dtype for v in mixed.trainable_variables} == {"float32"}
    for name, value in exact.items():
        # bfloat16 has 8 bits: 0.4 % per operation.
        assert found[name] == pytest.approx(value, rel=0.05, abs=0.01), name
    before = mixed.backbone.trainable_variables[0].numpy().copy()
    mixed.fit(x, y, batch_size=2, epochs=1, verbose=0)
    after = mixed.backbone.trainable_variables[0].numpy()
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 0


@pytest.mark.tensorflow_only
def test_on_an_accelerator_keras_compiles_training_by_xla(monkeypatch):
    import tensorflow as tf
    from tensorflow.python.framework import config

    model = two_levels()
    model.compile()
    assert not model.jit_compile  # Keras leaves a CPU alone
    accelerator = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [accelerator])
    # Repeated sums, which these tests ask for, would turn XLA off.
    monkeypatch.setattr(config, "is_op_determinism_enabled", lambda: False)
    model.compile()
    assert model.jit_compile
