"""The loop without TensorFlow: a loader's batches as a `keras.utils.PyDataset`."""

import keras

from keras_fpn.data.stream import StreamedBatches


class LoaderSequence(keras.utils.PyDataset):
    """A loader's batches, one epoch after the other, for `fit` and `evaluate`.

    Tell `fit` where an epoch ends, for it would otherwise take all of them for one, and
    to leave the order alone: its own shuffling comes from Python's global generator.

        batches = LoaderSequence(loader, epochs=12)
        model.fit(batches, epochs=12, steps_per_epoch=len(loader), shuffle=False)

    Under the TensorFlow backend take `tensorflow_dataset`: Keras would hand a PyDataset
    to tf.data's from_generator, which slows the loader down to half, see there.

    Args:
        loader, epochs, first_epoch, start_batch, workers: see `stream_batches`.

    Raises:
        ValueError: an argument is out of its range, or images differ in shape from
            batch to batch and the backend is TensorFlow, for which Keras declares the
            shape of all images from the first two batches. While it is used: batches
            are not taken in order, or what `Loader.load` raises.
    """

    def __init__(self, loader, epochs=1, first_epoch=0, start_batch=0, workers=None):
        # One worker of Keras's: it stops and restarts its own threads at the end of an
        # epoch, and then from the first batch. The stream has threads enough.
        super().__init__(workers=1, use_multiprocessing=False)
        self._batches = StreamedBatches(
            loader, epochs, first_epoch, start_batch, workers
        )
        self._next = 0
        x, y, _ = loader.specs()
        images, boxes = x["images"].shape[1:], y["boxes"].shape[1:]
        if keras.config.backend() == "tensorflow" and None in images + boxes:
            raise ValueError(
                "Under TensorFlow the batches of a LoaderSequence must have one shape; "
                f"received images {images} and boxes {boxes}. Use "
                "keras_fpn.data.tensorflow_dataset, or a loader with one shape in "
                "shapes and with max_objects."
            )

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        """Returns batch `index`, (x, y, sample_weight); see `Loader.load`.

        Args:
            index: int, one more than the last time; or 0, to begin anew.
        """
        if index not in (0, self._next):
            raise ValueError(
                "Batches must be taken in order, or anew from 0; received "
                f"index={index} in the place of {self._next}. Pass shuffle=False to "
                "fit: the loader has its own shuffle."
            )
        batch = self._batches[index]
        self._next = index + 1
        return batch
