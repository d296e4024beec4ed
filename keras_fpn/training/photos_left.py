"""Ends a training that learns from other photos than those it was given."""

import keras

_SHARE = 0.01  # of the photos, may be unreadable; of few photos, one
_NAMED = 10  # photos that a message names


class StopWithoutPhotos(keras.callbacks.Callback):
    """Ends the training, with `OSError`, when too many photos cannot be read.

    In place of each an empty image is trained on. One damaged file, or 1 % of them,
    costs no more than a warning; with more the disk is failing or files were cut short,
    and what is learned is not what was asked for. It is looked at after each step,
    before checkpoints are written; with several machines after each epoch, for all
    must end together and each knows of the photos alone that it has read itself. A
    photo that can be read again does not count any more.

    Args:
        loader: `keras_fpn.data.Loader` of the training photos, its on_error "skip".
        devices: `Devices`.
    """

    def __init__(self, loader, devices):
        super().__init__()
        self.loader, self.devices = loader, devices
        count = len(loader.dataset)
        self.most = min(max(1, int(count * _SHARE)), count - 1)

    def on_train_batch_end(self, batch, logs=None):
        if self.devices.workers == 1 and len(self.loader.skipped) > self.most:
            self._stop(list(self.loader.skipped))

    def on_epoch_end(self, epoch, logs=None):
        skipped = self._skipped()
        if len(skipped) > self.most:
            self._stop(skipped)

    def _skipped(self):
        """Returns the image ids of what all workers skipped, at least if too many."""
        skipped = list(self.loader.skipped)
        if self.devices.workers == 1:
            return skipped
        counts = self.devices.of_workers(len(skipped))
        if sum(counts) <= self.most:
            return skipped
        # A photo may be one that several have met, each in another epoch.
        skipped += [-1] * (max(counts) - len(skipped))
        met = {image_id for one in skipped for image_id in self.devices.of_workers(one)}
        return sorted(met - {-1})

    def _stop(self, skipped):
        paths = {photo.image_id: photo.path for photo in self.loader.dataset.photos}
        names = [str(paths[image_id]) for image_id in skipped[:_NAMED]]
        more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        reasons = [self.loader.skipped.get(image_id) for image_id in reversed(skipped)]
        reason = next(filter(None, reasons), "another worker says why.")
        raise OSError(
            f"Of a training's {len(paths)} photos at most {self.most} may be "
            f"unreadable (1 %, or one of few); received {len(skipped)}: "
            f"{', '.join(names)}{more}. The last of them: {reason} Check the disk, put "
            "the files back and start the same command again; or leave these photos "
            "out of the data set and train anew, in another output folder."
        )
