"""What the model changes in Keras on several replicas, and leaves alone on one."""

import contextlib
import types

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow_only


class Strategy:
    """Stands in for a strategy with a number of replicas."""

    def __init__(self, count):
        self.num_replicas_in_sync = count
        self.entered = 0

    @contextlib.contextmanager
    def scope(self):
        self.entered += 1
        yield


def model_on(count):
    """A small model that is told to train on a number of replicas."""
    from keras_fpn.distribute.model_tensorflow import DistributedModel

    inputs = keras.Input((2,))
    model = DistributedModel(inputs, keras.layers.Dense(1)(inputs))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model._distribute_strategy = None if count is None else Strategy(count)
    return model


@pytest.mark.parametrize(("count", "adapted"), [(1, False), (2, True), (3, True)])
def test_optimizers_are_adapted_where_there_are_several_replicas(count, adapted):
    model = model_on(count)
    model.make_train_function()
    assert hasattr(model.optimizer, "_adapted_to_replicas") == adapted
    assert model.train_function is not None


@pytest.mark.parametrize(("count", "kept"), [(None, 2), (1, 2), (2, 0), (4, 0)])
def test_on_several_replicas_keras_loads_no_batch_to_build(monkeypatch, count, kept):
    by_keras = []
    monkeypatch.setattr(
        keras.Model,
        "_maybe_symbolic_build",
        lambda self, iterator=None, data_batch=None: by_keras.append(data_batch),
    )
    model = model_on(count)
    for _ in range(2):
        model._maybe_symbolic_build(data_batch="batch")
    assert by_keras == ["batch"] * kept


@pytest.mark.parametrize("count", [1, 2])
def test_the_optimizer_is_built_once_before_there_is_a_graph(count):
    model = model_on(count)
    assert not model.optimizer.built
    for _ in range(2):
        model.make_train_function()
    assert model.optimizer.built
    assert model._distribute_strategy.entered == 1


def test_without_an_optimizer_there_is_nothing_to_build():
    model = model_on(1)
    model.optimizer = None
    model.make_train_function()
    assert model._distribute_strategy.entered == 0


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("machines", [False, True])
def test_logs_have_an_axis_to_reduce_on_several_machines_alone(machines, several):
    import tensorflow as tf

    from keras_fpn.distribute.model_tensorflow import _reducible

    kind = tf.distribute.MirroredStrategy
    if machines:
        kind = tf.distribute.MultiWorkerMirroredStrategy
    strategy = object.__new__(kind)
    strategy._extended = types.SimpleNamespace(_in_multi_worker_mode=lambda: several)
    logs = _reducible({"loss": tf.constant(3.0)}, strategy)
    shape = (1,) if machines and several else ()
    assert logs["loss"].shape == shape
    assert np.all(logs["loss"] == 3.0)
