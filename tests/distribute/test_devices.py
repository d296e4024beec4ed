"""Which devices can be made, and which batches they take; runs are tested elsewhere."""

import json
import types

import keras
import pytest

from keras_fpn.distribute.devices import STRATEGIES, Devices, make_devices

CLUSTER = {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}
JAX_VARIABLES = [
    f"KERAS_DISTRIBUTION_{name}"
    for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
]

jax_only = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="needs the JAX backend"
)


def loader_like(batch_size=4, fill=True):
    return types.SimpleNamespace(batch_size=batch_size, fill=fill)


@pytest.fixture
def no_cluster(monkeypatch):
    """Removes the environment variables that name machines."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name in JAX_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_one_device_is_the_default_and_changes_nothing():
    devices = make_devices()
    assert type(devices) is Devices
    assert (devices.replicas, devices.workers, devices.worker_index) == (1, 1, 0)
    assert devices.is_chief
    with devices.scope():
        assert keras.distribution.distribution() is None
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            assert not tf.distribute.has_strategy()
    devices.check_same_step(3)


def test_one_device_takes_any_batches():
    Devices()._check(loader_like(3, fill=False))


def test_only_the_first_worker_is_the_chief():
    devices = Devices()
    devices.workers, devices.worker_index = 2, 1
    assert not devices.is_chief


def test_unknown_strategies_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'mirrored', .*received strategy='Mirrored'"):
        make_devices("Mirrored")
    assert STRATEGIES == ("none", "mirrored", "multiworker", "tpu")


@pytest.mark.parametrize(
    "names", [["gpu:77"], ["cpu:0", "gpu:77"], ["cpu:0", "cpu:0"], []]
)
def test_mirrored_refuses_devices_that_are_not_there_or_twice(names):
    with pytest.raises(ValueError, match=r"of this machine, .*'cpu:0'") as error:
        make_devices("mirrored", names)
    assert f"received devices={names}" in str(error.value)


@pytest.mark.parametrize("strategy", ["none", "multiworker", "tpu"])
def test_only_mirrored_takes_names_of_devices(strategy):
    with pytest.raises(ValueError, match=rf"\['cpu:0'\] for '{strategy}'"):
        make_devices(strategy, ["cpu:0"])


def test_mirrored_on_a_single_device_has_one_replica():
    devices = make_devices("mirrored", ["CPU:0"])
    assert (devices.replicas, devices.workers, devices.is_chief) == (1, 1, True)
    with devices.scope():
        layer = keras.layers.Dense(1)
        layer.build((None, 2))
    assert layer.count_params() == 3


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
def test_batches_that_replicas_cannot_share_are_refused(batch_size):
    devices = Devices()
    devices.replicas = 3
    more = -(-batch_size // 3) * 3
    expected = rf"received batch_size={batch_size} for 3 replicas. Use {more}\."
    with pytest.raises(ValueError, match=expected):
        devices.dataset(loader_like(batch_size))


def test_several_replicas_refuse_incomplete_batches():
    devices = Devices()
    devices.replicas = 2
    with pytest.raises(ValueError, match=r"received a loader with fill=False. Pass fi"):
        devices.dataset(loader_like(fill=False))


def test_each_worker_asks_for_its_share_and_several_cut_it_into_pieces(monkeypatch):
    asked, devices = [], Devices()
    loader = loader_like(6)
    loader.for_fit = lambda *arguments: asked.append(arguments) or "batches"
    cut = lambda batches, batch_size: (batches, batch_size)  # noqa: E731
    monkeypatch.setattr(devices, "_in_pieces", cut)
    assert devices.dataset(loader, 3, 1, 2, workers=4) == "batches"
    devices.workers, devices.worker_index = 2, 1
    assert devices.dataset(loader) == ("batches", 6)
    assert asked == [(3, 1, 2, 4, (0, 1)), (1, 0, 0, None, (1, 2))]


def test_workers_refuse_to_start_from_different_steps(monkeypatch):
    devices = Devices()
    monkeypatch.setattr(devices, "of_workers", lambda step: [step, 12])
    devices.check_same_step(12)
    with pytest.raises(ValueError, match=r"received steps \[7, 12\] .* storage that"):
        devices.check_same_step(7)


def two_workers(monkeypatch, of_other):
    """Devices of two workers; the other one answers `of_other(number)`."""
    devices = Devices()
    devices.workers = 2
    monkeypatch.setattr(devices, "of_workers", lambda n: [n, of_other(n)])
    return devices


def test_workers_refuse_to_train_with_different_settings(monkeypatch):
    settings = {"seed": 0, "dataset": {"photos": 3}, "epochs": None}
    two_workers(monkeypatch, lambda n: n).check_same_settings(settings)
    asked = []

    def other(number):
        asked.append(number)
        return number + (len(asked) == 2)

    with pytest.raises(ValueError, match=r"received others for dataset\. Start"):
        two_workers(monkeypatch, other).check_same_settings(settings)
    assert len(set(asked)) == 3
    assert all(0 <= number < 2**40 for number in asked)
    Devices().check_same_settings({"seed": object()})  # one worker compares nothing


def test_an_error_of_one_worker_ends_all(monkeypatch):
    with two_workers(monkeypatch, lambda n: 0).together():
        pass
    alone = r"received an error on worker 1, whose own message"
    with (
        pytest.raises(ValueError, match=alone),
        two_workers(monkeypatch, lambda n: 1).together(),
    ):
        pass
    told = []
    devices = two_workers(monkeypatch, lambda n: told.append(n) or 0)
    with pytest.raises(OSError, match="mine"), devices.together():
        raise OSError("mine")
    assert told == [1]
    with pytest.raises(OSError, match="mine"), Devices().together():
        raise OSError("mine")


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    "config",
    [
        None,
        "",
        "{",
        "[]",
        json.dumps({"cluster": CLUSTER}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "chief", "index": 0}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": -1}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": "0"}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "ps", "index": 0}}),
        json.dumps({"cluster": {}, "task": {"type": "worker", "index": 0}}),
    ],
)
def test_multiworker_without_a_right_tf_config_is_refused(
    monkeypatch, no_cluster, config
):
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match="environment variable TF_CONFIG") as error:
        make_devices("multiworker")
    assert f"received TF_CONFIG={config or ''!r}." in str(error.value)


@pytest.mark.tensorflow_only
def test_multiworker_counts_a_chief_first(monkeypatch):
    from keras_fpn.distribute.devices_tensorflow import cluster_index

    cluster = {"chief": ["a:1"], **CLUSTER}
    for task, place in ((("chief", 0), 0), (("worker", 0), 1), (("worker", 1), 2)):
        config = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert cluster_index() == (3, place)


@pytest.mark.tensorflow_only
def test_multiworker_after_a_computation_is_refused(monkeypatch):
    import tensorflow as tf

    tf.zeros(1)
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": CLUSTER, "task": task}))
    with pytest.raises(RuntimeError, match=r"received the call later .*Call make"):
        make_devices("multiworker")


def test_tpu_is_refused_without_a_tpu_and_on_tensorflow():
    said = {
        "jax": "'tpu' needs a machine with a TPU",
        "tensorflow": "'tpu' must be used on JAX.* Set KERAS_BACKEND=jax",
    }
    with pytest.raises(ValueError, match=said[keras.backend.backend()]):
        make_devices("tpu")


@jax_only
@pytest.mark.parametrize(
    "values", [("", "2", "0"), ("a:1", "", "0"), ("a:1", "two", "0"), ("a:1", "2", "2")]
)
def test_multiworker_on_jax_without_its_variables_is_refused(
    monkeypatch, no_cluster, values
):
    for name, value in zip(JAX_VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="'multiworker' on JAX needs") as error:
        make_devices("multiworker")
    assert f"PROCESS_ID': {values[2]!r}" in str(error.value)


@jax_only
def test_data_parallel_is_on_in_its_scopes_alone():
    devices = make_devices("mirrored")
    for scope in (devices.scope(), devices.fit_scope()):
        with scope:
            assert keras.distribution.distribution() is devices.distribution
        assert keras.distribution.distribution() is None
