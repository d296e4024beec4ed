"""Which shapes batches are padded to, as `Loader(shapes=...)` asks for."""

import itertools

import numpy as np

_BUCKETS = "buckets"
_BUCKET_COUNT = 3  # wide, square and high photos


def parse_shapes(shapes, sizes, divisor: int):
    """Returns a list of (H, W), pixels, or None where each batch has its own.

    Args:
        shapes: None, "buckets" or a list of (H, W); see `Loader`.
        sizes: int (S, n, 2), heights and widths of the resized photos at S scales, the
            largest last.
        divisor: int, pixels; the sides of shapes are multiples of it.

    Raises:
        ValueError: shapes is none of the three, a side is not a multiple of the
            divisor, or a photo fits into no shape.
    """
    if shapes is None:
        return None
    if isinstance(shapes, str):
        if shapes != _BUCKETS:
            raise ValueError(
                f"shapes must be None, {_BUCKETS!r} or a list of (height, width); "
                f"received shapes={shapes!r}."
            )
        found = [bucket_shapes(each, divisor, _BUCKET_COUNT) for each in sizes]
        return list(dict.fromkeys(shape for each in found for shape in each))
    shapes = [(int(height), int(width)) for height, width in shapes]
    odd = [shape for shape in shapes if shape[0] % divisor or shape[1] % divisor]
    if odd:
        raise ValueError(
            f"The sides of shapes must be multiples of {divisor}, the detector's "
            f"size_divisor; received shapes={shapes}, of which {odd} are not."
        )
    holding_shapes(sizes[-1], shapes)
    return shapes


def common_shape(shapes, sizes, divisor: int):
    """Returns (H, W) of the images of all batches, None for a side that varies.

    Args:
        shapes: what `parse_shapes` returned.
        sizes, divisor: see there.
    """
    sides = padded_sizes(sizes, divisor) if shapes is None else np.array(shapes)
    sides = sides.reshape(-1, 2).T
    return tuple(int(side[0]) if (side == side[0]).all() else None for side in sides)


def bucket_shapes(sizes, divisor: int = 32, count: int = 3):
    """Returns a few padded shapes that hold all photos with little padding.

    Photos are sorted by height / width and cut into `count` groups, each as high and as
    wide as its photos need, so that the sum of the padded areas is the least. Resized
    photos lie on a curve (either the shorter side is min_size or the longer one
    max_size); along it this cut is optimal.

    Args:
        sizes: int (n, 2), heights and widths of the resized photos, pixels.
        divisor: int, pixels; the sides of shapes are multiples of it.
        count: int, maximum number of shapes.

    Returns:
        list of (H, W), ints, from wide to high.

    Raises:
        ValueError: there is no photo, or count is below 1.
    """
    if len(sizes) == 0 or count < 1:
        raise ValueError(
            "There must be at least 1 photo and count must be at least 1; received "
            f"{len(sizes)} photos, count={count}."
        )
    padded = padded_sizes(np.asarray(sizes, np.int64), divisor)
    padded, photos = np.unique(padded, axis=0, return_counts=True)
    order = np.argsort(padded[:, 0] / padded[:, 1], kind="stable")
    padded, photos = padded[order], photos[order]
    cost = _group_costs(padded, photos)
    best, first_of_last = cost[0], []  # best[j]: least area of all groups up to size j
    for _ in range(min(count, len(padded)) - 1):
        # total[i - 1, j]: the area if the last group is that of the sizes i to j.
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
    """Returns int (n,), the index of the smallest shape that holds each photo.

    Args:
        sizes: int (n, 2), heights and widths, pixels.
        shapes: list of (H, W), pixels; of two with the same area the first is taken.

    Raises:
        ValueError: a photo fits into no shape.
    """
    frames = np.asarray(shapes, np.int64).reshape(-1, 2)
    sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
    holds = (sizes[:, None] <= frames).all(axis=2)  # (n, number of shapes)
    unheld = np.flatnonzero(~holds.any(axis=1))
    if len(unheld):
        raise ValueError(
            "Every resized photo must fit into one of the shapes, (height, width); "
            f"received shapes={[tuple(frame) for frame in frames.tolist()]}, and photo "
            f"{unheld[0]} (of {len(unheld)} that do not fit) is "
            f"{tuple(sizes[unheld[0]].tolist())}. Add a shape, or resize to less."
        )
    return np.where(holds, frames.prod(axis=1), np.inf).argmin(axis=1)


def padded_sizes(sizes, divisor: int):
    """Returns an int array of sizes rounded up to multiples of divisor, pixels."""
    return -(-sizes // divisor) * divisor


def _group_costs(padded, photos):
    """Returns float (n, n): padded area of sizes i to j in one shape; inf for i > j.

    Args:
        padded: int (n, 2), distinct padded sizes.
        photos: int (n,), how many photos have each.
    """
    cost = np.full((len(padded), len(padded)), np.inf)
    for first in range(len(padded)):
        sides = np.maximum.accumulate(padded[first:], axis=0)
        cost[first, first:] = sides.prod(axis=1) * np.cumsum(photos[first:])
    return cost
