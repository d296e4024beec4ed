"""COCO panoptic files: json with the segments of each photo, and a folder of PNGs.

A pixel of a PNG is the id of its segment, R + 256 G + 65536 B, or 0 for none. Things
become objects; what else there is, is read from the PNG when it is needed.
"""

import collections
import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_fpn.data.check import checked
from keras_fpn.data.coco import (
    box_of,
    coco_categories,
    crowd_of,
    listed_photos,
    load_coco,
    selected_labels,
    whole_number,
)
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import resolved
from keras_fpn.data.listing import ListedObject, Listing
from keras_fpn.data.pixel_labels import IGNORED, ImageSegment, PanopticImage
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.text_files import ClassNames, class_list
from keras_fpn.files import PathLike

_LAST_SEGMENT = 2**24 - 1
_THINGS = 0  # value of every thing in a semantic map
_UNKNOWN = -1  # label of what is not evaluated


def read_coco_panoptic(
    path: PathLike,
    images: PathLike | None = None,
    labels: PathLike | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a COCO panoptic json file and checks it.

    Things are the objects of the data set, with boxes and masks; `class_names` and
    `category_ids` are theirs, `stuff_names` and `stuff_ids` those of stuff. The PNGs
    are read when a mask or a map is needed, each on its own.

    Args:
        path: str or Path of the json file.
        images: str or Path of the folder of the photos; None to look near the file.
        labels: str or Path of the folder of the PNGs; None for the folder beside the
            file that has its name: panoptic_val2017/ of panoptic_val2017.json.
        class_names: list of str, the things to read, in the order of their labels; or
            a path, see `class_list`; None for all, sorted by category id. Other things
            keep their value in semantic maps and are in no panoptic map.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset.

    Raises:
        ValueError: the file is not a COCO panoptic file, its photos or PNGs are not
            found, a category does not say whether it is a thing, no category is a thing
            or none is stuff, a segment has no usable id, or `checked` raises.
    """
    path = pathlib.Path(path)
    contents = load_coco(path)
    found = Report(path.stem, f"COCO panoptic, {path}")
    things, stuff = _things_and_stuff(coco_categories(contents, path), path)
    thing_labels, kept = selected_labels(things, class_list(class_names), path)
    photos = listed_photos(contents, images, path, found)
    folder = path.with_suffix("") if labels is None else pathlib.Path(labels)
    if not folder.is_dir():
        raise ValueError(
            "The PNGs of a panoptic file must be in a folder, by default the one "
            f"beside it that has its name; received path={str(path)!r} and no folder "
            f"{folder}. Move them there, or name their folder to read_coco_panoptic."
        )
    classes = {
        number: _Class(thing_labels.get(number, _UNKNOWN), True, _THINGS)
        for number in things
    } | {number: _Class(i, False, 1 + i) for i, number in enumerate(stuff)}
    annotated = set()
    for annotation in contents.get("annotations", []):
        photo = _photo_of(annotation, photos, path, found)
        if photo is not None:
            annotated.add(photo.image_id)
            try:
                _add_segments(annotation, photo, folder, classes, things, found)
            except ValueError as error:
                raise ValueError(f"{error} They are in {str(path)!r}.") from error
    for photo in photos.values():
        if photo.image_id not in annotated:
            found.add("not_annotated", str(photo.path))
    listing = Listing(
        found=found,
        class_names=tuple(category["name"] for category in kept),
        category_ids=tuple(category["id"] for category in kept),
        photos=[p for p in photos.values() if p.image_id in annotated],
        stuff_names=tuple(category["name"] for category in stuff.values()),
        stuff_ids=tuple(stuff),
        order="x, y, width, height",
    )
    return checked(listing, strict, report)


class _Class(NamedTuple):
    """What a category means in maps; see `keras_fpn.data.pixel_labels`."""

    label: int
    is_thing: bool
    semantic: int


def _things_and_stuff(categories, path):
    """Returns the categories of things and those of stuff, dicts of id -> dict."""
    for category in categories.values():
        if category.get("isthing") not in (0, 1):
            raise ValueError(
                "A category of a panoptic file must say isthing, 0 or 1; received "
                f"{str(category)[:120]} in path={str(path)!r}."
            )
    parts = [
        {n: c for n, c in categories.items() if c["isthing"] == wanted}
        for wanted in (1, 0)
    ]
    if not all(parts):
        absent = "things" if not parts[0] else "stuff"
        raise ValueError(
            "A panoptic file must have categories of things and of stuff; received "
            f"path={str(path)!r} without {absent}. Convert it to COCO instances, or to "
            "semantic label images."
        )
    return parts


def _photo_of(annotation, photos, path, found):
    """Returns the ListedPhoto of an annotation; None if it is not listed."""
    if not isinstance(annotation, dict) or not isinstance(
        annotation.get("segments_info"), list
    ):
        raise ValueError(
            "An annotation of a panoptic file must have segments_info; received "
            f"{str(annotation)[:120]} in path={str(path)!r}. It may be a "
            "file of COCO instances."
        )
    photo = photos.get(whole_number(annotation.get("image_id")))
    name = annotation.get("file_name")
    if photo is None:
        received = str(annotation.get("image_id"))[:60]
        found.add("unknown_image", f"{str(name)[:60]}: {received}")
    elif not isinstance(name, str) or photo.pixel_labels is not None:
        raise ValueError(
            "A photo must have one annotation with the file_name of its PNG; received "
            f"image_id={photo.image_id}, file_name={str(name)[:60]!r} in "
            f"path={str(path)!r}, after "
            f"{photo.pixel_labels and photo.pixel_labels.path.name}."
        )
    return photo


def _add_segments(annotation, photo, folder, classes, things, found):
    """Adds the segments of one photo: its pixel labels and its objects."""
    name = annotation["file_name"]
    segments = [
        segment if isinstance(segment, dict) else {}
        for segment in annotation["segments_info"]
    ]
    ids = _ids(segments, folder / name)
    rows = []
    for segment, number in zip(segments, ids, strict=True):
        category = whole_number(segment.get("category_id"))
        if category not in classes:
            where = f"segment {number} of {name}"
            received = segment.get("category_id")
            found.add("unknown_category", f"{where}: category id {str(received)[:60]}")
        crowd = crowd_of(segment)
        if crowd is None:
            raise ValueError(
                "iscrowd of a segment must be 0 or 1; received "
                f"{str(segment.get('iscrowd'))[:60]} for segment {number} of {name!r}."
            )
        rows.append((*classes.get(category, (_UNKNOWN, False, IGNORED)), crowd))
    labels, is_thing, semantic, is_crowd = np.array(rows, int).reshape(-1, 4).T
    image = PanopticImage(
        path=resolved(folder, name),
        ids=ids,
        labels=labels.astype(np.int16),
        is_thing=is_thing.astype(bool),
        is_crowd=is_crowd.astype(bool),
        semantic=semantic.astype(np.uint8),
    )
    photo.pixel_labels = image
    for index in np.flatnonzero(image.is_thing):
        segment = segments[index]
        where = f"segment {ids[index]} of {name}"
        if labels[index] < 0:
            category = things[whole_number(segment["category_id"])]
            found.add("unselected", f"{where}: {category['name']}")
        else:
            _add_object(segment, image, int(index), photo, where, found)


def _ids(segments, path):
    """Returns int32 (S,), the ids of the segments of a PNG."""
    numbers = [whole_number(segment.get("id")) for segment in segments]
    wrong = [
        segment.get("id")
        for segment, number in zip(segments, numbers, strict=True)
        if number is None or not 1 <= number <= _LAST_SEGMENT
    ]
    repeated = len(set(numbers)) < len(numbers)
    if wrong or repeated:
        counts = collections.Counter(numbers)
        twice = [number for number, count in counts.items() if count > 1]
        raise ValueError(
            f"The ids of segments must be different integers from 1 to {_LAST_SEGMENT}"
            f"; received {str((wrong or twice)[:3])[:60]} for {path}."
        )
    return np.array(numbers, np.int32)


def _add_object(segment, image, index, photo, where, found):
    """Adds a thing to the objects of its photo, if it has a box."""
    box = box_of(segment)
    if box is None:
        found.add("unreadable_object", f"{where}: bbox {str(segment.get('bbox'))[:60]}")
        return
    area = segment.get("area")
    stated = isinstance(area, (int, float)) and 0 < area < math.inf
    photo.objects.append(
        ListedObject(
            box=box,
            label=int(image.labels[index]),
            where=where,
            is_crowd=bool(image.is_crowd[index]),
            segment=ImageSegment(image, index, area if stated else box[2] * box[3]),
        )
    )
