"""Batches of a loader as a `tf.data.Dataset`."""

import tensorflow as tf

from keras_fpn.data.stream import StreamedBatches


def tensorflow_dataset(
    loader,
    epochs: int = 1,
    first_epoch: int = 0,
    start_batch: int = 0,
    workers: int | None = None,
) -> tf.data.Dataset:
    """Returns batches of a loader, one epoch after the other, for `fit` and `evaluate`.

    Every iteration over it yields the same batches. Tell `fit` where an epoch ends,
    because it would otherwise take all of them for one:

        dataset = tensorflow_dataset(loader, epochs=12)
        model.fit(dataset, epochs=12, steps_per_epoch=len(loader), shuffle=False)

    Args:
        loader, epochs, first_epoch, start_batch, workers: see `stream_batches`.

    Returns:
        tf.data.Dataset of (x, y, sample_weight); see `Loader.load`. Dimensions
        that vary from batch to batch are None. In use, a photo that cannot be read
        raises tf.errors.InvalidArgumentError with its path.

    Raises:
        ValueError: an argument is out of its range.
    """
    batches = StreamedBatches(loader, epochs, first_epoch, start_batch, workers)
    specs = loader.specs()
    flat_specs = tf.nest.flatten(specs)

    def load(index):
        return tf.nest.flatten(batches[int(index)])

    def batch(index):
        arrays = tf.numpy_function(load, [index], [spec.dtype for spec in flat_specs])
        for array, spec in zip(arrays, flat_specs, strict=True):
            array.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(specs, arrays)

    # Not from_generator: in TensorFlow 2.21 it makes glibc return all blocks above
    # 128 KB to the system at once, permanently and for the whole process, which makes
    # NumPy half as fast on larger arrays: an image took 20 ms of a CPU instead of 10.
    dataset = tf.data.Dataset.range(len(batches)).map(batch).prefetch(1)
    # There is nothing to tune, and the end of an iteration waits for the tuning thread,
    # which wakes up only after 10 ms, 20 ms, 40 ms, ...
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
