"""How large photos will be when they are trained on, known before one is opened."""

import dataclasses
import math

import numpy as np

from keras_fpn.data.augment import LargeScaleJitter, MultiScale
from keras_fpn.preprocessing import resized_size


@dataclasses.dataclass(frozen=True, eq=False)
class PlannedSizes:
    """The sizes of n photos at S scales.

    Attributes:
        sizes: int (S, n, 2), heights and widths, pixels, the largest scale last.
        limits: S pairs (min_size, max_size) that photos are resized by, see
            `resized_size`; none if an augmentation resizes them.
    """

    sizes: np.ndarray
    limits: tuple[tuple[int, int], ...]

    def fitted(self, size, scale, shape):
        """Returns the height and width, ints, that an image is resized to.

        It is resized as a photo would be; if that fits not into the batch, since a crop
        has changed its form, to the largest size that does.

        Args:
            size: its height and width, pixels.
            scale: int, 0..S-1.
            shape: (H, W) of the batch, pixels.
        """
        min_size, max_size = self.limits[scale]
        if max(size) <= max_size * min(size):  # otherwise a side would become 0
            size = resized_size(size, min_size, max_size)
        shrink = min(shape[0] / size[0], shape[1] / size[1])
        if shrink >= 1:
            return size
        return tuple(max(1, math.floor(side * shrink)) for side in size)


def planned_sizes(dataset, preprocessing, augment):
    """Returns the PlannedSizes of a data set's photos.

    Args:
        dataset: `Dataset`.
        preprocessing: `Preprocessing`, whose limits count if nothing else resizes.
        augment: tuple of augmentations, at most one of which resizes: `MultiScale`, of
            which every length is one scale, or `LargeScaleJitter`, whose square is the
            only size.

    Raises:
        ValueError: two augmentations resize, or a photo is too oblong to be resized.
    """
    resizing = [a for a in augment if isinstance(a, (MultiScale, LargeScaleJitter))]
    if len(resizing) > 1:
        raise ValueError(
            f"At most one augmentation may resize; received {resizing}. Keep one."
        )
    resizer = resizing[0] if resizing else None
    if isinstance(resizer, LargeScaleJitter):
        return PlannedSizes(np.full((1, len(dataset), 2), resizer.size), ())
    lengths, max_size = [preprocessing.min_size], preprocessing.max_size
    if isinstance(resizer, MultiScale):
        lengths, max_size = sorted(resizer.min_sizes), resizer.max_size
    limits = tuple((length, max_size) for length in lengths)
    photos = np.array([(photo.height, photo.width) for photo in dataset.photos])
    unique, places = np.unique(photos.reshape(-1, 2), axis=0, return_inverse=True)
    sizes = [[_resized(size, dataset, limit) for size in unique] for limit in limits]
    return PlannedSizes(np.array(sizes).reshape(len(limits), -1, 2)[:, places], limits)


def _resized(size, dataset, limit):
    """Returns the height and width of a resized photo; an error names the photo."""
    try:
        return resized_size(size, *limit)
    except ValueError as error:
        path = next(
            p.path for p in dataset.photos if (p.height, p.width) == tuple(size)
        )
        raise ValueError(f"{path}: {error}") from error
