"""What ends a training early: unreadable photos, or a worker that stops."""

import keras

from keras_fpn.distribute.devices import Devices

_SHARE = 0.01  # of the photos may be unreadable; of few photos, one
_NAMED = 10  # photos that a message names
_ELSEWHERE = "another worker said why."


class StopWithoutPhotos(keras.callbacks.Callback):
    """Ends the training, with `OSError`, when too many photos cannot be read.

    An empty image is trained on in place of each. One damaged file, or 1 % of them,
    costs no more than a warning; with more the disk is failing or files were cut short,
    and the data are no longer those that were given. It checks after each step, before
    checkpoints are written. With several machines it checks after each epoch, because
    all of them must stop together and each knows only of the photos that it has read
    itself. A loader whose on_error is "drop" counts a photo until the training ends.

    Args:
        loader: `keras_fpn.data.Loader` of the training photos.
        devices: that train.
    """

    def __init__(self, loader, devices: Devices):
        super().__init__()
        self.loader, self.devices = loader, devices
        count = len(loader.dataset)
        self.most = min(max(1, int(count * _SHARE)), count - 1)

    def on_train_batch_end(self, batch, logs=None):
        if self.devices.workers == 1:
            self._check(list(self.loader.skipped))

    def on_epoch_end(self, epoch, logs=None):
        self.skipped()

    def skipped(self):
        """Returns the photos that all workers skipped, dict of image id -> why.

        All workers must call it.

        Raises:
            OSError: they are too many, and must not be saved as left out.
        """
        skipped = dict(self.loader.skipped)  # a copy: threads add to it
        if self.devices.workers == 1:
            self._check(list(skipped))
            return skipped
        counts = self.devices.of_workers(len(skipped))
        # Several workers may have met the same photo, in different epochs.
        own = [*skipped, *[-1] * (max(counts) - len(skipped))]
        met = {image_id for one in own for image_id in self.devices.of_workers(one)}
        found = sorted(met - {-1})
        self._check(found)
        return {image_id: skipped.get(image_id, _ELSEWHERE) for image_id in found}

    def _check(self, skipped):
        if len(skipped) <= self.most:
            return
        paths = {photo.image_id: photo.path for photo in self.loader.dataset.photos}
        names = [str(paths[image_id]) for image_id in skipped[:_NAMED]]
        more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        reasons = [self.loader.skipped.get(image_id) for image_id in reversed(skipped)]
        reason = next(filter(None, reasons), _ELSEWHERE)
        raise OSError(
            f"Of the {len(paths)} photos of a training at most {self.most} may be "
            f"unreadable (1 %, or one of few); received {len(skipped)}: "
            f"{', '.join(names)}{more}. The last of them: {reason} Check the disk, put "
            "the files back and start the same command again; or leave these photos "
            "out of the data set and train again, in another output folder."
        )


class StopTogether(keras.callbacks.Callback):
    """Stops the training on all workers when a callback stops it on one.

    Otherwise the others would wait for it forever. It must be the last callback.

    Args:
        devices: that train.
    """

    def __init__(self, devices: Devices):
        super().__init__()
        self.devices = devices

    def on_epoch_end(self, epoch, logs=None):
        asked = self.devices.of_workers(int(self.model.stop_training))
        self.model.stop_training = any(asked)
