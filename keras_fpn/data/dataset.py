"""What every reader returns: photos with their objects, independent of the format."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from keras_fpn.data.pixel_labels import MOST_CLASSES, PixelLabels

THINGS = "things"  # the name of value 0 of a panoptic data set's semantic maps
_NAMED, _LETTERS = 3, 20  # names in a repr, and letters of each


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The G annotated objects of one photo, in pixels of that photo.

    Args:
        boxes: float32 (G, 4), xyxy, continuous: a box around only the first pixel
            is 0, 0, 1, 1.
        labels: int32 (G,), 0-based indices into the class_names of the data set.
        is_crowd: bool (G,), True for a region of many objects.
        segments: list of G: each None, a list of polygons (flat lists x, y, x, y, ...),
            a COCO run-length dict of "size" and "counts", or an
            `keras_fpn.data.pixel_labels.ImageSegment`; None for a photo without any
            masks.
        keypoints: float32 (G, J, 3), x, y and visibility: 0 not annotated, 1 hidden,
            2 visible; or None.

    Raises:
        ValueError: the numbers of rows differ.
    """

    boxes: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray
    segments: tuple | None = None
    keypoints: np.ndarray | None = None

    def __post_init__(self):
        boxes = np.asarray(self.boxes, np.float32)
        values: dict[str, Any] = {
            "boxes": boxes.reshape(0, 4) if boxes.size == 0 else boxes,
            "labels": np.asarray(self.labels, np.int32),
            "is_crowd": np.asarray(self.is_crowd, bool),
        }
        if self.keypoints is not None:
            values["keypoints"] = np.asarray(self.keypoints, np.float32)
        shapes = {name: value.shape for name, value in values.items()}
        if self.segments is not None:
            values["segments"] = tuple(self.segments)
            shapes["segments"] = (len(values["segments"]),)
        row = {"boxes": (4,), "keypoints": (*shapes.get("keypoints", ())[1:2], 3)}
        if shapes != {name: (len(boxes), *row.get(name, ())) for name in shapes}:
            raise ValueError(
                "One photo's annotations must have equally many rows, boxes 4 and "
                f"keypoints (joints, 3) values each; received shapes {shapes}."
            )
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self):
        return len(self.boxes)

    def __repr__(self):
        kinds = ("masks", self.segments), ("keypoints", self.keypoints)
        further = [name for name, value in kinds if value is not None]
        return f"<Objects: {', '.join([_counted(len(self), 'box', 'es'), *further])}>"

    def __getitem__(self, rows):
        """Returns the Objects of some rows: a slice, bools (G,) or indices."""
        places = np.arange(len(self))[rows].reshape(-1)
        segments, keypoints = self.segments, self.keypoints
        return Objects(
            boxes=self.boxes[places],
            labels=self.labels[places],
            is_crowd=self.is_crowd[places],
            segments=segments and tuple(segments[place] for place in places),
            keypoints=None if keypoints is None else keypoints[places],
        )


@dataclasses.dataclass(frozen=True)
class Photo:
    """One image file and what is annotated in it.

    Args:
        image_id: int, as in the data set, or counted from 1 if it has none.
        path: pathlib.Path of the image file.
        height, width: int, pixels, of the upright photo (EXIF rotation applied).
        objects: Objects, of length 0 for a photo without objects.
        proposals: float32 (R, 4), xyxy, pixels, best first, boxes in which objects may
            be; or None. See `keras_fpn.data.with_proposals`.
        pixel_labels: `keras_fpn.data.pixel_labels.PixelLabels`, from which semantic and
            panoptic maps are read; or None.
    """

    image_id: int
    path: pathlib.Path
    height: int
    width: int
    objects: Objects
    proposals: np.ndarray | None = dataclasses.field(default=None, compare=False)
    pixel_labels: PixelLabels | None = dataclasses.field(default=None, compare=False)

    def __repr__(self):
        return (
            f"<Photo {_excerpt(self.path.name)}: id {self.image_id}, {self.height} x "
            f"{self.width} pixels, {_counted(len(self.objects), 'object')}>"
        )


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Photos, their objects and the names of the classes.

    Args:
        photos: tuple of Photo.
        class_names: tuple of str, by label.
        category_ids: tuple of int, by label: the ids in the files of the data set.
        keypoint_names: tuple of J str, possibly empty.
        flip_pairs: tuple of pairs of ints: keypoints (left eye, right eye) that are
            exchanged when the photo is flipped.
        skeleton: tuple of pairs of ints: keypoints that pictures join by a line.
        name: str, for reports.
        stuff_names, stuff_ids: as class_names and category_ids, of the classes without
            countable objects, such as sky; empty unless the data set is panoptic.

    Raises:
        ValueError: class_names and category_ids differ in length, or stuff_names and
            stuff_ids; or there are more than 254 names of stuff.
    """

    photos: tuple[Photo, ...]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    keypoint_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    name: str = ""
    stuff_names: tuple[str, ...] = ()
    stuff_ids: tuple[int, ...] = ()

    def __post_init__(self):
        tuples = "photos class_names category_ids keypoint_names stuff_names stuff_ids"
        for field in tuples.split():
            object.__setattr__(self, field, tuple(getattr(self, field)))
        for field in ("flip_pairs", "skeleton"):
            pairs = tuple((int(one), int(two)) for one, two in getattr(self, field))
            object.__setattr__(self, field, pairs)
        if len(self.class_names) != len(self.category_ids):
            raise ValueError(
                "Every class must have one name and one category id; received "
                f"class_names={self.class_names}, category_ids={self.category_ids}."
            )
        if len(self.stuff_names) != len(self.stuff_ids):
            raise ValueError(
                "Every class of stuff must have one name and one category id; received "
                f"stuff_names={self.stuff_names}, stuff_ids={self.stuff_ids}."
            )
        if len(self.stuff_names) >= MOST_CLASSES:  # 0 stands for things
            raise ValueError(
                f"There must be at most {MOST_CLASSES - 1} classes of stuff, because "
                f"maps hold them in a byte; received {len(self.stuff_names)}."
            )

    def __len__(self):
        return len(self.photos)

    def __repr__(self):
        objects = sum(len(photo.objects) for photo in self.photos)
        counts = [_counted(len(self), "photo"), _counted(objects, "object")]
        names = [*map(_excerpt, self.class_names[:_NAMED])]
        more = ["..."] if len(self.class_names) > _NAMED else []
        classes = _counted(len(self.class_names), "class", "es")
        listed = f"{classes} ({', '.join([*names, *more])})" if names else classes
        stuff = [f"{len(self.stuff_names)} of stuff"] if self.stuff_names else []
        about = ", ".join([*counts, listed, *stuff])
        return f"<Dataset {_excerpt(self.name)!r}: {about}>"

    @property
    def has_masks(self) -> bool:
        """Whether every object has a segment, and there are objects."""
        segments = [
            s
            for p in self.photos
            for s in p.objects.segments or [None] * len(p.objects)
        ]
        return bool(segments) and all(segments)

    @property
    def photos_without_masks(self) -> list[Photo]:
        """The photos that show objects and have a segment of none."""
        return [p for p in self.photos if len(p.objects) and p.objects.segments is None]

    @property
    def has_semantic(self) -> bool:
        """Whether every photo has pixel labels, and there are photos."""
        return bool(self.photos) and not self.photos_without_semantic

    @property
    def photos_without_semantic(self) -> list[Photo]:
        """The photos that have no pixel labels."""
        return [photo for photo in self.photos if photo.pixel_labels is None]

    @property
    def semantic_names(self) -> tuple[str, ...]:
        """The names of the values in semantic maps, from 0; see `pixel_labels`."""
        if self.stuff_names:
            return (THINGS, *self.stuff_names)
        return self.class_names if self.has_semantic else ()

    @property
    def semantic_ids(self) -> tuple[int, ...]:
        """The ids in the data set's files of `semantic_names`; 0 for things."""
        if self.stuff_names:
            return (0, *self.stuff_ids)
        return self.category_ids if self.has_semantic else ()

    @property
    def has_proposals(self) -> bool:
        """Whether the photos have proposals."""
        return any(photo.proposals is not None for photo in self.photos)

    def without_empty(self) -> "Dataset":
        """Returns a Dataset of the photos with an object, or with pixel labels."""
        photos = tuple(
            photo
            for photo in self.photos
            if len(photo.objects) or photo.pixel_labels is not None
        )
        return dataclasses.replace(self, photos=photos)

    def __getitem__(self, index):
        """Returns one Photo for an int, a smaller Dataset for a slice."""
        if isinstance(index, slice):
            return dataclasses.replace(self, photos=self.photos[index])
        return self.photos[index]


def _counted(number, noun, plural="s"):
    return f"{number} {noun}{'' if number == 1 else plural}"


def _excerpt(text):
    """Returns a text, cut off if it is long, in one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LETTERS else f"{line[: _LETTERS - 3]}..."
