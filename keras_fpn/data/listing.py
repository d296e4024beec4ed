"""What a reader found in a data set's files, as they state it, before the check."""

import dataclasses
import pathlib

from keras_fpn.data.image_files import image_ids
from keras_fpn.data.report import Report


@dataclasses.dataclass(slots=True)
class ListedObject:
    """An object as the files state it.

    Args:
        box: 4 numbers in the listing's order and unit.
        label: int, place in the listing's class_names.
        where: str, how the report calls it.
        is_crowd: bool.
        segment: polygons or run lengths, see `Objects.segments`.
        keypoints: 3 J numbers, x, y, visibility, ...; or None.
    """

    box: tuple
    label: int
    where: str
    is_crowd: bool = False
    segment: list | dict | None = None
    keypoints: list | None = None


@dataclasses.dataclass
class ListedPhoto:
    """A photo as the files state it: `size` is height and width, None if not stated."""

    image_id: int
    path: pathlib.Path
    size: tuple[int, int] | None = None
    objects: list[ListedObject] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Listing:
    """All that a reader found, before the check.

    Args:
        found: Report, with the defects of the files' form.
        class_names, category_ids, keypoint_names, flip_pairs: see `Dataset`.
        photos: list of ListedPhoto.
        order: str, a key of ORDERS: the order of a box's numbers.
        fractions: bool, True if coordinates are fractions of the photo's sides.
    """

    found: Report
    class_names: tuple
    category_ids: tuple
    photos: list[ListedPhoto]
    keypoint_names: tuple = ()
    flip_pairs: tuple = ()
    order: str = "x1, y1, x2, y2"
    fractions: bool = False


def number_photos(photos):
    """Gives ListedPhotos of a form without image ids those of `image_ids`."""
    numbers = image_ids([photo.path for photo in photos])
    for photo, number in zip(photos, numbers, strict=True):
        photo.image_id = number
