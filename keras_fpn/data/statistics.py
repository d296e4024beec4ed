"""Counts the objects of a data set by class and by the three sizes of COCO."""

import collections
import dataclasses

import numpy as np

from keras_fpn.data.dataset import Dataset
from keras_fpn.data.segments import segment_area

# In COCO, objects are small below an area of 32x32 pixels, large from 96x96 on.
SIZE_NAMES = ("small", "medium", "large")
_SIZE_LIMITS = (32**2, 96**2)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Numbers of photos and objects of a data set; `str` gives a table.

    Crowd regions do not count as objects.

    Args:
        class_names: tuple of K str.
        photos: int.
        photos_without_objects: int.
        crowds: int, crowd regions of all classes.
        objects: int (K,), objects of each class.
        photos_with: int (K,), photos that show an object of each class.
        sizes: int (K, 3), objects that are small, medium, large, as in COCO:
            by the area of the mask, or of the box without a mask.
        labeled: int, photos with pixel labels.
        stuff: int, classes of stuff.
    """

    class_names: tuple[str, ...]
    photos: int
    photos_without_objects: int
    crowds: int
    objects: np.ndarray
    photos_with: np.ndarray
    sizes: np.ndarray
    labeled: int = 0
    stuff: int = 0

    def __repr__(self):
        return f"<Statistics: {str(self).splitlines()[0]}>"

    def __str__(self):
        lines = [
            f"{_many(self.photos, 'photo')}, {_many(int(self.objects.sum()), 'object')}"
            f" of {_many(len(self.class_names), 'class', 'classes')}, "
            f"{_many(self.crowds, 'crowd region')}; "
            f"{_many(self.photos_without_objects, 'photo')} without objects"
        ]
        if self.labeled:
            classes = _many(self.stuff, "class", "classes")
            stuff = f", {classes} of stuff" if self.stuff else ""
            photos = _many(self.labeled, "photo")
            lines.append(f"  {photos} with semantic labels{stuff}")
            if not self.objects.any():
                return "\n".join(lines)
        rows = list(zip(self.objects, self.photos_with, *self.sizes.T, strict=True))
        table = {name: rows[i] for i, name in enumerate(self.class_names) if rows[i][0]}
        absent = [name for name in self.class_names if name not in table]
        if len(table) > 1:
            shown = self.photos - self.photos_without_objects
            table["all"] = (self.objects.sum(), shown, *self.sizes.sum(axis=0))
        width = max(map(len, ["class", *table]))
        lines.append(_row("class", ["objects", "photos", *SIZE_NAMES], width))
        lines += [_row(name, row, width) for name, row in table.items()]
        lines += [f"  no objects of: {', '.join(absent)}"] if absent else []
        return "\n".join(lines)


def statistics(dataset: Dataset) -> Statistics:
    """Counts the content of a data set.

    Args:
        dataset: Dataset.

    Returns:
        Statistics.
    """
    count = len(dataset.class_names)
    photos_with, sizes = np.zeros(count, int), np.zeros((count, len(SIZE_NAMES)), int)
    crowds = without = 0
    for photo in dataset.photos:
        single = ~photo.objects.is_crowd
        labels = photo.objects.labels[single]
        size = np.digitize(object_areas(photo.objects)[single], _SIZE_LIMITS)
        np.add.at(sizes, (labels, size), 1)
        photos_with[np.unique(labels)] += 1
        crowds += int((~single).sum())
        without += len(labels) == 0
    return Statistics(
        class_names=dataset.class_names,
        photos=len(dataset),
        photos_without_objects=without,
        crowds=crowds,
        objects=sizes.sum(axis=1),
        photos_with=photos_with,
        sizes=sizes,
        labeled=len(dataset) - len(dataset.photos_without_semantic),
        stuff=len(dataset.stuff_names),
    )


def object_areas(objects):
    """Returns the areas of objects as in COCO, float64 (G,), square pixels.

    That is the area of the mask if there is one, otherwise of the box.
    """
    boxes = objects.boxes.astype(np.float64)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i, segment in enumerate(objects.segments or ()):
        if segment is not None:
            areas[i] = segment_area(segment)
    return areas


def count_extras(dataset):
    """Counts what not every format can hold.

    Args:
        dataset: Dataset.

    Returns:
        dict of str -> int, without zeros: "masks", "objects with keypoints",
        "crowd regions".
    """
    counts = collections.Counter()
    for photo in dataset.photos:
        objects = photo.objects
        counts["masks"] += sum(s is not None for s in objects.segments or ())
        counts["crowd regions"] += int(objects.is_crowd.sum())
        if objects.keypoints is not None:
            seen = (objects.keypoints[..., 2] > 0).any(axis=1)
            counts["objects with keypoints"] += int(seen.sum())
    return {name: count for name, count in counts.items() if count}


def _row(name, values, width):
    return f"  {name:{width}}" + "".join(f"{value:>9}" for value in values)


def _many(count, unit, units=None):
    return f"{count} {unit if count == 1 else units or unit + 's'}"
