"""The maps of a pyramid as rows of cells, from which RoIAlign reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops


class MapsRead(NamedTuple):
    """The map that each box reads.

    Attributes:
        scale: float32 (B, R), cells per pixel of the input image.
        height, width: int32 (B, R), cells of the map.
        first_cell: int32 (B, R), index of the map's first cell among the flattened
            cells of all images and maps.
    """

    scale: Any
    height: Any
    width: Any
    first_cell: Any


def maps_read(features, scales: Sequence[float], levels):
    """Returns the `MapsRead` of boxes; arguments as of `roi_align`."""
    sizes = [ops.shape(level)[1:3] for level in features]
    starts, per_image = [], 0
    for height, width in sizes:
        starts.append(per_image)
        per_image = per_image + height * width
    sizes = ops.stack([ops.stack([height, width]) for height, width in sizes])
    image = ops.arange(ops.shape(levels)[0])[:, None]
    return MapsRead(
        ops.take(ops.convert_to_tensor(scales, "float32"), levels),
        ops.take(sizes[:, 0], levels),
        ops.take(sizes[:, 1], levels),
        ops.take(ops.stack(starts), levels) + image * per_image,
    )


def cell_count(features):
    """Returns the number of cells of all maps of an image."""
    return sum(ops.shape(level)[1] * ops.shape(level)[2] for level in features)


def flat_cells(features):
    """Returns the cells of all images and maps, float (cells, C)."""
    batch, channels = ops.shape(features[0])[0], features[0].shape[-1]
    cells = [ops.reshape(level, (batch, -1, channels)) for level in features]
    return ops.reshape(ops.concatenate(cells, axis=1), (-1, channels))


def maps_of_cells(cells, features):
    """Returns flattened cells (..., C) as maps like `features`."""
    batch, channels = ops.shape(features[0])[0], features[0].shape[-1]
    cells = ops.reshape(cells, (batch, -1, channels))
    maps, start = [], 0
    for feature in features:
        height, width = ops.shape(feature)[1:3]
        end = start + height * width
        level = ops.reshape(cells[:, start:end], (batch, height, width, channels))
        maps.append(ops.cast(level, feature.dtype))
        start = end
    return maps
