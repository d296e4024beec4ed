"""The devices that train: one, all of a machine, or those of several machines."""

import contextlib

import keras

STRATEGIES = ("none", "mirrored", "multiworker", "tpu")


class Devices:
    """One device, and what all kinds of `Devices` have.

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
        """bool, whether this process writes files and prints: one of all workers."""
        return self.worker_index == 0

    def scope(self):
        """Returns a context manager, in which to build and compile a model."""
        return contextlib.nullcontext()

    def fit_scope(self):
        """Returns a context manager, in which to call `fit` and `evaluate`."""
        return contextlib.nullcontext()

    def dataset(self, loader, epochs=1, first_epoch=0, start_batch=0, workers=None):
        """Returns what `fit` takes: a loader's batches, epoch after epoch.

        Each worker reads the photos of its own rows alone.

        Args:
            loader: `keras_fpn.data.Loader`, the same on all workers. Its batch size is
                that of a step over all replicas.
            epochs, first_epoch, start_batch, workers: as for `stream_batches`; the last
                are threads that read photos.

        Raises:
            ValueError: the replicas cannot share a batch alike, or an argument is out
                of its range.
        """
        self._check(loader)
        return self._batches(loader, epochs, first_epoch, start_batch, workers)

    def check_same_step(self, step):
        """Refuses to train if the workers would not all go on from the same step.

        Every worker must call it.

        Args:
            step: int, steps that this worker's checkpoint has behind it.

        Raises:
            ValueError: the workers gave different ones.
        """
        steps = self.of_workers(step)
        if len(set(steps)) > 1:
            raise ValueError(
                "All workers must go on from the same step; received steps "
                f"{steps} in the order of the workers. Put the training's folder on "
                "storage that all machines see."
            )

    def of_workers(self, number):
        """Returns the list of all workers' numbers, int; every worker must call it."""
        return [number]

    def _batches(self, loader, *place):
        if keras.backend.backend() == "tensorflow":
            from keras_fpn.data.tensorflow_loop import tensorflow_dataset

            return tensorflow_dataset(loader, *place)
        from keras_fpn.data.pydataset import LoaderSequence

        return LoaderSequence(loader, *place)

    def _check(self, loader):
        """Refuses batches that the replicas cannot share alike."""
        if loader.batch_size % self.replicas:
            more = -(-loader.batch_size // self.replicas) * self.replicas
            raise ValueError(
                "The batch size must be a multiple of the number of replicas; received "
                f"batch_size={loader.batch_size} for {self.replicas} replicas. Take "
                f"{more}."
            )
        if self.replicas > 1 and not loader.fill:
            raise ValueError(
                "Several replicas need complete batches; received a loader with "
                "fill=False. Pass fill=True: empty images of weight 0 fill the last."
            )


def make_devices(strategy="none", devices=None):
    """Returns the devices to train on.

    For several machines or a TPU it must be called before anything else is computed;
    with several machines it returns when all have called it.

    Args:
        strategy: str. "none", the one device that the backend takes. "mirrored",
            several of this machine. "multiworker", all of several machines: on
            TensorFlow the environment variable TF_CONFIG names them, on JAX
            KERAS_DISTRIBUTION_JOB_ADDRESSES and so on; not run on JAX. "tpu"; not run.
        devices: list of str, such as ["gpu:0", "gpu:2"], which of this machine's
            "mirrored" takes; None, all GPUs, or the CPU where there is none.

    Returns:
        `Devices`.

    Raises:
        ValueError: the strategy or a device does not exist, or what describes the
            machines is missing or wrong.
        RuntimeError: it was called too late for several machines.
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
    """Refuses devices that this machine does not have, or a strategy takes no list."""
    if strategy != "mirrored":
        raise ValueError(
            "devices can be chosen for the strategy 'mirrored' alone; received "
            f"devices={devices!r} for {strategy!r}. Use the environment variable "
            "CUDA_VISIBLE_DEVICES."
        )
    accelerators = keras.distribution.list_devices()  # the CPU's, where there are none
    known = list(
        dict.fromkeys([*accelerators, *keras.distribution.list_devices("cpu")])
    )
    wrong = [name for name in devices if name not in known]
    if wrong or not devices or len(set(devices)) < len(devices):
        raise ValueError(
            f"devices must be some of this machine's, {known}, each once; received "
            f"devices={devices!r}."
        )
