"""Reads and augments the photos of a data set, each independently of the others."""

import errno
import time
import warnings

from keras_fpn.data.copy_paste import CopyPaste
from keras_fpn.data.random_numbers import random_generator
from keras_fpn.data.rescale import MultiScale
from keras_fpn.data.sample import load_sample

# Errors of disks and networks that may pass, and how long they are given, in seconds.
_PASSING = {
    getattr(errno, name)
    for name in "EAGAIN EBUSY EIO ENOBUFS ESTALE ETIMEDOUT".split()
    + "ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH ENETDOWN".split()
    + "ENETRESET ENETUNREACH EREMOTEIO".split()
    if hasattr(errno, name)
}
_PAUSES = (0.2, 1.0, 5.0)


class AugmentedPhotos:
    """Samples of a data set, read one at a time, in any order and by any thread.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        augment: tuple of augmentations, in the order of their use. `MultiScale`
            is left to the caller; `CopyPaste` gets another photo of the data set, to
            which the augmentations before it were applied.
        seed: int, random seed.
        masks: bool, whether samples have masks; with `CopyPaste` they always do.
        semantic: bool, whether samples have semantic maps.
        on_error: "stop", a photo that cannot be read raises; "skip", its sample is
            None and a warning names it; "drop", as "skip", and it is not read again
            when it is asked for the next time. Before, it is read again a few times if
            the error of the disk or network may pass.

    Attributes:
        skipped: dict, image id -> str, why a photo could not be read the last time.

    Raises:
        ValueError: on_error is none of them, or masks or semantic maps are needed and a
            photo has none.
    """

    def __init__(self, dataset, augment, seed, masks, on_error, semantic=False):
        self._pastes = any(isinstance(a, CopyPaste) for a in augment)
        if on_error not in ("stop", "skip", "drop"):
            raise ValueError(
                "on_error must be 'stop', 'skip' or 'drop'; received "
                f"on_error={on_error!r}."
            )
        if masks or self._pastes:
            _check_masks(dataset)
        if semantic:
            _check_semantic(dataset)
        self._semantic = semantic
        self._dataset, self._augment = dataset, augment
        self._seed, self._masks, self._on_error = seed, masks, on_error
        self.skipped = {}

    def sample(self, index, epoch):
        """Returns the sample of a photo, see keras_fpn.data.sample; None if skipped.

        Args:
            index: int, into the data set.
            epoch: int; with the seed and the image id, it gives the random numbers.

        Raises:
            ValueError: the photo cannot be read and on_error is "stop".
        """
        photo = self._dataset[index]
        return self._augmented(photo, epoch, photo.image_id, len(self._augment), "")

    def _augmented(self, photo, epoch, image_id, count, role):
        """Returns the sample of a photo after `count` augmentations, or None.

        Args:
            image_id: int, for the random numbers: its own, or that of the photo that
                it is pasted into.
            role: str, keeps the random numbers of a photo to paste from apart.
        """
        sample = self._read(photo)
        for index, augmentation in enumerate(self._augment[:count]):
            if sample is None:
                break
            if isinstance(augmentation, MultiScale):
                continue
            purpose = f"augment {index}{role}"
            generator = random_generator(self._seed, epoch, image_id, purpose)
            if not isinstance(augmentation, CopyPaste):
                sample = augmentation(sample, generator)
                continue
            other = self._dataset[int(generator.integers(len(self._dataset)))]
            other = self._augmented(other, epoch, image_id, index, f"{role}, pasted")
            if other is not None:
                sample = augmentation(sample, other, generator)
        return sample

    def _read(self, photo):
        """Returns the sample of a photo, or None if it is skipped."""
        if self._on_error == "drop" and photo.image_id in self.skipped:
            return None
        try:
            sample = self._loaded(photo)
            self.skipped.pop(photo.image_id, None)
            return sample
        except (ValueError, OSError) as error:
            text = f"{photo.path} (image id {photo.image_id}): {error}"
            if self._on_error == "stop":
                raise ValueError(
                    f"A photo could not be read: {text} Replace it, or skip "
                    "such photos with on_error='skip'."
                ) from error
        self.skipped[photo.image_id] = text
        warnings.warn(f"A photo was skipped: {text}", stacklevel=2)
        return None

    def _loaded(self, photo):
        """Returns the sample of a photo, tried again after errors that may pass."""
        masks = self._masks or self._pastes
        for pause in _PAUSES:
            try:
                return load_sample(photo, masks, self._semantic)
            except (ValueError, OSError) as error:
                if not _may_pass(error):
                    raise
            time.sleep(pause)
        return load_sample(photo, masks, self._semantic)


def _may_pass(error):
    """Returns whether an exception, or one that led to it, may pass."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _PASSING:
            return True
        error = error.__cause__ or error.__context__
    return False


def _check_masks(dataset):
    """Raises if the objects of a photo have no masks."""
    bare = dataset.photos_without_masks
    if bare:
        raise ValueError(
            "Photos must have masks where they are needed; received "
            f"{len(bare)} without, such as {bare[0].path}. Use a detector "
            "without masks and no CopyPaste, or leave those photos out."
        )


def _check_semantic(dataset):
    """Raises if a photo has no pixel labels."""
    bare = dataset.photos_without_semantic
    if bare:
        raise ValueError(
            "Photos must have pixel labels where semantic maps are needed; received "
            f"{bare[0].path} and {len(bare) - 1} more without. Use a detector "
            "without such maps, or leave those photos out."
        )
