"""Batches of a loader as a `keras.utils.PyDataset`, without TensorFlow."""

import keras

from keras_fpn.data.stream import StreamedBatches


class LoaderSequence(keras.utils.PyDataset):
    """Batches of a loader, one epoch after the other, for `fit` and `evaluate`.

    Tell `fit` where an epoch ends, because it would otherwise take all of them for one,
    and not to shuffle: Keras would do that with Python's global random generator.

        batches = LoaderSequence(loader, epochs=12)
        model.fit(batches, epochs=12, steps_per_epoch=len(loader), shuffle=False)

    Under the TensorFlow backend use `tensorflow_dataset`: Keras would pass a PyDataset
    to `tf.data.Dataset.from_generator`, which halves the speed of the loader.

    Args:
        loader, epochs, first_epoch, start_batch, workers: see `stream_batches`.

    Raises:
        ValueError: an argument is out of its range; or the shapes of batches vary and
            the backend is TensorFlow, for which Keras derives the shape of all batches
            from the first two. In use: batches are not taken in order, or
            `Loader.load` raises.
    """

    def __init__(
        self,
        loader,
        epochs: int = 1,
        first_epoch: int = 0,
        start_batch: int = 0,
        workers: int | None = None,
    ):
        # Keras restarts its own threads at the end of an epoch, from the first batch.
        # One is enough, because the stream has its own threads.
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
            index: int, one more than the last time; or 0, to start again.
        """
        if index not in (0, self._next):
            raise ValueError(
                "Batches must be taken in order, or again from 0; received "
                f"index={index} instead of {self._next}. Pass shuffle=False to "
                "fit: the loader has its own shuffle."
            )
        batch = self._batches[index]
        self._next = index + 1
        return batch
