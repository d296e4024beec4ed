"""Which photos share a batch, in which order, and to what shapes they are padded.

All of it is known before a photo is opened, and the same for the same seed and epoch.
"""

import dataclasses
import math

import numpy as np

from keras_fpn.data.batch_shapes import holding_shapes, padded_sizes
from keras_fpn.data.copy_paste import CopyPaste
from keras_fpn.data.random_numbers import random_generator
from keras_fpn.data.rescale import LargeScaleJitter, MultiScale
from keras_fpn.preprocessing import Preprocessing

_OBJECT_SIZES = 4  # sizes of G at most: a compiled step is recompiled for each


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one batch will consist of.

    Attributes:
        indices: tuple of B ints, i for photo i of the data set; ~i, below 0, where the
            pixels of photo i complete the batch, without objects and with weight 0.
        shape: (H, W), ints, pixels, to which every image is padded.
        scale: int, index of the scale that the photos are resized to; see `plan_epoch`.
        max_objects: int, G, to which the objects of every image are padded; None, as
            `Loader.max_objects` says.
    """

    indices: tuple[int, ...]
    shape: tuple[int, int]
    scale: int = 0
    max_objects: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class InputSizes:
    """How large n photos will be as the model's input, at each of S scales.

    Attributes:
        sizes: int (S, n, 2), heights and widths, pixels, the largest scale last.
        limits: S pairs (min_size, max_size) that photos are resized by, see
            `resized_size`; empty if an augmentation resizes them.
        preprocessing: `Preprocessing`, of the detector.
    """

    sizes: np.ndarray
    limits: tuple[tuple[int, int], ...]
    preprocessing: Preprocessing

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
            size = self.preprocessing.resized_size(size, min_size, max_size)
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
        square = np.full((1, len(dataset), 2), resizer.size)
        return InputSizes(square, (), preprocessing)
    lengths, max_size = [preprocessing.min_size], preprocessing.max_size
    if isinstance(resizer, MultiScale):
        lengths, max_size = sorted(resizer.min_sizes), resizer.max_size
    limits = tuple((length, max_size) for length in lengths)
    photos = np.array([(photo.height, photo.width) for photo in dataset.photos])
    unique, index = np.unique(photos.reshape(-1, 2), axis=0, return_inverse=True)
    sizes = [
        [_resized(size, dataset, preprocessing, limit) for size in unique]
        for limit in limits
    ]
    found = np.array(sizes).reshape(len(limits), -1, 2)[:, index]
    return InputSizes(found, limits, preprocessing)


def object_counts(dataset, augment):
    """Returns int (n,), the most objects that each photo can have once augmented.

    A `CopyPaste` may add all objects of another photo but its crowd regions, and that
    photo has been pasted into by every `CopyPaste` before: so k of them add up to
    2^k - 1 times the most that can be pasted. No other augmentation adds objects.

    Args:
        dataset: `Dataset`, at least one photo.
        augment: tuple of augmentations.
    """
    counts = [len(photo.objects) for photo in dataset.photos]
    pasted = max(int((~photo.objects.is_crowd).sum()) for photo in dataset.photos)
    pastes = sum(isinstance(augmentation, CopyPaste) for augmentation in augment)
    return np.array(counts) + (2**pastes - 1) * pasted


def padded_counts(counts, few: bool):
    """Returns int (n,): counts of objects rounded up to one size of G, or to a few.

    The sizes are the largest count, its half, quarter and eighth. So at most half of
    the rows of the photo with the most objects in a batch are padding, unless it has
    less than an eighth.

    Args:
        counts: int (n,).
        few: bool, True for up to 4 sizes, False for one.
    """
    most = max(1, int(np.max(counts)))
    halvings = range(_OBJECT_SIZES if few else 1)
    sizes = np.array(sorted(-(-most // 2**halving) for halving in halvings))
    return sizes[np.searchsorted(sizes, counts)]


def plan_epoch(
    sizes,
    batch_size: int,
    shapes=None,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = False,
    fill: bool = False,
    divisor: int = 1,
    counts=None,
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
        fill: bool, whether incomplete batches are completed with pixels of their own
            photos: an empty image would enter the mean and variance of batch norms.
        divisor: int, pixels; without shapes, sides are multiples of it.
        counts: int (n,), G that each photo needs, of `padded_counts`; a batch takes the
            largest of its photos. None leaves G open.

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
    plan = []
    for indices, scale in zip(members, choices.tolist(), strict=True):
        shape = _shape(scales[scale, indices].max(axis=0), shapes, divisor)
        missing = batch_size - len(indices) if fill else 0
        fillers = ~np.resize(indices, missing)
        objects = None if counts is None else int(counts[indices].max())
        photos = (*indices.tolist(), *fillers.tolist())
        plan.append(Batch(photos, shape, scale, objects))
    return plan


def _shape(sizes, shapes, divisor):
    """Returns (H, W), ints, of a batch whose largest height and width are given."""
    if shapes is None:
        shape = padded_sizes(sizes, divisor)
    else:
        shape = shapes[holding_shapes(sizes, shapes)[0]]
    height, width = (int(side) for side in shape)
    return height, width


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


def _resized(size, dataset, preprocessing, limit):
    """Returns the height and width of a resized photo; an error names the photo."""
    try:
        return preprocessing.resized_size(size, *limit)
    except ValueError as error:
        path = next(
            p.path for p in dataset.photos if (p.height, p.width) == tuple(size)
        )
        raise ValueError(f"{path}: {error}") from error
