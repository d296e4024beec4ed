"""Segments of objects as files hold them: polygons and COCO's run lengths.

`masks` draws them; this module checks, measures and creates them.
"""

import numpy as np
import pycocotools.mask

from keras_fpn.data.pixel_labels import ImageSegment
from keras_fpn.data.polygons import clip_polygon, outline_length
from keras_fpn.run_lengths import (
    MOST_WRITTEN,
    SHOWN,
    compressed,
    numbers,
    run_length_dict,
    run_lengths,
)

_MOST_PIXELS = 2**32 - 1  # pycocotools counts them in 32 bits
# Pixels from the corner of the photo; polygons are cut to 1e-3 px there.
FARTHEST = 1e12
# Of one object, in pixels; pycocotools needs about 100 bytes for each.
_LONGEST_OUTLINE = 2**22


def mask_segment(mask):
    """Returns the compressed COCO run-length dict of a mask, bool (H, W)."""
    mask = np.asarray(mask, bool)
    if mask.size > MOST_WRITTEN:
        covered = np.append(False, mask.ravel(order="F"))
        return run_length_dict(np.flatnonzero(covered[1:] != covered[:-1]), mask.shape)
    pixels = np.asfortranarray(mask, dtype=np.uint8)
    encoded = pycocotools.mask.encode(pixels)
    size = [int(side) for side in encoded["size"]]
    return {"size": size, "counts": encoded["counts"].decode("ascii")}  # for JSON


def label_image_objects(labels):
    """Finds the objects in an image whose pixels are numbered by object.

    Args:
        labels: int (H, W), 0 for background; every other value is one object, even if
            it has several parts.

    Returns:
        boxes: float32 (G, 4), xyxy, continuous: around the pixels of each object.
        segments: list of G compressed COCO run-length dicts, by increasing value.

    Raises:
        ValueError: labels are not (H, W) of integers.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            "A label image must be (H, W) of integers, one value per object; "
            f"received shape={labels.shape}, dtype={labels.dtype}."
        )
    height = labels.shape[0]
    flat = labels.ravel(order="F")  # run lengths go down the columns
    # Runs of equal pixels, of which there are far fewer than pixels.
    starts = np.flatnonzero(np.append(flat.size > 0, flat[1:] != flat[:-1]))
    ends = np.append(starts[1:], flat.size)[: len(starts)]
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    order = order[values[order] != 0]
    _, firsts = np.unique(values[order], return_index=True)
    boxes, segments = [], []
    for runs in np.split(order, firsts)[1:]:
        begin, end = starts[runs], ends[runs]
        boxes.append(_box_of(begin, end - 1, height))
        edges = np.column_stack([begin, end]).ravel()
        segments.append(run_length_dict(edges, labels.shape))
    return np.array(boxes, np.float32).reshape(-1, 4), segments


def segment_area(segment):
    """Returns the area of a segment, float, square pixels, as in the files of COCO.

    That is the area inside polygons, or the number of pixels of run lengths.
    """
    if isinstance(segment, ImageSegment):
        return float(segment.area)
    if isinstance(segment, dict):
        return float(run_lengths(segment)[1::2].sum())
    return sum(map(_polygon_area, segment), 0.0)


def segment_runs(segment, size):
    """Returns the pixels of a segment as pycocotools draws it, bounded by the photo.

    Polygons are clipped one longer side around the photo, because pycocotools spends
    time and memory on what is outside too, and kills the process without enough.

    Args:
        segment: list of polygons, of which those with fewer than 3 points are empty,
            or another segment; see `Objects.segments`.
        size: height and width of the photo, pixels.

    Returns:
        COCO's run-length dict, its counts compressed: bytes or str.

    Raises:
        ValueError: as `check_segment`; or the image of the segment cannot be read.
    """
    height, width = (int(side) for side in size)
    if isinstance(segment, ImageSegment):
        return mask_segment(segment.mask((height, width)))
    if isinstance(segment, dict):
        check_segment(segment, size)
        return {"size": [height, width], "counts": compressed(run_lengths(segment))}
    if isinstance(segment, (list, tuple)):
        # pycocotools would take a polygon of 4 numbers for a box.
        segment = [p for p in segment if not hasattr(p, "__len__") or len(p) >= 6]
    check_segment(segment, size)
    polygons = list(_clipped(segment, size))
    if height * width <= MOST_WRITTEN:
        return _drawn(polygons, height, width)
    # In parts of whole columns, which pycocotools draws as those of the whole.
    step = MOST_WRITTEN // height
    parts = [
        pycocotools.mask.decode(_drawn(polygons, height, min(step, width - left), left))
        for left in range(0, width, step)
    ]
    return mask_segment(np.concatenate(parts, axis=1))


def check_segment(segment, size):
    """Raises if a segment is broken or belongs to a photo of another size.

    Args:
        segment: see `Objects.segments`; one in an image is only checked when it is
            read.
        size: height and width of the photo, pixels.

    Raises:
        ValueError: a polygon has fewer than 3 points, a point that is not finite or
            absurdly far away, or an absurdly long outline; run lengths do not fill the
            photo; or the photo has more pixels than run lengths can count.
    """
    if not 0 < size[0] * size[1] <= _MOST_PIXELS or size[0] > MOST_WRITTEN:
        raise ValueError(
            f"The photo of a mask must have 1 to {_MOST_PIXELS} pixels, and at most "
            f"{MOST_WRITTEN} rows; received (height, width)={tuple(size)}."
        )
    if isinstance(segment, ImageSegment):
        return
    if isinstance(segment, dict):
        _check_run_lengths(segment, size)
    elif isinstance(segment, (list, tuple)):
        for polygon in segment:
            _check_polygon(polygon)
        _check_outlines(segment, size)
    else:
        raise ValueError(
            "A mask must be a list of polygons or a run-length dict; received "
            f"segment={str(segment)[:SHOWN]}."
        )


def _drawn(polygons, height, width, left=0):
    """Returns the run-length dict of the columns of a photo from `left` on."""
    if not polygons:
        return pycocotools.mask.encode(np.zeros((height, width), np.uint8, order="F"))
    moved = [_moved(points, left).ravel().tolist() for points in polygons]
    return pycocotools.mask.merge(pycocotools.mask.frPyObjects(moved, height, width))


def _moved(points, left):
    """Returns points to which pycocotools gives the same places, `left` further left.

    It takes x to fifths of a pixel by truncating 5 x + 0.5, upwards below zero.
    """
    if left == 0:
        return points
    fifths = np.trunc(5 * points[:, 0] + 0.5) - 5 * left
    x = (fifths + np.where(fifths < 0, -0.75, -0.25)) / 5
    return np.column_stack([x, points[:, 1]])


def _polygon_area(polygon):
    """Returns the area inside a polygon, float, by the shoelace formula."""
    x, y = np.asarray(polygon, np.float64).reshape(-1, 2).T
    twice = x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0]
    return float(abs(twice) / 2)


def _check_run_lengths(segment, size):
    stated = segment.get("size")
    if numbers(stated).tolist() != list(size):
        raise ValueError(
            "The size of a mask must be that of its photo, "
            f"{list(size)}; received size={_shown(stated)}."
        )
    counts, pixels = run_lengths(segment), size[0] * size[1]
    fitting = ((counts >= 0) & (counts <= pixels)).all()  # or their sum may wrap around
    if not fitting or counts.sum() != pixels:
        raise ValueError(
            f"Run lengths must sum to {pixels}, the size of the photo; received counts "
            f"that sum to {counts.astype(float).sum():.0f}, from "
            f"{counts.min(initial=0)} to {counts.max(initial=0)}."
        )


def _check_polygon(polygon):
    points = numbers(polygon)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2:
        raise ValueError(
            "A polygon must be x, y, x, y, ... of at least 3 points; received "
            f"polygon={_shown(polygon)}."
        )
    if not (np.abs(points) <= FARTHEST).all():  # also True for NaN
        raise ValueError(
            f"Points of a polygon must be finite numbers up to {FARTHEST:g}; received "
            f"polygon={_shown(polygon)}."
        )


def _check_outlines(polygons, size):
    """Raises for polygons that need too much memory even when clipped."""
    corners = sum(map(len, polygons))
    if corners * max(size) <= _LONGEST_OUTLINE / 8:  # not worth measuring
        return
    length = sum(map(outline_length, _clipped(polygons, size)))
    if length > _LONGEST_OUTLINE:
        raise ValueError(
            f"The polygons of a mask must have outlines of at most {_LONGEST_OUTLINE} "
            f"pixels; received {corners // 2} points and {length:.0f} pixels."
        )


def _clipped(polygons, size):
    """Yields polygons clipped to the surroundings of a photo, float (n, 2), x, y."""
    height, width = size
    margin = max(size)
    low, high = (-margin, -margin), (width + margin, height + margin)
    for polygon in polygons:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        points = clip_polygon(points, low, high)
        if len(points):
            yield points


def _box_of(first, last, height):
    """Returns x1, y1, x2, y2 around runs, from their first and last pixels' indices."""
    left, top = np.divmod(first, height)
    right, bottom = np.divmod(last, height)
    if (left < right).any():  # such a run has the last pixel of a column and the next
        return left[0], 0, right[-1] + 1, height
    return left[0], top.min(), right[-1] + 1, bottom.max() + 1


def _shown(value):
    return str(value)[:SHOWN]
