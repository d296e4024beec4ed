"""Which photos share a batch, in which order, and to what shape they are padded.

All of it is known before a photo is opened, and the same for the same seed and epoch.
"""

import dataclasses
import itertools

import numpy as np

from keras_fpn.data.chance import generator

FILLER = -1  # the index of an empty image that completes a batch


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one batch will be made of.

    Attributes:
        indices: tuple of B ints, places in the data set; FILLER for an empty image.
        shape: (H, W), ints, pixels: what every image is padded to.
        scale: int, which of the planned sizes the photos take; see `plan_epoch`.
    """

    indices: tuple[int, ...]
    shape: tuple[int, int]
    scale: int = 0


def plan_epoch(
    sizes,
    batch_size,
    shapes=None,
    seed=0,
    epoch=0,
    shuffle=False,
    fill=False,
    divisor=1,
):
    """Returns an epoch's batches, list of Batch: every photo once, in one of them.

    With shapes, photos that the same of them holds best share batches; without, each
    batch is as high and as wide as its photos need. A photo may be planned in several
    sizes: then each batch draws one of them for all its photos, from its place in the
    epoch. Who shares a batch depends on the largest sizes alone, so that every epoch
    has as many batches.

    Args:
        sizes: int (n, 2), heights and widths of the resized photos, pixels; or
            (S, n, 2) for S choices of scale, the largest last.
        batch_size: int, photos in a batch.
        shapes: list of (H, W), pixels, one of which every photo must fit into; None.
        seed, epoch: int, what the order and the scales are drawn for.
        shuffle: bool, False keeps the photos' order, but for their shapes.
        fill: bool, whether incomplete batches are completed with FILLER.
        divisor: int, without shapes: sides are multiples of it, pixels.

    Raises:
        ValueError: batch_size is below 1, there is no photo, or one fits no shape.
    """
    scales = _checked(sizes, batch_size)
    number = scales.shape[1]
    order, drawn = np.arange(number), generator(seed, epoch, 0, "order")
    if shuffle:
        order = drawn.permutation(number)
    groups = [order]
    if shapes is not None:
        held = holding_shapes(scales[-1], shapes)[order]
        groups = [order[held == place] for place in range(len(shapes))]
    members = [
        group[start : start + batch_size]
        for group in groups
        for start in range(0, len(group), batch_size)
    ]
    if shuffle:
        members = [members[place] for place in drawn.permutation(len(members))]
    else:
        members.sort(key=min)
    choices = generator(seed, epoch, 0, "scale").integers(
        len(scales), size=len(members)
    )
    return [
        _batch(indices, scales, int(scale), shapes, divisor, batch_size if fill else 0)
        for indices, scale in zip(members, choices, strict=True)
    ]


def bucket_shapes(sizes, divisor=32, count=3):
    """Returns a few padded shapes that hold all photos with little padding.

    Photos are sorted by height over width and cut into `count` groups, each as high
    and as wide as its photos need, so that the sum of the padded areas is the least.
    Resized photos lie on a curve (the shorter side is min_size, or the longer one
    max_size), along which that cut is the best there is.

    Args:
        sizes: int (n, 2), heights and widths of the resized photos, pixels.
        divisor: int, sides are multiples of it, pixels.
        count: int, shapes at the most.

    Returns:
        list of (H, W), ints, from wide to high.

    Raises:
        ValueError: there is no photo, or count is below 1.
    """
    sizes = _checked(sizes, 1)[-1]
    if count < 1:
        raise ValueError(f"There must be at least 1 shape; received count={count}.")
    padded, photos = np.unique(_padded(sizes, divisor), axis=0, return_counts=True)
    order = np.argsort(padded[:, 0] / padded[:, 1], kind="stable")
    padded, photos = padded[order], photos[order]
    cost = _group_costs(padded, photos)
    best, first_of_last = cost[0], []  # best[j]: the least area of groups up to place j
    for _ in range(min(count, len(padded)) - 1):
        # total[i - 1, j]: the area if the last group is that of the places i to j.
        total = best[:-1, None] + cost[1:]
        first_of_last.append(np.argmin(total, axis=0) + 1)
        best = total.min(axis=0)
    bounds = [len(padded)]
    for firsts in reversed(first_of_last):
        bounds.insert(0, int(firsts[bounds[0] - 1]))
    groups = [padded[a:b] for a, b in itertools.pairwise([0, *bounds])]
    shapes = [tuple(group.max(axis=0).tolist()) for group in groups]
    return list(dict.fromkeys(shapes))


def holding_shapes(sizes, shapes):
    """Returns int (n,), for each photo the place of the smallest shape that holds it.

    Args:
        sizes: int (n, 2), heights and widths, pixels.
        shapes: list of (H, W), pixels; of two with the same area the first is taken.

    Raises:
        ValueError: a photo fits no shape.
    """
    frames = np.asarray(shapes, np.int64).reshape(-1, 2)
    sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
    holds = (sizes[:, None] <= frames).all(axis=2)  # (n, number of shapes)
    homeless = np.flatnonzero(~holds.any(axis=1))
    if len(homeless):
        raise ValueError(
            "Every resized photo must fit into one of the shapes, (height, width); "
            f"received shapes={[tuple(frame) for frame in frames.tolist()]}, and photo "
            f"{homeless[0]} (of {len(homeless)} that do not fit) is "
            f"{tuple(sizes[homeless[0]].tolist())}. Add a shape, or resize to less."
        )
    return np.where(holds, frames.prod(axis=1), np.inf).argmin(axis=1)


def _batch(indices, scales, scale, shapes, divisor, fill_to):
    """Returns the Batch of some photos at one of their scales."""
    sizes = scales[scale, indices].max(axis=0)
    if shapes is None:
        shape = _padded(sizes, divisor)
    else:
        shape = shapes[holding_shapes(sizes, shapes)[0]]
    fillers = (FILLER,) * (fill_to - len(indices))
    height, width = (int(side) for side in shape)
    return Batch((*indices.tolist(), *fillers), (height, width), scale)


def _group_costs(padded, photos):
    """Returns float (n, n): the padded area of photos i to j in one shape; inf, i > j.

    Args:
        padded: int (n, 2), different padded sizes.
        photos: int (n,), how many photos have each.
    """
    cost = np.full((len(padded), len(padded)), np.inf)
    for first in range(len(padded)):
        sides = np.maximum.accumulate(padded[first:], axis=0)
        cost[first, first:] = sides.prod(axis=1) * np.cumsum(photos[first:])
    return cost


def _padded(sizes, divisor):
    return -(-sizes // divisor) * divisor


def _checked(sizes, batch_size):
    """Returns int64 (S, n, 2), or refuses what was given."""
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
