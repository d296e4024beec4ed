"""`Devices` of `keras.distribution`, for the JAX backend."""

import os
from collections.abc import Sequence

import keras
import numpy as np

from keras_fpn.distribute.devices import Devices

_VARIABLES = tuple(
    f"KERAS_DISTRIBUTION_{name}"
    for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)


class DataParallelDevices(Devices):
    """The devices of a `keras.distribution.DataParallel`.

    Args:
        distribution: `keras.distribution.DataParallel`.
        workers, worker_index: as of `Devices`.
    """

    def __init__(self, distribution, workers: int = 1, worker_index: int = 0):
        self.distribution = distribution
        self.replicas = distribution.num_model_replicas
        self.workers, self.worker_index = workers, worker_index

    def scope(self):
        return self.distribution.scope()

    def fit_scope(self):
        return self.distribution.scope()  # by which Keras places each batch

    def of_workers(self, number):
        from jax.experimental import multihost_utils

        return np.ravel(multihost_utils.process_allgather(np.int32(number))).tolist()


def jax_devices(strategy: str, devices: Sequence[str] | None = None):
    """Returns the `Devices` of a strategy other than "none"; see `make_devices`."""
    workers, worker_index = 1, 0
    if strategy == "multiworker":
        workers, worker_index = _joined_cluster()
    if strategy == "tpu":
        devices = _tpu_devices()
    distribution = keras.distribution.DataParallel(
        devices=devices,
        auto_shard_dataset=False,  # each worker loads only its own rows
    )
    return DataParallelDevices(distribution, workers, worker_index)


def _tpu_devices():
    """Returns the names of all TPU cores."""
    try:
        return keras.distribution.list_devices("tpu")
    except RuntimeError as error:
        raise ValueError(
            "The strategy 'tpu' needs a machine with a TPU and a JAX built for it; "
            f"received one where it cannot be set up: {error}."
        ) from error


def _joined_cluster():
    """Joins the processes that the environment variables name.

    Returns:
        (number of workers, index of this one), ints.
    """
    values = {name: os.environ.get(name, "") for name in _VARIABLES}
    addresses, *numbers = values.values()
    right = bool(addresses) and all(number.isdecimal() for number in numbers)
    workers, index = map(int, numbers) if right else (0, 0)
    if not index < workers:
        raise ValueError(
            "The strategy 'multiworker' on JAX needs environment variables on each "
            "machine: the address of the first, the number of machines, and the index "
            f"of this one, counted from 0; received {values}."
        )
    keras.distribution.initialize()
    return workers, index
