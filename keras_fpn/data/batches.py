"""Which photos share a batch, in which order, and to what shape they are padded.

All of it is known before a photo is opened, and the same for the same seed and epoch.
"""

import dataclasses
import math

import numpy as np

from keras_fpn.data.augment import LargeScaleJitter, MultiScale
from keras_fpn.data.batch_shapes import holding_shapes, padded_sizes
from keras_fpn.data.random_numbers import random_generator
from keras_fpn.preprocessing import resized_size

FILLER = -1  # the index of an empty image that completes a batch


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one batch will consist of.

    Attributes:
        indices: tuple of B ints, into the data set; FILLER for an empty image.
        shape: (H, W), ints, pixels, to which every image is padded.
        scale: int, index of the scale that the photos are resized to; see `plan_epoch`.
    """

    indices: tuple[int, ...]
    shape: tuple[int, int]
    scale: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class InputSizes:
    """How large n photos will be as the model's input, at each of S scales.

    Attributes:
        sizes: int (S, n, 2), heights and widths, pixels, the largest scale last.
        limits: S pairs (min_size, max_size) that photos are resized by, see
            `resized_size`; empty if an augmentation resizes them.
    """

    sizes: np.ndarray
    limits: tuple[tuple[int, int], ...]

    def fitted(self, size, scale: int, shape):
        """Returns the height and width, ints, that an image is resized to.

        It is resized as a photo would be. A crop may have changed its proportions: if
        that does not fit into the batch, it gets the largest size that does.

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


def input_sizes(dataset, preprocessing, augment) -> InputSizes:
    """Returns the sizes of the photos of a data set once they are resized.

    Args:
        dataset: `Dataset`.
        preprocessing: `Preprocessing`, whose limits hold if no augmentation resizes.
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
        return InputSizes(np.full((1, len(dataset), 2), resizer.size), ())
    lengths, max_size = [preprocessing.min_size], preprocessing.max_size
    if isinstance(resizer, MultiScale):
        lengths, max_size = sorted(resizer.min_sizes), resizer.max_size
    limits = tuple((length, max_size) for length in lengths)
    photos = np.array([(photo.height, photo.width) for photo in dataset.photos])
    unique, index = np.unique(photos.reshape(-1, 2), axis=0, return_inverse=True)
    sizes = [[_resized(size, dataset, limit) for size in unique] for limit in limits]
    return InputSizes(np.array(sizes).reshape(len(limits), -1, 2)[:, index], limits)


def plan_epoch(
    sizes,
    batch_size: int,
    shapes=None,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = False,
    fill: bool = False,
    divisor: int = 1,
) -> list[Batch]:
    """Returns the batches of an epoch; every photo is in exactly one of them.

    With shapes, photos share a batch if the same shape is the smallest that holds them;
    without, each batch is as high and as wide as its photos need. If photos have
    several scales, each batch takes one at random for all of its photos. Which photos
    share a batch depends only on the largest scale, so that the number of batches is
    the same in every epoch.

    Args:
        sizes: int (n, 2), heights and widths of the resized photos, pixels; or
            (S, n, 2) for S scales, the largest last.
        batch_size: int, photos per batch.
        shapes: list of (H, W), pixels, one of which must hold each photo; or None.
        seed, epoch: int, which random order and scales to take.
        shuffle: bool, False keeps the order of the photos, apart from their shapes.
        fill: bool, whether incomplete batches are completed with FILLER.
        divisor: int, pixels; without shapes, sides are multiples of it.

    Raises:
        ValueError: batch_size is below 1, there is no photo, or one fits no shape.
    """
    scales = _checked(sizes, batch_size)
    number = scales.shape[1]
    order, generator = np.arange(number), random_generator(seed, epoch, 0, "order")
    if shuffle:
        order = generator.permutation(number)
    groups = [order]
    if shapes is not None:
        held = holding_shapes(scales[-1], shapes)[order]
        groups = [order[held == index] for index in range(len(shapes))]
    members = [
        group[start : start + batch_size]
        for group in groups
        for start in range(0, len(group), batch_size)
    ]
    if shuffle:
        members = [members[index] for index in generator.permutation(len(members))]
    else:
        members.sort(key=min)
    choices = random_generator(seed, epoch, 0, "scale").integers(
        len(scales), size=len(members)
    )
    return [
        _batch(indices, scales, int(scale), shapes, divisor, batch_size if fill else 0)
        for indices, scale in zip(members, choices, strict=True)
    ]


def _batch(indices, scales, scale, shapes, divisor, fill_to):
    """Returns the Batch of some photos at one of their scales."""
    sizes = scales[scale, indices].max(axis=0)
    if shapes is None:
        shape = padded_sizes(sizes, divisor)
    else:
        shape = shapes[holding_shapes(sizes, shapes)[0]]
    fillers = (FILLER,) * (fill_to - len(indices))
    height, width = (int(side) for side in shape)
    return Batch((*indices.tolist(), *fillers), (height, width), scale)


def _checked(sizes, batch_size):
    """Returns sizes as int64 (S, n, 2)."""
    sizes = np.asarray(sizes, np.int64)
    scales = sizes[None] if sizes.ndim == 2 else sizes
    if scales.ndim != 3 or scales.shape[2] != 2 or scales.size == 0:
        raise ValueError(
            "There must be at least one photo, its height and width; received sizes of "
            f"shape {sizes.shape}."
        )
    if batch_size < 1:
        raise ValueError(
            f"A batch must have at least 1 photo; received batch_size={batch_size}."
        )
    return scales


def _resized(size, dataset, limit):
    """Returns the height and width of a resized photo; an error names the photo."""
    try:
        return resized_size(size, *limit)
    except ValueError as error:
        path = next(
            p.path for p in dataset.photos if (p.height, p.width) == tuple(size)
        )
        raise ValueError(f"{path}: {error}") from error
