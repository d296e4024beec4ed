"""COCO json files: boxes, polygons, run lengths, crowd regions and keypoints."""

import collections
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np

from keras_fpn.data.check import checked
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import resolved
from keras_fpn.data.json_kinds import COCO, json_files
from keras_fpn.data.json_texts import load_json
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.split_names import spellings
from keras_fpn.data.text_files import ClassNames, class_list
from keras_fpn.files import PathLike

_LAST_ID = 2**31 - 1
_OTHER_KINDS = ("captions", "person_keypoints", "image_info")  # of COCO's own files
_SHOWN = 60  # characters of a received value in messages
_TRIED_PHOTOS = 20  # these decide which folder holds the images


def read_coco(
    path: PathLike,
    images: PathLike | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a COCO json file and checks it.

    Args:
        path: str or Path of the json file.
        images: str or Path of the folder that its file names are relative to; None to
            look near the file, as in the layout of COCO and others.
        class_names: list of str, the classes to read, in the order of their labels; or
            a path, see `class_list`; None for all, sorted by category id, but for the
            row 0 of Roboflow that only names a super-category.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset.

    Raises:
        ValueError: the file is missing, truncated or not a COCO annotation file, its
            images are not found, or `checked` raises.
    """
    path = pathlib.Path(path)
    contents = load_coco(path)
    first = next(iter(contents.get("annotations", [])), None)
    if isinstance(first, dict) and "segments_info" in first:
        raise ValueError(
            "COCO instances must be annotated one by one; received the panoptic file "
            f"path={str(path)!r}. Read it with read_coco_panoptic."
        )
    found = Report(path.stem, f"COCO, {path}")
    categories = coco_categories(contents, path)
    selected = class_list(class_names)
    if selected is None:
        categories = _without_super_category(categories, contents)
    labels, kept = selected_labels(categories, selected, path)
    photos = listed_photos(contents, images, path, found)
    names, pairs = _keypoint_names(kept, path)
    _add_objects(contents, photos, categories, labels, found)
    listing = Listing(
        found=found,
        class_names=tuple(category["name"] for category in kept),
        category_ids=tuple(category["id"] for category in kept),
        photos=list(photos.values()),
        keypoint_names=names,
        flip_pairs=pairs,
        skeleton=_skeleton(kept, len(names), path),
        order="x, y, width, height",
    )
    return checked(listing, strict, report)


def find_coco(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the COCO files in a folder and its annotations/, sorted list of Path.

    Of COCO's own files of a split, such as captions_val2017 and instances_val2017, only
    the instances.
    """
    files = json_files(folder, COCO)
    stems = {file.stem for file in files}
    return [file for file in files if _of_instances(file.stem) not in stems]


def _of_instances(stem):
    """Returns the name of the file of instances beside another one of COCO, or None."""
    kind, _, split = stem.rpartition("_")
    return f"instances_{split}" if kind in _OTHER_KINDS else None


def load_coco(path):
    """Returns the dict of a COCO annotation file."""
    contents = load_json(path)
    if isinstance(contents, list):
        raise ValueError(
            "A COCO annotation file must be a dict with images, annotations and "
            f"categories; received path={str(path)!r}, a list: are these results?"
        )
    wrong = [
        key
        for key in ("images", "annotations", "categories")
        if not isinstance(contents, dict)
        # The published list of the test photos has no annotations.
        or not isinstance(contents.get(key, [] if key == "annotations" else None), list)
    ]
    if wrong:
        keys = list(contents)[:8] if isinstance(contents, dict) else contents
        raise ValueError(
            "A COCO annotation file must hold lists of images, annotations and "
            f"categories; received path={str(path)!r} without {wrong}, with "
            f"{str(keys)[:120]}."
        )
    return contents


def whole_number(value):
    """Returns an int, also of 7.0 or "7"; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value) if len(value) < 19 else None
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if whole and value == value // 1 else None


def coco_categories(contents, path):
    """Returns the categories, dict of id -> dict, sorted by id."""
    categories = {}
    for category in contents["categories"]:
        number = (
            whole_number(category.get("id")) if isinstance(category, dict) else None
        )
        if number is None or not isinstance(category.get("name"), str):
            raise ValueError(
                "A category must have an integer as id and a name; received "
                f"{str(category)[:120]} in path={str(path)!r}."
            )
        if number in categories:
            raise ValueError(
                "Categories must have different ids; received path="
                f"{str(path)!r}, in which {category['name'][:60]!r} and "
                f"{categories[number]['name'][:60]!r} have id {number}."
            )
        categories[number] = {**category, "id": number}
    if not categories:
        raise ValueError(
            f"A data set must have a category; received path={str(path)!r} with none."
        )
    return dict(sorted(categories.items()))


def _without_super_category(categories, contents):
    """Returns the categories without one that is only the name of others' group.

    Roboflow writes it as id 0, of the super-category "none"; no object is of it.
    """
    first = categories.get(0)
    if first is None or first.get("supercategory") != "none":
        return categories
    others = {number: one for number, one in categories.items() if number != 0}
    groups = [one.get("supercategory") for one in others.values()]
    used = any(
        isinstance(one, dict) and whole_number(one.get("category_id")) == 0
        for one in contents.get("annotations", [])
    )
    return categories if used or first["name"] not in groups else others


def selected_labels(categories, class_names, path):
    """Returns dict of category id -> label, and the categories by label."""
    kept = list(categories.values())
    if class_names is not None:
        by_name = {category["name"]: category for category in kept}
        absent = [name for name in class_names if name not in by_name]
        if absent:
            raise ValueError(
                "`class_names` must be among the file's categories; received "
                f"{absent}, path={str(path)!r} with {list(by_name)}."
            )
        kept = [by_name[name] for name in class_names]
    return {category["id"]: label for label, category in enumerate(kept)}, kept


def _keypoint_names(categories, path):
    """Returns the names of the keypoints, and the pairs that a flip exchanges."""
    stated = [c["keypoints"] for c in categories if c.get("keypoints")]
    for names in stated:
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise ValueError(
                "A category's keypoints must be a list of names; received "
                f"{str(names)[:_SHOWN]} in path={str(path)!r}."
            )
    lists = set(map(tuple, stated))
    if len(lists) > 1:
        raise ValueError(
            "All categories with keypoints must have the same; received "
            f"path={str(path)!r} with {str(sorted(lists))[:120]}. Read one "
            "alone: pass `class_names`."
        )
    names = next(iter(lists), ())
    return names, flip_pairs(names)


def _skeleton(categories, joints, path):
    """Returns the pairs of keypoints that lines join, from 0; in files from 1."""
    for category in categories:
        lines = category.get("skeleton")
        if not category.get("keypoints") or not lines:
            continue
        try:
            pairs = [(int(first) - 1, int(second) - 1) for first, second in lines]
        except (TypeError, ValueError, OverflowError):  # the last of infinity
            pairs = [(-1, -1)]
        if not all(0 <= index < joints for pair in pairs for index in pair):
            raise ValueError(
                f"A skeleton must be pairs of keypoints, 1..{joints}; received "
                f"{str(lines)[:_SHOWN]} in path={str(path)!r}."
            )
        return tuple(pairs)
    return ()


def flip_pairs(names):
    """Returns index pairs of keypoints whose names differ only in left and right."""
    lowered = [name.lower() for name in names]
    # Of equal names the first.
    indices = {name: i for i, name in reversed(list(enumerate(lowered)))}
    mirrored = [name.replace("left", "right") for name in lowered]
    return tuple(
        (left, indices[other])
        for left, other in enumerate(mirrored)
        if other != lowered[left] and other in indices
    )


def listed_photos(contents, images, path, found):
    """Returns the listed photos, dict of image id -> ListedPhoto."""
    entries = _single_entries(contents["images"], path, found)
    names = [entry["file_name"] for entry in entries.values()]
    folder = _image_folder(names, path) if images is None else pathlib.Path(images)
    if not folder.is_dir():
        raise ValueError(f"`images` must be a folder; received images={str(folder)!r}.")
    photos = {}
    for number, entry in entries.items():
        sides = whole_number(entry.get("height")), whole_number(entry.get("width"))
        size = sides if all(sides) else None
        photos[number] = ListedPhoto(resolved(folder, entry["file_name"]), size, number)
    return photos


def _single_entries(images, path, found):
    """Returns the images of the file with a usable id, dict of id -> dict."""
    entries, ambiguous = {}, set()
    for entry in images:
        number = whole_number(entry.get("id")) if isinstance(entry, dict) else None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if number is None or not 0 <= number <= _LAST_ID or not isinstance(name, str):
            raise ValueError(
                "An image must have a file_name and an id, an integer from 0 to "
                f"{_LAST_ID}; received {str(entry)[:120]} in path={str(path)!r}."
            )
        if number not in entries:
            entries[number] = entry
        elif entries[number]["file_name"] == name:
            found.add("repeated_image", f"id {number}: {name}")
        else:
            names = f"{entries[number]['file_name']} and {name}"
            found.add("ambiguous_image_id", f"id {number}: {names}")
            ambiguous.add(number)
    return {n: entry for n, entry in entries.items() if n not in ambiguous}


def _image_folder(names, path):
    """Returns the one of the usual folders in which most of the names exist."""
    if not names:
        return path.parent
    above = path.parent, path.parent.parent
    # instances_train2017.json belongs to train2017/, valid_set.json to valid/
    parts = [path.stem.split("_", 1)[-1], path.stem, *spellings(path.stem)]
    inner = ["", "images", *parts, *(f"images/{part}" for part in parts), "JPEGImages"]
    folders = [folder / name for folder in above for name in inner]
    tried = names[:: max(1, len(names) // _TRIED_PHOTOS)]
    hits = [sum(os.path.isfile(resolved(f, n)) for n in tried) for f in folders]
    if max(hits) == 0:
        shown = ", ".join(dict.fromkeys(str(folder) for folder in folders))
        raise ValueError(
            f"The photos of a COCO file must exist; received path={str(path)!r}, whose "
            f"{tried[0][:_SHOWN]!r} and {len(tried) - 1} others tried are in none of "
            f"{shown}. Pass their folder: `images`."
        )
    return folders[int(np.argmax(hits))]


class _SameId:
    """The annotations of one id: tells repeated ones in a time linear in their number.

    Most ids have one annotation, so texts to compare are made from the second on.
    """

    __slots__ = ("first", "texts")

    def __init__(self):
        self.first, self.texts = None, set()

    def add(self, annotation):
        """Returns None for the first one, or whether an equal one came before."""
        if self.first is None:
            self.first = annotation
            return None
        if not self.texts:
            self.texts.add(json.dumps(self.first, sort_keys=True))
        text = json.dumps(annotation, sort_keys=True)
        repeated = text in self.texts
        self.texts.add(text)
        return repeated


def box_of(annotation):
    """Returns the 4 numbers of an annotation's bbox, tuple of float, or None."""
    bbox = annotation.get("bbox")
    try:
        box = tuple(map(float, bbox)) if isinstance(bbox, list) else ()
    except (TypeError, ValueError):
        return None
    return box if len(box) == 4 else None


def crowd_of(annotation):
    """Returns whether an annotation is a crowd region, bool; None if it is unclear."""
    stated = annotation.get("iscrowd")
    number = int(stated or 0) if isinstance(stated, bool) else whole_number(stated or 0)
    return bool(number) if number in (0, 1) else None


def _add_objects(contents, photos, categories, labels, found):
    """Adds each annotation to its photo, or counts what is wrong with it."""
    same_ids: dict[str, _SameId] = collections.defaultdict(_SameId)
    for index, annotation in enumerate(contents.get("annotations", [])):
        if not isinstance(annotation, dict):
            received = str(annotation)[:_SHOWN]
            found.add("unreadable_object", f"number {index + 1}: {received}")
            continue
        number = str(annotation.get("id", f"number {index + 1}"))[:_SHOWN]
        where = f"annotation {number}"
        photo = photos.get(whole_number(annotation.get("image_id")))
        if photo is None:
            received = str(annotation.get("image_id"))[:_SHOWN]
            found.add("unknown_image", f"{where}: {received}")
            continue
        where = f"{where} of {photo.path.name}"
        if "id" in annotation:
            repeated = same_ids[str(annotation["id"])].add(annotation)
            if repeated is not None:
                found.add("repeated_object" if repeated else "shared_id", where)
            if repeated:
                continue
        category = whole_number(annotation.get("category_id"))
        if category not in categories:
            received = str(annotation.get("category_id"))[:_SHOWN]
            found.add("unknown_category", f"{where}: category id {received}")
        elif category not in labels:
            found.add("unselected", f"{where}: {categories[category]['name']}")
        else:
            _add_object(annotation, labels[category], photo, where, found)


def _add_object(annotation, label, photo, where, found):
    """Adds one annotation to its photo, if it has a box."""
    box, crowd = box_of(annotation), crowd_of(annotation)
    if box is None or crowd is None:
        name = "bbox" if box is None else "iscrowd"
        received = str(annotation.get(name))[:_SHOWN]
        found.add("unreadable_object", f"{where}: {name} {received}")
        return
    photo.objects.append(
        ListedObject(
            box=box,
            label=label,
            where=where,
            is_crowd=crowd,
            segment=annotation.get("segmentation"),
            keypoints=annotation.get("keypoints"),
        )
    )
