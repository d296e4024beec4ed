"""What no value of a heat map exceeds after bicubic resizing, for any part of it."""

from keras import ops

_LOST = 0.75 / 4  # the outer two of four weights sum to -_LOST at least


def bound_pyramid(maps):
    """Returns bounds of parts of maps, coarser and coarser by maxima over 2x2 parts.

    The finest parts are those between four neighboring centers of cells. Each bound
    follows from the sixteen values that cubic convolution with a = -0.75 reads there.

    Args:
        maps: float32 (Q, S, S).

    Returns:
        float32 (Q, E), for each map the bounds of all levels, the finest first: n^2 of
        each, n = 2^L, 2^(L-1), ... 1, with 2^L above S.
    """
    side = maps.shape[1]
    places = ops.clip(ops.arange(side + 4, dtype="int32") - 2, 0, side - 1)
    maps = ops.take(ops.take(maps, places, axis=1), places, axis=2)
    low, high = _bounds_of_four(maps, maps, axis=2)
    _, high = _bounds_of_four(low, high, axis=1)  # (Q, S + 1, S + 1)
    finest, *coarser = _sizes(side)
    spare = (0, finest - side - 1)
    level = ops.pad(high, ((0, 0), spare, spare), constant_values=-float("inf"))
    levels = [ops.reshape(level, (-1, finest**2))]
    for size in coarser:
        level = ops.max(ops.reshape(level, (-1, size, 2, size, 2)), axis=(2, 4))
        levels.append(ops.reshape(level, (-1, size**2)))
    return ops.concatenate(levels, axis=1)


def bounds_of_ranges(pyramid, side, own, low, high):
    """Returns the largest bound of rectangles of parts, or a larger one.

    Each is covered by at most 2x2 parts of one level, the finest that allows it.

    Args:
        pyramid: from `bound_pyramid`.
        side: int, S.
        own: int32 (N,), map of each rectangle.
        low, high: int32 (N, 2), first and last row and column, of the finest level.

    Returns:
        float32 (N,).
    """
    sizes = _sizes(side)
    starts = [sum(size**2 for size in sizes[:n]) for n in range(len(sizes))]
    level = sum(
        ops.cast(ops.any(high // 2**n - low // 2**n > 1, axis=1), "int32")
        for n in range(len(sizes) - 1)
    )
    size, start = (
        ops.take(ops.convert_to_tensor(one, "int32"), level) for one in (sizes, starts)
    )
    part = (sizes[0] // size)[:, None]
    rows, columns = (ops.stack([low[:, n], high[:, n]], axis=1) // part for n in (0, 1))
    places = rows[:, :, None] * size[:, None, None] + columns[:, None]
    places = places + (own * pyramid.shape[1] + start)[:, None, None]
    return ops.max(ops.take(ops.reshape(pyramid, (-1,)), places), axis=(1, 2))


def _sizes(side):
    """Returns the parts of each level along an axis, list of int."""
    finest = side.bit_length()
    return [2**n for n in range(finest, -1, -1)]


def _bounds_of_four(low, high, axis):
    """Returns the limits of cubic convolution of each four neighbors along an axis.

    Its inner two weights are at least 0, the outer two at most 0; all sum to 1.

    Args:
        low, high: float32, limits of the values.
    """
    length = low.shape[axis] - 3

    def shifted(values, first):
        if axis == 1:
            return values[:, first : first + length]
        return values[:, :, first : first + length]

    inner_high = ops.maximum(shifted(high, 1), shifted(high, 2))
    inner_low = ops.minimum(shifted(low, 1), shifted(low, 2))
    outer_high = ops.maximum(shifted(high, 0), shifted(high, 3))
    outer_low = ops.minimum(shifted(low, 0), shifted(low, 3))
    return (
        inner_low - _LOST * ops.maximum(outer_high - inner_low, 0.0),
        inner_high + _LOST * ops.maximum(inner_high - outer_low, 0.0),
    )
