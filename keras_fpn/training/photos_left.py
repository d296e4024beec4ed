"""Ends a training that has nothing to learn from any more."""

import keras


class StopWithoutPhotos(keras.callbacks.Callback):
    """Ends the training, with `OSError`, when every photo was skipped as unreadable.

    One damaged file costs no more than a warning; with all of them, the disk is gone or
    the files were cut short. It is looked at after each epoch. Of several machines each
    knows of the photos alone that it has read itself.

    Args:
        loader: `keras_fpn.data.Loader` of the training photos.
    """

    def __init__(self, loader):
        super().__init__()
        self.loader = loader

    def on_epoch_end(self, epoch, logs=None):
        count, skipped = len(self.loader.dataset), self.loader.skipped
        if len(skipped) == count:
            raise OSError(
                f"A training must be able to read its photos; received {count}, none "
                f"of which can be read: {next(reversed(skipped.values()))} Check the "
                "disk and the files, and start the same command again."
            )
