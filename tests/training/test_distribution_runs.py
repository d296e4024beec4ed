"""The same global batches give the same numbers on any number of devices.

Real processes train; what they do is in `distributed_run.py`.
"""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from process_environment import environment_of_its_own

pytestmark = pytest.mark.ci  # `test_training_steps.py` tests one of them in every run

SCRIPT = pathlib.Path(__file__).with_name("distributed_run.py")
LIMIT = 900  # seconds, far more than a run takes on a busy machine, unless it hangs

jax_only = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="needs the JAX backend"
)


def start(folder, name, environment, **options):
    """Starts the script; returns (process, path of its .npz file, path of its log)."""
    output, log = folder / f"{name}.npz", folder / f"{name}.log"
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"output": str(output), **options}))
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning", SCRIPT, path],
            env=environment_of_its_own(CUDA_VISIBLE_DEVICES="-1", **environment),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    return process, output, log


def finished(started):
    """Waits for started processes; returns the arrays of each by name.

    If one fails or takes too long, all are killed and the test fails with a log.
    """
    deadline = time.monotonic() + LIMIT
    try:
        while any(process.poll() is None for process, _, _ in started):
            late = time.monotonic() > deadline
            for process, _, log in started:
                if process.returncode or (late and process.returncode is None):
                    code = process.returncode
                    pytest.fail(f"exit {code}: {log.read_text()[-4000:]}")
            time.sleep(0.1)
        failed = [log.read_text() for process, _, log in started if process.returncode]
        assert not failed, failed[0][-4000:]
    finally:
        for process, _, _ in started:
            process.kill()
            process.wait()
    return [{"log": log.read_text(), **np.load(output)} for _, output, log in started]


@contextlib.contextmanager
def reserved_addresses(count):
    """Yields addresses of this machine that only gRPC servers of this user can take.

    A port can be shared by servers that allow it, as TensorFlow does if
    TF_GRPC_REUSE_PORT is set. A port that is only bound answers nobody.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("", 0))
        yield [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def finished_workers(folder, **options):
    """The results of each of two processes with one replica, on TensorFlow."""
    with reserved_addresses(2) as addresses:
        started = []
        for index in range(2):
            task = {"type": "worker", "index": index}
            cluster = {"cluster": {"worker": addresses}, "task": task}
            environment = {
                "TF_CONFIG": json.dumps(cluster),
                "TF_GRPC_REUSE_PORT": "true",
            }
            name = f"worker{index}"
            started.append(start(folder, name, environment, **options))
        return finished(started)


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory):
    """The results of one replica, and of two in one process, on TensorFlow."""
    folder = tmp_path_factory.mktemp("one_machine")
    [found] = finished(
        [
            start(
                folder,
                "run",
                {},
                strategies=["none", "mirrored"],
                logical_cpus=2,
                runs=["momentum", "clipped", "dense"],
                optimizers=True,
                pieces=True,
                resume=str(folder),
            )
        ]
    )
    return found


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """The results of each of two processes with one replica, on TensorFlow."""
    folder = tmp_path_factory.mktemp("two_workers")
    options = {"strategies": ["multiworker"], "runs": ["clipped"]}
    return finished_workers(folder, **options, resume=str(folder))


@pytest.fixture(scope="module")
def two_jax_devices(tmp_path_factory):
    """The results of one device, and of two in one process, on JAX."""
    folder = tmp_path_factory.mktemp("two_jax_devices")
    flags = (
        "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    )
    environment = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    options = {"strategies": ["none", "mirrored"], "runs": ["momentum"]}
    [found] = finished(
        [start(folder, "run", environment, **options, resume=str(folder))]
    )
    return found


def part(found, prefix):
    """The arrays whose names begin with a prefix, by their names without it."""
    chosen = {
        name.removeprefix(f"{prefix} "): value
        for name, value in found.items()
        if name.startswith(f"{prefix} ")
    }
    assert chosen, prefix
    return chosen


def check_same_training(one, other):
    """Losses, weights, the optimizer's state and detections are the same to 1e-5."""
    assert one.keys() == other.keys()
    for name, values in one.items():
        if name in ("read", "copies"):
            continue
        limit = {"rtol": 1e-5, "atol": 2e-6}
        np.testing.assert_allclose(other[name], values, err_msg=name, **limit)


def check_meaningful(training):
    """The test must be able to fail: everything changes, by more than rounding."""
    assert training["steps"].shape[0] == 6
    assert np.isfinite(training["steps"]).all()
    for name in ("objectness_loss", "rpn_box_loss", "class_loss", "box_loss"):
        assert training[f"log {name}"].min() > 1e-3, name
    moved = {n: v for n, v in training.items() if n.endswith("bias_momentum")}
    assert len(moved) > 8
    for name, values in moved.items():
        assert np.abs(values).max() > 1e-4, name


@pytest.mark.tensorflow_only
def test_mirrored_replicas_count_their_workers_step_once(one_machine):
    assert one_machine["mirrored steps"].tolist() == [5]


@pytest.mark.tensorflow_only
def test_mirrored_and_multiworker_trainings_start_without_a_word_of_autograph(
    one_machine, two_workers
):
    for found in (one_machine, *two_workers):
        assert "AutoGraph" not in str(found["log"])


def check_resumed(found):
    """A run interrupted within an epoch ends like one that was not, to the bit."""
    found = part(found, "resume")
    assert found["start"].tolist() == [1, 2]
    whole, resumed = part(found, "whole"), part(found, "resumed")
    assert whole.keys() == resumed.keys()
    expected = whole["losses"][1:]  # means over all steps of an epoch
    np.testing.assert_allclose(resumed.pop("losses"), expected, rtol=1e-6)
    for name, values in resumed.items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)
    assert resumed["weight mean_box/training_step"] == resumed["state iteration"] == 9
    for kind in ("momentum", "average", "accumulator"):
        assert [name for name in resumed if name.endswith(kind)]


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("run", ["momentum", "clipped"])
def test_mirrored_training_equals_one_replicas(one_machine, run):
    one = part(part(one_machine, "none"), run)
    two = part(part(one_machine, "mirrored"), run)
    check_meaningful(one)
    assert list(one_machine["none place"]) == [1, 1, 0]
    assert list(one_machine["mirrored place"]) == [2, 1, 0]
    assert (one["copies"], two["copies"]) == (1, 2)
    check_same_training(one, two)


@pytest.mark.tensorflow_only
def test_the_moving_average_of_positives_is_of_all_replicas(one_machine):
    one = part(part(one_machine, "none"), "dense")
    averages = [one[name] for name in one if name.endswith("loss_divisor/average")]
    assert len(averages) == 1
    assert averages[0] > 20  # it starts at 10, and a batch has up to 200 positives
    check_same_training(one, part(part(one_machine, "mirrored"), "dense"))


@pytest.mark.tensorflow_only
def test_mirrored_validation_and_evaluation_equal_one_replicas(one_machine):
    one = part(part(one_machine, "none"), "clipped")
    assert one["log val_loss"].min() > 0.1
    assert one["log val_AP"].shape == (2,)
    assert len(one["detections"]) > 9
    check_same_training(one, part(part(one_machine, "mirrored"), "clipped"))


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    "kind",
    [
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "accumulation",
        "averaging",
        "several",
        "scaled",
    ],
)
def test_mirrored_optimizers_work_on_the_sum_of_all_gradients(one_machine, kind):
    one, two = (
        part(part(one_machine, strategy), kind) for strategy in ("none", "mirrored")
    )
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow_only
def test_mirrored_replicas_of_a_worker_take_its_pieces_in_turns(one_machine):
    # Scenes of a data set have consecutive ids; -1 fills the last batch.
    ids = one_machine["mirrored pieces"]
    assert ids.shape == (3, 2, 2)
    first = ids[0, 0, 0]
    expected = [*range(first, first + 9), -1, -1, -1]
    assert ids.ravel().tolist() == expected


@pytest.mark.tensorflow_only
def test_multiworker_training_equals_one_replicas(one_machine, two_workers):
    one = part(part(one_machine, "none"), "clipped")
    check_meaningful(one)
    for index, found in enumerate(two_workers):
        assert found["multiworker place"].tolist() == [2, 2, index]
        check_same_training(one, part(part(found, "multiworker"), "clipped"))


@pytest.mark.tensorflow_only
def test_multiworker_steps_train_alike_whether_sums_repeat_or_not(
    one_machine, tmp_path
):
    expected = part(part(one_machine, "none"), "clipped")
    options = {"strategies": ["multiworker"], "runs": ["clipped"], "free": True}
    for worker in finished_workers(tmp_path, **options):
        found = part(part(worker, "multiworker"), "clipped")
        check_meaningful(found)
        # The first step agrees but for last bits; later another RoI may be sampled.
        steps, repeated = found["steps"], expected["steps"]
        np.testing.assert_allclose(steps[0], repeated[0], rtol=1e-4)
        np.testing.assert_allclose(steps[-1], repeated[-1], rtol=2e-2)
        first, last = found["log loss"]
        assert last < first


@pytest.mark.tensorflow_only
def test_multiworker_processes_end_with_the_same_bits(two_workers):
    one, two = (part(part(found, "multiworker"), "clipped") for found in two_workers)
    for name, values in one.items():
        if not name.startswith(("read", "detections", "log val_A")):
            np.testing.assert_array_equal(two[name], values, err_msg=name)


@pytest.mark.tensorflow_only
def test_multiworker_processes_read_their_own_rows_alone(one_machine, two_workers):
    filler = ~8  # pixels of the last photo complete its batch
    assert one_machine["none clipped read"].tolist() == [filler, *range(9)]
    read = [found["multiworker clipped read"].tolist() for found in two_workers]
    assert read == [[filler, 0, 1, 4, 5, 8], [filler, 2, 3, 6, 7]]


@pytest.mark.tensorflow_only
def test_resumed_mirrored_training_ends_with_the_same_bits(one_machine):
    check_resumed(part(one_machine, "mirrored"))


@pytest.mark.tensorflow_only
def test_resumed_multiworker_training_ends_with_the_same_bits(two_workers):
    for found in two_workers:
        check_resumed(part(found, "multiworker"))


@pytest.mark.tensorflow_only
def test_multiworker_processes_refuse_to_start_from_different_steps(two_workers):
    for found in two_workers:
        assert "received steps [0, 1]" in str(found["multiworker refusal"])


@jax_only
def test_data_parallel_training_equals_one_devices(two_jax_devices):
    found = two_jax_devices
    one, two = (part(part(found, name), "momentum") for name in ("none", "mirrored"))
    check_meaningful(one)
    assert found["mirrored place"].tolist() == [2, 1, 0]
    assert (one["copies"], two["copies"]) == (1, 2)
    check_same_training(one, two)


@jax_only
def test_resumed_data_parallel_training_ends_with_the_same_bits(two_jax_devices):
    check_resumed(part(two_jax_devices, "mirrored"))


@jax_only
@pytest.mark.slow
def test_data_parallel_training_of_two_processes_equals_one_devices(tmp_path):
    common = {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    started = [start(tmp_path, "one", common, strategies=["none"], runs=["clipped"])]
    [alone] = finished(started)
    with reserved_addresses(1) as [address]:
        started = []
        for index in range(2):
            environment = {
                **common,
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
                "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            }
            options = {"strategies": ["multiworker"], "runs": ["clipped"]}
            started.append(start(tmp_path, f"worker{index}", environment, **options))
        workers = finished(started)
    for index, found in enumerate(workers):
        assert found["multiworker place"].tolist() == [2, 2, index]
        assert "received steps [0, 1]" in str(found["multiworker refusal"])
        one, other = part(alone, "none"), part(found, "multiworker")
        check_same_training(part(one, "clipped"), part(other, "clipped"))
