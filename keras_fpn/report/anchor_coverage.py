"""Which objects no anchor overlaps enough: a region proposal network misses these."""

import dataclasses
import itertools
import math

import numpy as np

from keras_fpn.data import Dataset
from keras_fpn.layers import MultiLevelAnchors
from keras_fpn.preprocessing import Preprocessing

# An anchor is positive from IoU 0.7 on (Ren et al. 2015, Sec. 3.1.2). An object without
# such an anchor is matched with its best one, which is usual; below 0.5 that one has so
# far to move that the object is out of reach.
REACHED = 0.5
THRESHOLDS = (REACHED, 0.7)
_PROBE_SIDE = 1024  # pixels; a multiple of every level's stride
_SIDES = (8, 16, 32, 64, 128, 256, 512)  # bounds of the object sizes, input pixels


@dataclasses.dataclass(frozen=True, eq=False)
class AnchorCoverage:
    """The IoU of each of n objects with the anchor that overlaps it most.

    Attributes:
        best_iou: float64 (n,), 0..1, with the best anchor.
        labels: int32 (n,), indices into class_names.
        sides: float64 (n,), square roots of the objects' areas, input pixels.
        image_ids: int64 (n,), of the objects' photos.
        class_names: the data set's.
    """

    best_iou: np.ndarray
    labels: np.ndarray
    sides: np.ndarray
    image_ids: np.ndarray
    class_names: tuple[str, ...]

    def __repr__(self):
        missed = f"{self.share_missed(REACHED):.1%} without an anchor of IoU {REACHED}"
        return f"<AnchorCoverage: {len(self.best_iou)} objects, {missed}>"

    def share_missed(self, threshold: float):
        """Returns the fraction, 0..1, of objects with a best IoU below threshold."""
        return float(np.mean(self.best_iou < threshold)) if len(self.best_iou) else 0.0

    def by_class(self):
        """Yields (class name, `AnchorCoverage` of its objects), classes that occur."""
        for label in np.unique(self.labels):
            yield self.class_names[label], self._only(self.labels == label)

    def by_size(self):
        """Yields (range of sizes, `AnchorCoverage` of its objects), smallest first."""
        bounds = [0, *_SIDES, math.inf]
        for low, high in itertools.pairwise(bounds):
            inside = (self.sides >= low) & (self.sides < high)
            if inside.any():
                name = f"{low} to {high} px" if high < math.inf else f"from {low} px"
                yield name, self._only(inside)

    def report(self, max_classes: int = 20):
        """Returns a table, str: fractions of objects below each IoU, by size and class.

        Args:
            max_classes: how many classes are listed, those missed most first.
        """
        classes = sorted(self.by_class(), key=lambda row: -row[1].share_missed(REACHED))
        shown = classes[:max_classes]
        rows = [("all objects", self), *self.by_size(), *shown]
        width = max(len(name) for name, _ in rows)
        below = "  ".join(f"IoU < {threshold}" for threshold in THRESHOLDS)
        lines = [
            "Objects by the IoU of their best anchor (sizes: root of the area, input "
            "pixels):",
            f"{'':{width}}  objects  {below}",
        ]
        for name, part in rows:
            shares = [f"{part.share_missed(t):9.1%}" for t in THRESHOLDS]
            lines.append(f"{name:{width}}  {len(part.labels):7}  {'  '.join(shares)}")
        if more := len(classes) - len(shown):
            noun = "class" if more == 1 else "classes"
            lines.append(f"and {more} more {noun}, missed less often")
        return "\n".join(lines)

    def _only(self, rows):
        names = "best_iou", "labels", "sides", "image_ids"
        return dataclasses.replace(self, **{n: getattr(self, n)[rows] for n in names})


def anchor_coverage(
    dataset: Dataset,
    anchors,
    strides: dict[str, int],
    preprocessing: Preprocessing,
):
    """Finds, for every object, the anchor that overlaps it most in its resized photo.

    Crowd regions and boxes without area are left out, as in training.

    Args:
        dataset: the photos and their objects; no pixels are read.
        anchors: `keras_fpn.layers.MultiLevelAnchors` or a subclass.
        strides: level -> pixels between the level's cells, before rounding; see
            `level_strides`.
        preprocessing: the detector's, which decides on the resized size.

    Returns:
        `AnchorCoverage`.

    Raises:
        ValueError: a level of the anchors has no stride.
    """
    if set(strides) != set(anchors.sizes):
        raise ValueError(
            "Exactly the levels of the anchors must have a stride; received "
            f"strides={strides} and anchors for {sorted(anchors.sizes)}."
        )
    cells = {
        level: np.asarray(anchors.cell(level), np.float64) for level in anchors.sizes
    }
    parts = [
        _photo_coverage(photo, cells, strides, preprocessing, anchors.spacing)
        for photo in dataset.photos
    ]
    empty = (np.zeros(0), np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64))
    iou, labels, sides, ids = map(np.concatenate, zip(empty, *parts, strict=True))
    return AnchorCoverage(iou, labels, sides, ids, dataset.class_names)


def best_ious(boxes, cells, strides, padded_size, spacing=MultiLevelAnchors.spacing):
    """Returns each box's IoU with the anchor that overlaps it most, float64 (G,).

    All anchors of one shape have the same area, and the area that an anchor shares with
    a box is a length that depends on its column times one that depends on its row. So
    the best anchor is in the best column and the best row, and the grid of anchors is
    not searched.

    Args:
        boxes: float (G, 4), xyxy, input pixels, with area.
        cells: level -> float (A, 4), anchors of the cell at the origin.
        strides: level -> pixels.
        padded_size: (H, W) of the padded image, pixels.
        spacing: function, as `MultiLevelAnchors.spacing`.
    """
    boxes = np.asarray(boxes, np.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    best = np.zeros(len(boxes))
    for level, cell in cells.items():
        stride, shared = strides[level], 1.0  # of x, then of y: (G, A)
        for axis, pixels in enumerate(padded_size[::-1]):
            sides = boxes[:, axis::2], cell[:, axis::2]
            shared = shared * _best_overlap(*sides, stride, pixels, spacing)
        anchor_areas = (cell[:, 2:] - cell[:, :2]).prod(axis=1)
        iou = shared / (areas + anchor_areas - shared)
        best = np.maximum(best, iou.max(axis=1))
    return best


def level_strides(model):
    """Returns the strides of a detector's levels with anchors, dict of level -> int.

    Args:
        model: detector with `trunk` and `anchors`, such as `FasterRCNN`.
    """
    shapes = model.trunk.compute_output_shape(
        {"images": (1, _PROBE_SIDE, _PROBE_SIDE, 3), "image_sizes": (1, 2)}
    )
    # What reads the anchors' levels: the RPN, or the head of a one-stage detector.
    levels = shapes.get("rpn_pyramid") or shapes["dense_pyramid"]
    return {
        level: _PROBE_SIDE // int(levels[level][1]) for level in model.anchors.sizes
    }


def _best_overlap(intervals, cell, stride, pixels, spacing):
    """Returns float64 (G, A): the longest overlap of each box and anchor on one axis.

    Args:
        intervals: float64 (G, 2), start and end of the boxes on the axis, pixels.
        cell: float64 (A, 2), those of the anchors of the cell at the origin.
        stride: int, pixels.
        pixels: int, the padded image's length on the axis.
        spacing: as of `best_ious`.
    """
    count = -(-pixels // stride)
    shifts = np.arange(count) * float(spacing(stride, count, pixels))
    starts = cell[:, :1] + shifts  # (A, count)
    ends = cell[:, 1:] + shifts
    shared = np.minimum(ends, intervals[:, 1, None, None])
    shared -= np.maximum(starts, intervals[:, 0, None, None])
    return np.maximum(shared.max(axis=2), 0.0)


def _photo_coverage(photo, cells, strides, preprocessing, spacing):
    """Returns one photo's best IoUs, labels, sides and image ids."""
    size = preprocessing.resized_size((photo.height, photo.width))
    objects = photo.objects
    scale = np.array([size[1] / photo.width, size[0] / photo.height] * 2)
    boxes = objects.boxes.astype(np.float64) * scale
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = ~objects.is_crowd & (sides > 0).all(axis=1)
    divisor = preprocessing.size_divisor
    padded = [-(-side // divisor) * divisor for side in size]
    return (
        best_ious(boxes[kept], cells, strides, padded, spacing),
        objects.labels[kept],
        np.sqrt(sides[kept].prod(axis=1)),
        np.full(kept.sum(), photo.image_id, np.int64),
    )
