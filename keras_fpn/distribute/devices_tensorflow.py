"""`Devices` of `tf.distribute`."""

import json
import os
from collections.abc import Sequence

import tensorflow as tf

from keras_fpn.distribute.devices import Devices
from keras_fpn.distribute.replicas_tensorflow import all_reduced

_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_TASKS = ("chief", "worker")


class StrategyDevices(Devices):
    """The devices of a `tf.distribute.Strategy`.

    Args:
        strategy: `tf.distribute.Strategy`.
        workers, worker_index: as of `Devices`.
    """

    def __init__(self, strategy, workers: int = 1, worker_index: int = 0):
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        self.workers, self.worker_index = workers, worker_index

    def scope(self):
        return self.strategy.scope()

    def of_workers(self, number):
        own = [number * (index == self.worker_index) for index in range(self.workers)]

        def add():  # a tensor made outside would be added once per worker, not replica
            return all_reduced(tf.constant(own, tf.int64))

        def added():
            return self.strategy.run(add)

        sums = tf.function(added, autograph=False)()
        all_steps = self.strategy.experimental_local_results(sums)[0].numpy()
        return (all_steps // (self.replicas // self.workers)).tolist()

    def _in_pieces(self, batches, batch_size):
        piece = batch_size // self.replicas
        distributed = self.strategy.distribute_datasets_from_function(
            lambda context: batches.rebatch(piece, drop_remainder=True)
        )
        # Keras takes the cardinality as the number of steps; that of pieces is larger.
        distributed._cardinality = len(batches)
        return distributed


def tensorflow_devices(strategy: str, devices: Sequence[str] | None = None):
    """Returns the `Devices` of a strategy other than "none"; see `make_devices`."""
    if strategy == "mirrored":
        return StrategyDevices(tf.distribute.MirroredStrategy(devices))
    if strategy == "tpu":
        raise ValueError(
            "The strategy 'tpu' must be used on JAX, because it was never tried on "
            "TensorFlow; received the backend 'tensorflow'. Set KERAS_BACKEND=jax."
        )
    workers, worker_index = cluster_index()
    try:
        multiworker = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(
            "Several machines must be set up before TensorFlow computes anything; "
            f"received the call later ({error}). Call make_devices first."
        ) from error
    return StrategyDevices(multiworker, workers, worker_index)


def cluster_index():
    """Returns (number of workers, index of this one), ints, from TF_CONFIG.

    Raises:
        ValueError: TF_CONFIG is missing or wrong.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses = [*cluster.get("chief", ()), *cluster["worker"]]
        kind, index = task["type"], task["index"]
        overall = index + (len(cluster.get("chief", ())) if kind == "worker" else 0)
        right = kind in _TASKS and 0 <= index < len(cluster[kind])
    except (ValueError, LookupError, TypeError, AttributeError):
        right = False
    if not right:
        raise ValueError(
            "The strategy 'multiworker' needs the environment variable TF_CONFIG on "
            "each machine: JSON with the addresses of all workers and the index of "
            f"this one, such as {_EXAMPLE}; received TF_CONFIG={text!r}."
        )
    return len(addresses), overall
