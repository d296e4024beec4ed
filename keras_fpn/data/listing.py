"""What a reader found in the files of a data set, as stated there, unchecked."""

import dataclasses
import pathlib
from typing import Any

from keras_fpn.data.image_files import image_ids
from keras_fpn.data.pixel_labels import PixelLabels
from keras_fpn.data.report import Report


@dataclasses.dataclass(slots=True)
class ListedObject:
    """An object as stated in the files.

    Args:
        box: 4 numbers in the order and unit of the listing.
        label: int, index into the class_names of the listing.
        where: str, how the report names it.
        is_crowd: bool.
        segment: polygons, run lengths or a segment of an image, see `Objects.segments`.
        keypoints: 3 J numbers, x, y, visibility, ...; or None.
    """

    box: tuple
    label: int
    where: str
    is_crowd: bool = False
    segment: Any = None
    keypoints: list | None = None


@dataclasses.dataclass
class ListedPhoto:
    """A photo as stated in the files; `size` is (height, width), None if not stated."""

    path: pathlib.Path
    size: tuple[int, int] | None = None
    image_id: int | None = None
    objects: list[ListedObject] = dataclasses.field(default_factory=list)
    pixel_labels: PixelLabels | None = None


@dataclasses.dataclass
class Listing:
    """All that a reader found, unchecked.

    Args:
        found: Report, with the defects of the files themselves.
        class_names, keypoint_names, flip_pairs, skeleton, stuff_names, stuff_ids: see
            `Dataset`.
        photos: list of ListedPhoto; if the format does not number them, they get the
            image ids that `image_ids` makes.
        category_ids: see `Dataset`; by default 1, 2, ...
        order: str, a key of ORDERS, the order of the numbers of a box.
        fractions: bool, True if coordinates are fractions of the sides of the photo.
    """

    found: Report
    class_names: tuple
    photos: list[ListedPhoto]
    category_ids: tuple = ()
    keypoint_names: tuple = ()
    flip_pairs: tuple = ()
    skeleton: tuple = ()
    stuff_names: tuple = ()
    stuff_ids: tuple = ()
    order: str = "x1, y1, x2, y2"
    fractions: bool = False

    def __post_init__(self):
        if not self.category_ids:
            self.category_ids = tuple(range(1, len(self.class_names) + 1))
        if any(photo.image_id is None for photo in self.photos):
            numbers = image_ids([photo.path for photo in self.photos])
            for photo, number in zip(self.photos, numbers, strict=True):
                photo.image_id = number
