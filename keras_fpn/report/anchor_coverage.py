"""Which objects no anchor reaches: what a region proposal network can hardly learn."""

import dataclasses
import itertools
import math

import numpy as np

from keras_fpn.anchors import cell_anchors
from keras_fpn.preprocessing import resized_size

# An anchor is positive from IoU 0.7 on (Ren et al. 2015, Sec. 3.1.2). Where none comes
# that far, the object's best one is positive all the same, but starts far from it.
THRESHOLDS = (0.5, 0.7)
_PROBE_SIDE = 1024  # pixels; a multiple of every level's stride
_SIDES = (8, 16, 32, 64, 128, 256, 512)  # bounds of the size classes, input pixels


@dataclasses.dataclass(frozen=True, eq=False)
class AnchorCoverage:
    """How well each object is met by the anchor that meets it best; n objects.

    Attributes:
        best_iou: float64 (n,), 0..1, with the best anchor.
        labels: int32 (n,), places in class_names.
        sides: float64 (n,), roots of the objects' areas, input pixels.
        image_ids: int64 (n,), of the photos the objects are in.
        class_names: tuple of str.
    """

    best_iou: np.ndarray
    labels: np.ndarray
    sides: np.ndarray
    image_ids: np.ndarray
    class_names: tuple[str, ...]

    def share_missed(self, threshold):
        """Returns the share of objects, 0..1, whose best IoU is below the threshold."""
        return float(np.mean(self.best_iou < threshold)) if len(self.best_iou) else 0.0

    def by_class(self):
        """Yields (class name, AnchorCoverage of its objects) for classes that occur."""
        for label in np.unique(self.labels):
            yield self.class_names[label], self._only(self.labels == label)

    def by_size(self):
        """Yields (sizes, AnchorCoverage of such objects), the smallest first."""
        bounds = [0, *_SIDES, math.inf]
        for low, high in itertools.pairwise(bounds):
            inside = (self.sides >= low) & (self.sides < high)
            if inside.any():
                name = f"{low} to {high} px" if high < math.inf else f"from {low} px"
                yield name, self._only(inside)

    def report(self, max_classes=20):
        """Returns a table for people, str: shares by size and by class.

        Args:
            max_classes: int, classes to list; of more, those that are missed most.
        """
        classes = sorted(self.by_class(), key=lambda row: -row[1].share_missed(0.5))
        shown = classes[:max_classes]
        rows = [("all objects", self), *self.by_size(), *shown]
        width = max(len(name) for name, _ in rows)
        below = "  ".join(f"IoU < {threshold}" for threshold in THRESHOLDS)
        lines = [
            "Objects that no anchor reaches (sizes: root of the area, input pixels):",
            f"{'':{width}}  objects  {below}",
        ]
        for name, part in rows:
            shares = [f"{part.share_missed(t):9.1%}" for t in THRESHOLDS]
            lines.append(f"{name:{width}}  {len(part.labels):7}  {'  '.join(shares)}")
        if len(classes) > len(shown):
            lines.append(f"and {len(classes) - len(shown)} classes more, missed less")
        return "\n".join(lines)

    def _only(self, rows):
        return dataclasses.replace(
            self,
            best_iou=self.best_iou[rows],
            labels=self.labels[rows],
            sides=self.sides[rows],
            image_ids=self.image_ids[rows],
        )


def anchor_coverage(dataset, anchors, strides, preprocessing):
    """Matches every object with the best of the anchors over its resized photo.

    Crowd regions and boxes without area are left out, as in training.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        anchors: `keras_fpn.layers.MultiLevelAnchors`, or anything with its `sizes`, by
            level, and `ratios`.
        strides: dict, level -> int, pixels between the level's cells, before rounding;
            see `level_strides`.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`.

    Returns:
        `AnchorCoverage`.

    Raises:
        ValueError: a level of the anchors has no stride.
    """
    if set(strides) != set(anchors.sizes):
        raise ValueError(
            "Every level of the anchors must have a stride; received "
            f"strides={strides} and anchors for {sorted(anchors.sizes)}."
        )
    cells = {
        level: np.asarray(cell_anchors(sizes, anchors.ratios), np.float64)
        for level, sizes in anchors.sizes.items()
    }
    parts = [
        _photo_coverage(photo, cells, strides, preprocessing)
        for photo in dataset.photos
    ]
    empty = (np.zeros(0), np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64))
    iou, labels, sides, ids = map(np.concatenate, zip(empty, *parts, strict=True))
    return AnchorCoverage(iou, labels, sides, ids, dataset.class_names)


def best_ious(boxes, cells, strides, padded_size):
    """Returns each box's IoU with the anchor that overlaps it most, float64 (G,).

    All anchors of one shape have one area, and an anchor's overlap with a box is the
    product of a length that depends on its column and one that depends on its row: so
    the best one stands in the best column and the best row, and no grid is searched.

    Args:
        boxes: float (G, 4), xyxy, input pixels, with area.
        cells: dict, level -> float (A, 4), anchors of the cell at the origin.
        strides: dict, level -> int, pixels.
        padded_size: (H, W) of the padded image, pixels.
    """
    boxes = np.asarray(boxes, np.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    best = np.zeros(len(boxes))
    for level, cell in cells.items():
        across = _best_overlap(
            boxes[:, 0::2], cell[:, 0::2], strides[level], padded_size[1]
        )
        down = _best_overlap(
            boxes[:, 1::2], cell[:, 1::2], strides[level], padded_size[0]
        )
        shared = across * down  # (G, A)
        anchor_areas = (cell[:, 2:] - cell[:, :2]).prod(axis=1)
        iou = shared / (areas + anchor_areas - shared)
        best = np.maximum(best, iou.max(axis=1))
    return best


def level_strides(model):
    """Returns the strides of a detector's levels with anchors, dict level -> int.

    Args:
        model: detector with `trunk` and `anchors`, such as `FasterRCNN`.
    """
    shapes = model.trunk.compute_output_shape(
        {"images": (1, _PROBE_SIDE, _PROBE_SIDE, 3), "image_sizes": (1, 2)}
    )
    return {
        level: _PROBE_SIDE // int(shapes["rpn_pyramid"][level][1])
        for level in model.anchors.sizes
    }


def _best_overlap(intervals, cell, stride, pixels):
    """Returns float64 (G, A): the most a row or column of anchors shares with a box.

    Args:
        intervals: float64 (G, 2), the boxes' extent along the axis, pixels.
        cell: float64 (A, 2), the anchors' at the origin.
        stride: int, pixels.
        pixels: int, the padded image's side along the axis.
    """
    count = -(-pixels // stride)
    shifts = np.arange(count) * float(pixels // count)  # as `grid_anchors` spaces them
    starts = cell[:, :1] + shifts  # (A, count)
    ends = cell[:, 1:] + shifts
    shared = np.minimum(ends, intervals[:, 1, None, None])
    shared -= np.maximum(starts, intervals[:, 0, None, None])
    return np.maximum(shared.max(axis=2), 0.0)


def _photo_coverage(photo, cells, strides, preprocessing):
    """Returns one photo's best IoUs, labels, sides and image ids."""
    size = resized_size(
        (photo.height, photo.width), preprocessing.min_size, preprocessing.max_size
    )
    objects = photo.objects
    scale = np.array([size[1] / photo.width, size[0] / photo.height] * 2)
    boxes = objects.boxes.astype(np.float64) * scale
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = ~objects.is_crowd & (sides > 0).all(axis=1)
    divisor = preprocessing.size_divisor
    padded = [-(-side // divisor) * divisor for side in size]
    return (
        best_ious(boxes[kept], cells, strides, padded),
        objects.labels[kept],
        np.sqrt(sides[kept].prod(axis=1)),
        np.full(kept.sum(), photo.image_id, np.int64),
    )
