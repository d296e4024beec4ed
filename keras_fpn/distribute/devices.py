"""The devices that train: one, all of a machine, or those of several machines."""

import contextlib
import hashlib
import json
from collections.abc import Sequence

import keras

STRATEGIES = ("none", "mirrored", "multiworker", "tpu")


class Devices:
    """The device that Keras chooses; base class of several devices.

        devices = make_devices("mirrored")
        with devices.scope():
            model = faster_rcnn_fpn(...)
            model.compile(optimizer)
        data = devices.dataset(loader, epochs=12)
        with devices.fit_scope():
            model.fit(data, epochs=12, steps_per_epoch=len(loader), shuffle=False)

    Attributes:
        replicas: int, copies of the model that share each batch, on all workers.
        workers: int, processes, one on each machine.
        worker_index: int, this process, 0..workers-1.
    """

    replicas = 1
    workers = 1
    worker_index = 0

    @property
    def is_chief(self):
        """bool, whether this process, one of all workers, writes files and prints."""
        return self.worker_index == 0

    def scope(self):
        """Returns a context manager within which to build and compile a model."""
        return contextlib.nullcontext()

    def fit_scope(self):
        """Returns a context manager within which to call `fit` and `evaluate`."""
        return contextlib.nullcontext()

    def dataset(
        self,
        loader,
        epochs: int = 1,
        first_epoch: int = 0,
        start_batch: int = 0,
        workers: int | None = None,
    ):
        """Returns the batches of a loader, epoch after epoch, as `fit` takes them.

        Each worker reads only the photos of its own rows, and of the last batch what
        completes it.

        Args:
            loader: `keras_fpn.data.Loader`, the same on all workers. Its batch size is
                that of a step over all replicas.
            epochs, first_epoch, start_batch, workers: as for
                `keras_fpn.data.stream_batches`; the last is a number of threads.

        Raises:
            ValueError: the replicas cannot share a batch equally, or an argument is
                out of its range.
        """
        self._check(loader)
        share = self.worker_index, self.workers
        batches = loader.for_fit(epochs, first_epoch, start_batch, workers, share)
        if self.workers == 1:  # Keras and tf.distribute cut each batch into pieces
            return batches
        return self._in_pieces(batches, loader.batch_size)

    def check_same_step(self, step: int):
        """Raises if the workers would resume from different steps.

        Every worker must call it.

        Args:
            step: steps that were taken before the checkpoint of this worker.

        Raises:
            ValueError: the steps of the workers differ.
        """
        steps = self.of_workers(step)
        if len(set(steps)) > 1:
            raise ValueError(
                "All workers must resume from the same step; received steps "
                f"{steps} in the order of the workers. Put the output folder on "
                "storage that all machines see."
            )

    def check_same_settings(self, settings: dict):
        """Raises if a worker would train with other settings than the others.

        Every worker must call it, with equal keys.

        Args:
            settings: dict of name -> what JSON can hold.

        Raises:
            ValueError: names the settings that differ.
        """
        if self.workers == 1:
            return
        different = [
            name
            for name, value in settings.items()
            if len(set(self.of_workers(_digest(value)))) > 1
        ]
        if different:
            raise ValueError(
                "All workers must train with the same settings; received others for "
                f"{', '.join(different)}. Start the same command on the same data on "
                "every machine."
            )

    @contextlib.contextmanager
    def together(self):
        """Within it a ValueError or OSError of one worker ends all of them.

        Otherwise the others would wait for it forever. Every worker must enter it.

        Raises:
            ValueError: on the workers that could go on.
        """
        failed = True
        try:
            yield
            failed = False
        finally:
            several = self.workers > 1
            results = self.of_workers(int(failed)) if several else [int(failed)]
        if any(results):
            raise ValueError(
                "All workers must be able to begin; received an error on worker "
                f"{results.index(1)}, whose own message says why."
            )

    def of_workers(self, number: int):
        """Returns the number of each worker, list of int; all must call it.

        Args:
            number: 0..2^40.
        """
        return [number]

    def _in_pieces(self, batches, batch_size):
        """Returns the rows of this worker as its replicas take them."""
        return batches

    def _check(self, loader):
        """Raises for batches that the replicas cannot share equally."""
        if loader.batch_size % self.replicas:
            more = -(-loader.batch_size // self.replicas) * self.replicas
            raise ValueError(
                "The batch size must be a multiple of the number of replicas; received "
                f"batch_size={loader.batch_size} for {self.replicas} replicas. Use "
                f"{more}."
            )
        if self.replicas > 1 and not loader.fill:
            raise ValueError(
                "Several replicas need complete batches; received a loader with "
                "fill=False. Pass fill=True: photos of weight 0 fill the last."
            )


def _digest(value):
    """Returns an int of 40 bits that differs if a value does, as good as always."""
    text = json.dumps(value, sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:10], 16)


def make_devices(strategy: str = "none", devices: Sequence[str] | None = None):
    """Returns the devices to train on.

    For several machines or a TPU call it before anything is computed. With several
    machines it returns when all of them have called it.

    Args:
        strategy: "none", the one device that Keras chooses; nothing is changed.
            "mirrored", several of this machine. "multiworker", all of several machines:
            on TensorFlow the environment variable TF_CONFIG names them, on JAX
            KERAS_DISTRIBUTION_JOB_ADDRESSES and others do; never run on several real
            machines. "tpu", on JAX alone; never run.
        devices: those of this machine for "mirrored", such as ["gpu:0", "gpu:2"];
            None, all GPUs, or the CPU if there is none.

    Returns:
        `Devices`.

    Raises:
        ValueError: the strategy or a device does not exist, or the environment
            variables that describe the machines are missing or wrong.
        RuntimeError: something was computed before the call for several machines.
    """
    if strategy not in STRATEGIES:
        raise ValueError(
            f"strategy must be one of {STRATEGIES}; received strategy={strategy!r}."
        )
    if devices is not None:
        devices = [name.lower() for name in devices]
        _check_devices(strategy, devices)
    if strategy == "none":
        return Devices()
    if keras.backend.backend() == "jax":
        from keras_fpn.distribute.devices_jax import jax_devices

        return jax_devices(strategy, devices)
    from keras_fpn.distribute.devices_tensorflow import tensorflow_devices

    return tensorflow_devices(strategy, devices)


def _check_devices(strategy, devices):
    """Raises for devices that this machine lacks, or a strategy that takes none."""
    if strategy != "mirrored":
        raise ValueError(
            "devices can be chosen only for the strategy 'mirrored'; received "
            f"devices={devices!r} for {strategy!r}. Use the environment variable "
            "CUDA_VISIBLE_DEVICES."
        )
    accelerators = keras.distribution.list_devices()  # the CPU, if there are none
    known = list(
        dict.fromkeys([*accelerators, *keras.distribution.list_devices("cpu")])
    )
    wrong = [name for name in devices if name not in known]
    if wrong or not devices or len(set(devices)) < len(devices):
        raise ValueError(
            f"devices must be some of this machine, {known}, each once; received "
            f"devices={devices!r}."
        )
