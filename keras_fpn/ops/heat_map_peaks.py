"""The highest values of heat maps after bicubic resizing, without the resized maps."""

from keras import ops

_SHARPNESS = -0.75  # a of Keys 1981, Eq. 4; PyTorch's value
_LOST = -_SHARPNESS / 4  # the outer two of four weights sum to -_LOST at least
_BLOCK = 2  # cells along each side of a block, which is looked at in one step
_TAPS = _BLOCK + 3  # values along each side that the pixels of a block depend on
_TILE = 16  # pixels along each side that one step computes


def heat_map_peaks(maps, sizes):
    """Returns the largest value of resized maps, and its pixel.

    A map is resized by cubic convolution between the centers of its cells; beyond the
    centers of the border cells, their value is repeated. It equals PyTorch's bicubic
    interpolation without align_corners and antialiasing. Of equal values any may be
    returned.

    The resized maps are not made. The pixels between four neighboring centers cannot
    exceed a bound, which follows from the sixteen values that they depend on. Pixels
    are computed block by block, beginning with the highest bound, until no bound that
    is left exceeds the highest value of its map. Nothing is approximated.

    Source: Keys 1981, "Cubic convolution interpolation for digital image processing",
    Eq. 4; the bound is our own.

    Args:
        maps: float32 (Q, S, S).
        sizes: int32 (Q, 2), height and width to which they are resized; a map with 0 is
            not looked at.

    Returns:
        peaks: float32 (Q,), -inf for a map that is not looked at.
        pixels: int32 (Q, 2), row and column.
    """
    side = maps.shape[1]
    sizes = ops.cast(sizes, "int32")
    maps = _with_margin(maps)
    bounds = _block_bounds(maps, side)  # (Q, L * L)
    bounds = ops.where(ops.min(sizes, axis=1)[:, None] > 0, bounds, -float("inf"))
    bounds, order = ops.top_k(bounds, bounds.shape[1])
    bounds = ops.pad(bounds, ((0, 0), (0, 1)), constant_values=-float("inf"))
    sizes = ops.maximum(sizes, 1)
    # Pixels whose position is within a block, and one for a start between two pixels.
    most = ops.max(sizes) * _BLOCK // side + 2
    tiles = (most + _TILE - 1) // _TILE

    def unfinished(rank, peaks, pixels):
        return ops.any(bounds[:, rank] > peaks)

    def look_at_block(rank, peaks, pixels):
        chosen, across = ops.cast(order[:, rank], "int32"), _blocks(side)
        block = ops.stack([chosen // across, chosen % across], axis=1)
        near = _neighbors(maps, block)
        _, peaks, pixels = ops.while_loop(
            lambda tile, *_: tile < tiles * tiles,
            lambda tile, peaks, pixels: (
                tile + 1,
                *_higher(near, block, sizes, tile, tiles, side, peaks, pixels),
            ),
            (ops.zeros((), "int32"), peaks, pixels),
        )
        return rank + 1, peaks, pixels

    lowest = ops.full_like(bounds[:, 0], -float("inf"))
    start = (ops.zeros((), "int32"), lowest, ops.zeros_like(sizes))
    return ops.while_loop(unfinished, look_at_block, start)[1:]


def _blocks(side):
    """Returns the number of blocks along an axis; 1 cell is before the first center."""
    return -(-(side + 1) // _BLOCK)


def _with_margin(maps):
    """Returns maps whose border values are repeated, as far as blocks depend on."""
    side = maps.shape[1]
    last = _blocks(side) * _BLOCK + _TAPS - _BLOCK
    places = ops.clip(ops.arange(last, dtype="int32") - 2, 0, side - 1)
    return ops.take(ops.take(maps, places, axis=1), places, axis=2)


def _block_bounds(maps, side):
    """Returns what no pixel of each block exceeds, float32 (Q, L * L)."""
    low, high = _bounds_of_four(maps, maps, axis=2)
    _, high = _bounds_of_four(low, high, axis=1)
    blocks = _blocks(side)
    high = ops.reshape(high, (-1, blocks, _BLOCK, blocks, _BLOCK))
    return ops.reshape(ops.max(high, axis=(2, 4)), (-1, blocks * blocks))


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


def _neighbors(maps, block):
    """Returns the values that the pixels of one block per map depend on.

    Args:
        maps: float32 (Q, E, E), with margin.
        block: int32 (Q, 2), row and column of the block.

    Returns:
        float32 (Q, _TAPS, _TAPS).
    """
    count, edge = ops.shape(maps)[0], maps.shape[1]
    steps = ops.arange(_TAPS, dtype="int32")
    first = block * _BLOCK
    rows = first[:, :1] + steps + ops.arange(count, dtype="int32")[:, None] * edge
    columns = first[:, 1:] + steps
    places = rows[:, :, None] * edge + columns[:, None, :]
    return ops.take(ops.reshape(maps, (-1,)), places, axis=0)


def _higher(near, block, sizes, tile, tiles, side, peaks, pixels):
    """Returns peaks and pixels after those of a tile of each block.

    Args:
        near: float32 (Q, _TAPS, _TAPS), from `_neighbors`.
        block, sizes: int32 (Q, 2).
        tile: int32 scalar, number of the tile in the block.
        tiles: int32 scalar, number of tiles along each side of a block.
        side: int, S.
        peaks, pixels: float32 (Q,) and int32 (Q, 2), the highest so far.
    """
    offset = ops.stack([tile // tiles, tile % tiles]) * _TILE
    scale = ops.cast(sizes, "float32") / side
    first = (ops.cast(block * _BLOCK, "float32") - 0.5) * scale - 0.5
    first = ops.maximum(ops.cast(ops.floor(first), "int32"), 0) + offset
    steps = ops.arange(_TILE, dtype="int32")
    places = first[..., None] + steps  # (Q, 2, T)
    shares, inside = _cubic_shares(places, sizes[..., None], block[..., None], side)
    # Not a matrix product, which accelerators round to fewer digits.
    rows = sum(shares[:, 0, :, n, None] * near[:, n, None] for n in range(_TAPS))
    values = sum(
        rows[:, :, n, None] * shares[:, 1, None, :, n] for n in range(_TAPS)
    )  # (Q, T, T)
    both = ops.logical_and(inside[:, 0, :, None], inside[:, 1, None])
    values = ops.where(both, values, -float("inf"))
    values = ops.reshape(values, (-1, _TILE * _TILE))
    value = ops.max(values, axis=1)
    # Not `ops.argmax`, which looks at the bits of floats on TensorFlow.
    numbers = ops.arange(_TILE * _TILE, dtype="int32")
    best = ops.where(values == value[:, None], numbers, _TILE * _TILE - 1)
    best = ops.min(best, axis=1)
    pixel = first + ops.stack([best // _TILE, best % _TILE], axis=1)
    better = value > peaks
    return ops.where(better, value, peaks), ops.where(better[:, None], pixel, pixels)


def _cubic_shares(places, sizes, block, side):
    """Returns the share of each of a block's values in pixels of an axis.

    Args:
        places: int32 (..., T), pixels.
        sizes, block: int32 (..., 1), pixels of the axis, and the block on it.
        side: int, cells of the axis before it is resized.

    Returns:
        shares: float32 (..., T, _TAPS).
        inside: bool (..., T), whether the pixel exists and is in the block.
    """
    scale = side / ops.cast(sizes, "float32")
    position = (ops.cast(places, "float32") + 0.5) * scale - 0.5
    before = ops.floor(position)
    part = position - before
    cell = ops.cast(before, "int32") + 1 - block * _BLOCK
    inside = ops.logical_and(cell >= 0, cell < _BLOCK)
    inside = ops.logical_and(inside, places < sizes)
    shares = 0.0
    for step in range(4):
        x = ops.abs(part - (step - 1))
        share = _inner_share(x) if step in (1, 2) else _outer_share(x)
        there = (cell + step)[..., None] == ops.arange(_TAPS, dtype="int32")
        shares = shares + ops.where(there, share[..., None], 0.0)
    return shares, inside


def _inner_share(x):
    """Returns the weight of a value at a distance of 0..1 cells."""
    return ((_SHARPNESS + 2) * x - (_SHARPNESS + 3)) * x * x + 1


def _outer_share(x):
    """Returns the weight of a value at a distance of 1..2 cells."""
    return ((x - 5) * x + 8) * x * _SHARPNESS - 4 * _SHARPNESS
