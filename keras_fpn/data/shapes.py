"""Which shapes batches are padded to, as a loader's `shapes` asks for."""

import numpy as np

from keras_fpn.data.batches import bucket_shapes, holding_shapes

BUCKETS = "buckets"
_BUCKET_COUNT = 3  # wide, square and high photos


def resolved_shapes(shapes, sizes, divisor):
    """Returns a list of (H, W), pixels, or None for what each batch needs.

    Args:
        shapes: None, "buckets" or a list of (H, W); see `Loader`.
        sizes: int (S, n, 2), heights and widths of the resized photos at S scales, the
            largest last.
        divisor: int, sides are multiples of it, pixels.

    Raises:
        ValueError: shapes is none of the three, a side is no multiple of the divisor,
            or a photo fits no shape.
    """
    if shapes is None:
        return None
    if isinstance(shapes, str):
        if shapes != BUCKETS:
            raise ValueError(
                f"shapes must be None, {BUCKETS!r} or a list of (height, width); "
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


def common_shape(shapes, sizes, divisor):
    """Returns (H, W) of the images of all batches, None for a side that differs.

    Args:
        shapes: what `resolved_shapes` returned.
        sizes, divisor: as there.
    """
    if shapes is None:
        sides = (-(-sizes // divisor) * divisor).reshape(-1, 2).T
    else:
        sides = np.array(shapes).T
    return tuple(int(side[0]) if (side == side[0]).all() else None for side in sides)
