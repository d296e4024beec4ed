"""The highest values of heat maps after bicubic resizing, without the resized maps."""

import functools

from keras import ops

from keras_fpn.ops.heat_map_bounds import bound_pyramid, bounds_of_ranges

_SHARPNESS = -0.75  # a of Keys 1981, Eq. 4; PyTorch's value
_TAPS = 4  # cells along an axis that a pixel depends on
_TILE = 16  # pixels along each side that are computed together
_TOGETHER = 512  # tiles
_LISTED = 2**14  # tiles whose bounds are compared at a time


def heat_map_peaks(maps, sizes):
    """Returns the largest value of resized maps, and its pixel.

    A map is resized by cubic convolution between the centers of its cells; beyond the
    centers of the border cells, their value is repeated. It equals PyTorch's bicubic
    interpolation without align_corners and antialiasing. Of equal values any may be
    returned.

    The resized maps are not made. They consist of tiles of 16x16 pixels. First the tile
    with the highest cell of each map is computed, then all whose bound exceeds what was
    found in it, a few hundred at a time, of any maps. Nothing is approximated. Time
    depends on the number of such tiles, memory only on the number of maps.

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
    sizes = ops.cast(sizes, "int32")
    sizes = ops.where(ops.min(sizes, axis=1, keepdims=True) > 0, sizes, 0)
    peaks = ops.full_like(maps[:, 0, 0], -float("inf"))
    found = peaks, ops.zeros_like(sizes)
    found = _look_at_highest_cells(maps, sizes, found)
    return _look_at_the_rest(maps, sizes, found)


def _look_at_highest_cells(maps, sizes, found):
    """Returns peaks and pixels of the tile around the highest cell of each map."""
    side, count = maps.shape[1], ops.shape(maps)[0]
    cells = ops.reshape(maps, (-1, side * side))
    numbers = ops.arange(side * side, dtype="int32")
    # Not `ops.argmax`, which looks at the bits of floats on TensorFlow.
    highest = cells == ops.max(cells, axis=1, keepdims=True)
    highest = ops.min(ops.where(highest, numbers, side * side - 1), axis=1)
    cell = ops.stack([highest // side, highest % side], axis=1)
    pixel = (ops.cast(cell, "float32") + 0.5) * ops.cast(sizes, "float32") / side
    tiles = ops.cast(pixel, "int32") // _TILE

    def look(first, *found):
        which = first + ops.arange(_TOGETHER, dtype="int32")
        own = ops.minimum(which, count - 1)
        chosen = own, ops.take(tiles, own, axis=0)
        return first + _TOGETHER, *_higher(maps, sizes, *chosen, which < count, *found)

    start = (ops.zeros((), "int32"), *found)
    return ops.while_loop(lambda first, *_: first < count, look, start)[1:]


def _look_at_the_rest(maps, sizes, found):
    """Returns peaks and pixels after all tiles that may exceed the highest so far."""
    count = ops.shape(maps)[0]
    pyramid = bound_pyramid(maps)
    across = (sizes + _TILE - 1) // _TILE  # tiles along each axis
    counts = across[:, 0] * across[:, 1]
    ends = ops.cumsum(counts)
    starts, total = ends - counts, ends[-1]

    def look_at_list(first, *found):
        numbers = first + ops.arange(_LISTED, dtype="int32")
        own = ops.searchsorted(ends, numbers, side="right")
        own = ops.minimum(ops.cast(own, "int32"), count - 1)
        columns = ops.maximum(ops.take(across[:, 1], own), 1)
        within = numbers - ops.take(starts, own)
        tiles = ops.stack([within // columns, within % columns], axis=1)
        bounds = _bounds(pyramid, maps.shape[1], sizes, own, tiles)
        alive = ops.logical_and(bounds > ops.take(found[0], own), numbers < total)
        places = ops.cumsum(ops.cast(alive, "int32"))

        def look(done, *found):
            wanted = done + ops.arange(_TOGETHER, dtype="int32") + 1
            which = ops.cast(ops.searchsorted(places, wanted), "int32")
            which = ops.minimum(which, _LISTED - 1)
            chosen = ops.take(own, which), ops.take(tiles, which, axis=0)
            there = wanted <= places[-1]
            return done + _TOGETHER, *_higher(maps, sizes, *chosen, there, *found)

        start = (ops.zeros((), "int32"), *found)
        found = ops.while_loop(lambda done, *_: done < places[-1], look, start)[1:]
        return first + _LISTED, *found

    start = (ops.zeros((), "int32"), *found)
    return ops.while_loop(lambda first, *_: first < total, look_at_list, start)[1:]


def _bounds(pyramid, side, sizes, own, tiles):
    """Returns what no pixel of a tile exceeds, float32 (N,)."""
    sizes = ops.take(sizes, own, axis=0)
    first = tiles * _TILE
    last = ops.maximum(ops.minimum(first + _TILE, sizes) - 1, 0)
    ends = (_positions(pixel, sizes, side) for pixel in (first, last))
    # Intervals between centers, of which the first is before the first center.
    low, high = (ops.cast(ops.floor(end), "int32") + 1 for end in ends)
    return bounds_of_ranges(pyramid, side, own, ops.clip(low, 0, side), high)


def _positions(pixels, sizes, side):
    """Returns positions of pixels in cells from the center of the first, float32."""
    scale = side / ops.cast(ops.maximum(sizes, 1), "float32")
    return (ops.cast(pixels, "float32") + 0.5) * scale - 0.5


def _higher(maps, sizes, own, tiles, there, peaks, pixels):
    """Returns peaks and pixels after those of some tiles.

    Args:
        maps, sizes: of `heat_map_peaks`.
        own: int32 (N,), the map of each tile.
        tiles: int32 (N, 2), row and column of each.
        there: bool (N,), False for a tile that does not count.
        peaks, pixels: float32 (Q,) and int32 (Q, 2), the highest so far.
    """
    count, side = ops.shape(maps)[0], maps.shape[1]
    size = ops.take(sizes, own, axis=0)
    places = tiles[..., None] * _TILE + ops.arange(_TILE, dtype="int32")  # (N, 2, T)
    cells, shares = _taps(places, size[..., None], side)
    # Of 4 rows each, then of 4 columns. Not matrix products, which accelerators round
    # to fewer digits.
    rows = own[:, None, None] * side + cells[:, 0]
    rows = ops.take(ops.reshape(maps, (-1, side)), rows, axis=0)  # (N, T, 4, S)
    values = _weighted(rows, shares[:, 0])  # (N, T, S)
    values = ops.reshape(ops.transpose(values, (0, 2, 1)), (-1, _TILE))
    columns = ops.arange(own.shape[0], dtype="int32")[:, None, None] * side
    columns = ops.take(values, columns + cells[:, 1], axis=0)
    values = _weighted(columns, shares[:, 1])  # (N, T columns, T rows)
    inside = ops.logical_and(places < size[..., None], there[:, None, None])
    both = ops.logical_and(inside[:, 1, :, None], inside[:, 0, None])
    values = ops.reshape(ops.where(both, values, -float("inf")), (-1, _TILE * _TILE))
    value = ops.max(values, axis=1)
    numbers = ops.arange(_TILE * _TILE, dtype="int32")
    best = ops.where(values == value[:, None], numbers, _TILE * _TILE - 1)
    best = ops.min(best, axis=1)
    pixel = places[..., 0] + ops.stack([best % _TILE, best // _TILE], axis=1)
    highest = ops.segment_max(value, own, count)
    is_highest = ops.logical_and(
        value > ops.take(peaks, own), value == ops.take(highest, own)
    )
    winner = ops.where(is_highest, ops.arange(own.shape[0], dtype="int32"), -1)
    winner = ops.segment_max(winner, own, count)
    new, won = ops.take(pixel, ops.maximum(winner, 0), axis=0), winner >= 0
    return ops.where(won, highest, peaks), ops.where(won[:, None], new, pixels)


def _weighted(values, shares):
    """Returns the sums of (N, T, 4, E) over its third axis by shares (N, T, 4)."""
    parts = [values[:, :, n] * shares[:, :, n, None] for n in range(_TAPS)]
    return functools.reduce(lambda one, other: one + other, parts)


def _taps(places, sizes, side):
    """Returns the cells that pixels of an axis depend on, and their shares.

    Args:
        places: int32 (..., T), pixels.
        sizes: int32 (..., 1), pixels of the axis.
        side: int, cells of the axis.

    Returns:
        cells: int32 (..., T, 4).
        shares: float32 (..., T, 4).
    """
    position = _positions(places, sizes, side)
    before = ops.floor(position)
    part = (position - before)[..., None]
    steps = ops.arange(_TAPS, dtype="int32") - 1
    cells = ops.clip(ops.cast(before, "int32")[..., None] + steps, 0, side - 1)
    distances = [part + 1, part, 1 - part, 2 - part]
    shares = [
        (_inner_share if n in (1, 2) else _outer_share)(x)
        for n, x in enumerate(distances)
    ]
    return cells, ops.concatenate(shares, axis=-1)


def _inner_share(x):
    """Returns the weight of a value at a distance of 0..1 cells."""
    return ((_SHARPNESS + 2) * x - (_SHARPNESS + 3)) * x * x + 1


def _outer_share(x):
    """Returns the weight of a value at a distance of 1..2 cells."""
    return ((x - 5) * x + 8) * x * _SHARPNESS - 4 * _SHARPNESS
