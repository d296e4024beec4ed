"""The loop for TensorFlow: a loader's batches as a `tf.data.Dataset`."""

import tensorflow as tf

from keras_fpn.data.stream import StreamedBatches


def tensorflow_dataset(loader, epochs=1, first_epoch=0, start_batch=0, workers=None):
    """Returns a loader's batches, one epoch after the other, for `fit` and `evaluate`.

    Every iteration over it yields the same batches. Tell `fit` where an epoch ends, for
    it would otherwise take all of them for one:

        dataset = tensorflow_dataset(loader, epochs=12)
        model.fit(dataset, epochs=12, steps_per_epoch=len(loader), shuffle=False)

    Args:
        loader, epochs, first_epoch, start_batch, workers: see `stream_batches`.

    Returns:
        tf.data.Dataset of (x, y, sample_weight); see `Loader.load`. Sides that differ
        from batch to batch are None in its shapes. While it is used, damaged photos
        raise tf.errors.InvalidArgumentError, which names them.

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

    # Not by from_generator: in TensorFlow 2.21 it sets glibc's threshold for memory
    # that is given back at once to 128 KB, for good and for the whole process, and
    # NumPy then takes twice as long for everything larger. It took 20 ms of a CPU to
    # make an image in place of 10.
    dataset = tf.data.Dataset.range(len(batches)).map(batch).prefetch(1)
    # Nothing here can be tuned, and the thread that would try holds up the end of an
    # iteration: it wakes up after 10 ms, 20 ms, 40 ms, ..., and is waited for.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
