"""Reads a data set's photos and augments them, each as its own function of the seed."""

import warnings

from keras_fpn.data.augment import CopyPaste, MultiScale
from keras_fpn.data.random_numbers import random_generator
from keras_fpn.data.sample import load_sample


class AugmentedPhotos:
    """The samples of a data set, one at a time, in any order and by any thread.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        augment: tuple of augmentations, in the order of their use. A `MultiScale` is
            left to who makes the batches; `CopyPaste` gets another photo of the data
            set, treated by the augmentations before it.
        seed: int, what chance is drawn for.
        masks: bool, whether samples have masks; where `CopyPaste` is, they do anyway.
        on_error: "stop", a photo that cannot be read raises; "skip", it is None, and a
            warning names it.

    Attributes:
        skipped: dict, image id -> str, why a photo could not be read when it was last
            tried.

    Raises:
        ValueError: on_error is neither, or masks are needed and a photo has none.
    """

    def __init__(self, dataset, augment, seed, masks, on_error):
        self._pastes = any(isinstance(a, CopyPaste) for a in augment)
        if on_error not in ("stop", "skip"):
            raise ValueError(
                f"on_error must be 'stop' or 'skip'; received on_error={on_error!r}."
            )
        if masks or self._pastes:
            _check_masks(dataset)
        self._dataset, self._augment = dataset, augment
        self._seed, self._masks, self._on_error = seed, masks, on_error
        self.skipped = {}

    def sample(self, index, epoch):
        """Returns a photo's sample, see keras_fpn.data.sample; None if it is skipped.

        Args:
            index: int, place in the data set.
            epoch: int, what chance is drawn for, with the seed and the photo's id.

        Raises:
            ValueError: the photo cannot be read and on_error is "stop".
        """
        photo = self._dataset[index]
        return self._augmented(photo, epoch, photo.image_id, len(self._augment), "")

    def _augmented(self, photo, epoch, image_id, count, role):
        """Returns a photo's sample after the first `count` augmentations, or None.

        Args:
            image_id: int, of the photo that chance is drawn for: its own, or that of
                the photo it is pasted into.
            role: str, sets apart what is drawn for a photo to paste from.
        """
        sample = self._read(photo)
        for place, augmentation in enumerate(self._augment[:count]):
            if sample is None:
                break
            if isinstance(augmentation, MultiScale):
                continue
            purpose = f"augment {place}{role}"
            generator = random_generator(self._seed, epoch, image_id, purpose)
            if not isinstance(augmentation, CopyPaste):
                sample = augmentation(sample, generator)
                continue
            other = self._dataset[int(generator.integers(len(self._dataset)))]
            other = self._augmented(other, epoch, image_id, place, f"{role}, pasted")
            if other is not None:
                sample = augmentation(sample, other, generator)
        return sample

    def _read(self, photo):
        """Returns a photo's sample, or None for one that is skipped."""
        try:
            sample = load_sample(photo, masks=self._masks or self._pastes)
            self.skipped.pop(photo.image_id, None)
            return sample
        except (ValueError, OSError) as error:
            text = f"{photo.path} (image id {photo.image_id}): {error}"
            if self._on_error == "stop":
                raise ValueError(
                    f"A photo could not be read: {text} Replace it, or go on without "
                    "such photos by on_error='skip'."
                ) from error
        self.skipped[photo.image_id] = text
        warnings.warn(f"A photo was skipped: {text}", stacklevel=2)
        return None


def _check_masks(dataset):
    """Refuses photos whose objects have no masks."""
    bare = [p for p in dataset.photos if len(p.objects) and p.objects.segments is None]
    if bare:
        raise ValueError(
            f"Photos must have masks where they are needed; received {bare[0].path} "
            f"and {len(bare) - 1} more without. Pass masks=False and no CopyPaste, or "
            "leave those photos out."
        )
