"""Reads and writes COCO's run lengths, plain and as compressed text.

pycocotools reads the text unsafely: it wraps at 32 bits and shifts by more bits than a
number has. What it is given is therefore read here, checked, and written again.

It writes the text unsafely, too: in room for six characters per number, where one from
2^29 on has seven, and with a zero behind them. `MOST_WRITTEN` keeps it from that.
"""

import numpy as np

# Pixels of a mask that pycocotools may write as text. A number of six characters is at
# least 2^24, and so large must the first three be for four to fill their room; of up to
# two, the zero goes into the bytes to which every allocator rounds up.
MOST_WRITTEN = 3 * 2**24 - 1
SHOWN = 60  # characters of a received value in messages
_LONGEST = 7  # characters of a number: 35 bits, and sums of them stay below 64


def run_lengths(segment):
    """Returns the counts of a run-length dict, int64: of 0s, of 1s, of 0s, ...

    Source: the compressed format of COCO: numbers as 5-bit groups, lowest first,
    each in one character from "0" on, with a bit for "more follows"; from the fourth
    number on they are differences to the last but one.

    Raises:
        ValueError: the counts are neither integers nor compressed text.
    """
    counts = segment.get("counts")
    if isinstance(counts, (str, bytes)):
        return _decompressed(counts)
    values = numbers(counts)
    finite = values.ndim == 1 and (np.abs(values) < 2**53).all()
    if not finite or (values % 1).any():
        raise ValueError(f"Run lengths must be integers; received {_counts(counts)}.")
    return values.astype(np.int64)


def compressed(counts):
    """Returns COCO's compressed text of counts, str; the inverse of `run_lengths`.

    Args:
        counts: int64 (n,), 0 to 2^32 - 1.
    """
    values = counts.copy()
    values[3:] -= counts[1:-2]
    # A group has 5 bits, of which the highest of the last one is the sign.
    limits = 1 << (5 * np.arange(1, _LONGEST + 1) - 1)
    magnitudes = np.where(values < 0, ~values, values)
    groups = 1 + np.searchsorted(limits, magnitudes, side="right")
    group = np.arange(groups.sum()) - np.repeat(np.cumsum(groups) - groups, groups)
    codes = (np.repeat(values, groups) >> (5 * group)) & 0x1F
    codes |= np.where(group < np.repeat(groups, groups) - 1, 0x20, 0)
    return (codes + 48).astype(np.uint8).tobytes().decode("ascii")


def run_length_dict(edges, size):
    """Returns COCO's run-length dict of a mask, its counts compressed: str.

    Args:
        edges: int64 (n,), ascending: the indices of the pixels, down the columns, that
            differ from the one before; the first pixel does if it is covered.
        size: height and width of the photo, pixels.
    """
    height, width = (int(side) for side in size)
    counts = np.diff(edges, prepend=0, append=height * width)
    return {"size": [height, width], "counts": compressed(counts)}


def numbers(values):
    """Returns float64 of a list of numbers; texts and anything else become NaN."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # lists of different lengths, or nested deeply
        return np.full(6, np.nan)
    return array.astype(np.float64) if array.dtype.kind in "iuf" else np.full(6, np.nan)


def _decompressed(counts):
    """Returns the int64 run lengths of COCO's compressed text; see `run_lengths`."""
    if isinstance(counts, str):
        # Encoded as in pycocotools; the values are checked below.
        counts = counts.encode("utf-8", errors="surrogatepass")
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    more = (codes & 0x20).astype(bool)
    if len(codes) == 0 or more[-1] or (codes < 0).any() or (codes > 63).any():
        raise ValueError(
            f"Run lengths must be COCO's compressed text; received {_counts(counts)}."
        )
    starts = np.flatnonzero(np.concatenate([[True], ~more[:-1]]))
    ends = np.concatenate([starts[1:], [len(codes)]]) - 1
    group = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if group.max() >= _LONGEST:
        raise ValueError(
            f"Run lengths must be numbers of at most {_LONGEST} characters; received "
            f"{_counts(counts)}."
        )
    values = np.add.reduceat((codes & 0x1F) << (5 * group), starts)
    negative = (codes[ends] & 0x10).astype(bool)
    values[negative] -= 1 << (5 * (group[ends[negative]] + 1))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _counts(counts):
    return f"counts={str(counts)[:SHOWN]}"
