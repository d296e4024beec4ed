"""The rows of each batch that one of several machines loads."""

import dataclasses

import keras

from keras_fpn.data.batches import Batch


class WorkerRows:
    """The batches of a loader, of each only the rows of one worker.

    It is used like the `Loader`. Images are as high and wide as the whole batch needs,
    and G is that of the whole batch, so that all workers pad alike. Photos of other
    workers are read only where their pixels complete a batch.

    Args:
        loader: `Loader` of complete batches.
        worker: int, whose rows, 0..workers-1.
        workers: int, how many share each batch; its size is a multiple of it.

    Attributes:
        batch_size: int, rows per batch.
        image_shape: as of the loader.
    """

    def __init__(self, loader, worker: int, workers: int):
        self._loader = loader
        self.batch_size = loader.batch_size // workers
        first = worker * self.batch_size
        self._rows = slice(first, first + self.batch_size)
        self.image_shape = loader.image_shape
        self.blank, self.load_into = loader.blank, loader.load_into

    def __len__(self) -> int:
        """Returns the number of batches in an epoch."""
        return len(self._loader)

    def batches(self, epoch: int) -> list[Batch]:
        """Returns the list of the batches of an epoch, each with the worker's rows."""
        return [
            dataclasses.replace(batch, indices=batch.indices[self._rows])
            for batch in self._loader.batches(epoch)
        ]

    def specs(self):
        """Returns x, y and sample_weight with an `ArraySpec` for each array."""
        return keras.tree.map_structure(
            lambda spec: dataclasses.replace(
                spec, shape=(self.batch_size, *spec.shape[1:])
            ),
            self._loader.specs(),
        )
