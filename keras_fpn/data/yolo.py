"""YOLO text files: one line per object, in fractions of the sides of the photo."""

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from keras_fpn.data.check import checked
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import copy_photos
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.statistics import count_extras
from keras_fpn.data.text_files import ClassNames, class_list, read_text
from keras_fpn.data.yolo_files import SPLITS, find_files, label_file
from keras_fpn.files import PathLike, write_text

_NO_LABELS = ("classes", "train", "val", "test", "README")  # .txt beside labels


def read_yolo(
    path: PathLike,
    split: str | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a data set with YOLO text files and checks it.

    A line is "class center-x center-y width height"; with the points of a polygon
    instead of the box, or with keypoints after it if data.yaml has kpt_shape. Photos
    without a file, or with an empty one, have no objects.

    Args:
        path: str or Path of data.yaml; of a folder, with images/ and labels/ or the
            files beside the photos; or of a .txt that lists photos.
        split: str, "train", "val" or "test"; None for all.
        class_names: list of str, the classes by their numbers, or a path, see
            `class_list`: needed if neither data.yaml nor classes.txt names them;
            otherwise the classes to read, in the order of their labels.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset; its category ids are the class numbers in the files.

    Raises:
        ValueError: the path, split or names do not exist, no photo has a label file, or
            `checked` raises.
    """
    path = pathlib.Path(path)
    files = find_files(path, split, class_names)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    name = path.resolve().parent.name if is_yaml else path.resolve().stem
    name, source = [
        x if split is None else f"{x}/{split}" for x in (name, f"YOLO, {path}")
    ]
    found = Report(name, source)
    category_ids = _category_ids(files.names, class_list(class_names), path)
    labels = {number: label for label, number in enumerate(category_ids)}
    photos = []
    for photo in files.photos:
        listed = ListedPhoto(photo)
        if _add_objects(listed, files, labels, found):
            photos.append(listed)
    without = found.counts.get("no_label_file", 0)
    if photos and without == len(photos):
        raise ValueError(
            "Photos must have label files, in labels/ for photos in images/, otherwise "
            f"beside them; received path={str(path)!r}, with {without} photos and no "
            f"{label_file(photos[0].path)} or any other."
        )
    _note_orphans(files.photos, found)
    listing = Listing(
        found=found,
        class_names=tuple(files.names[number] for number in category_ids),
        category_ids=category_ids,
        photos=photos,
        keypoint_names=files.joint_names,
        flip_pairs=files.flip_pairs,
        order="center x, center y, width, height",
        fractions=True,
    )
    return checked(listing, strict, report)


def write_yolo(
    dataset: Dataset, folder: PathLike, split: str = "train"
) -> dict[str, int]:
    """Writes boxes, keypoints and copies of the photos of a data set as YOLO files.

    The folder gets images/<split>, labels/<split> and data.yaml, which names all splits
    in the folder; call it again to write another. Class numbers are the labels. Crowd
    regions are left out, because YOLO would take each for one object.

    Args:
        dataset: Dataset.
        folder: str or Path; created if missing.
        split: str, "train", "val" or "test".

    Returns:
        dict of str -> int: what was not written -> how often it occurred.

    Raises:
        ValueError: split is not one of these.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}; received {split=}.")
    folder = pathlib.Path(folder)
    copies = copy_photos(dataset.photos, folder / "images" / split)
    for photo, copy in zip(dataset.photos, copies, strict=True):
        text = "".join(f"{line}\n" for line in _lines(photo))
        # To sync each of thousands of files would take minutes.
        write_text(label_file(copy), text, sync=False)
    write_text(folder / "data.yaml", _data_yaml(dataset, folder))
    extras = count_extras(dataset)
    extras.pop("objects with keypoints", None)
    return extras


def _category_ids(names, class_names, path):
    """Returns the numbers of the classes to read, tuple of int, by label."""
    if class_names is None:
        return tuple(range(len(names)))
    numbers = {name: number for number, name in reversed(list(enumerate(names)))}
    absent = [name for name in class_names if name not in numbers]
    if absent:
        raise ValueError(
            "`class_names` must be classes of the data set; received "
            f"{absent}, path={str(path)!r} with {list(names)}."
        )
    return tuple(numbers[name] for name in class_names)


def _add_objects(photo, files, labels, found):
    """Adds the objects in the label file of a photo, or counts what is wrong with it.

    Returns:
        bool, whether the photo can be used.
    """
    file = label_file(photo.path)
    if not file.is_file():
        found.add("no_label_file", str(photo.path))
        return True
    try:
        lines = read_text(file).splitlines()
    except ValueError as error:
        found.add("unreadable_file", str(error))
        return False
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        where = f"line {index + 1} of {file}"
        numbers = _numbers(line)
        parts = _box_and_more(numbers[1:], files) if numbers else None
        if parts is None or numbers[0] != math.floor(numbers[0]):
            found.add("unreadable_row", f"{where}: {line.strip()[:60]}")
        elif not 0 <= numbers[0] < len(files.names):
            found.add("unknown_category", f"{where}: class {numbers[0]:g}")
        elif int(numbers[0]) not in labels:
            found.add("unselected", f"{where}: {files.names[int(numbers[0])]}")
        else:
            label = labels[int(numbers[0])]
            photo.objects.append(ListedObject(label=label, where=where, **parts))
    return True


def _numbers(line):
    """Returns the numbers in a line, list of float; empty if one is not a number."""
    try:
        numbers = [float(text) for text in line.split()]
    except ValueError:
        return []
    return numbers if math.isfinite(numbers[0]) else []


def _box_and_more(numbers, files):
    """Returns the fields of the `ListedObject` of a line without its class, or None.

    The box of a polygon is the one around its points.
    """
    if len(numbers) == 4:
        return {"box": tuple(numbers)}
    if files.joints:
        if len(numbers) != 4 + files.joints * files.values:
            return None
        points = np.reshape(numbers[4:], (files.joints, files.values))
        if files.values == 2:  # a joint at 0, 0 is not annotated, any other is visible
            seen = 2 * (points != 0).any(axis=1, keepdims=True)
            points = np.concatenate([points, seen], axis=1)
        return {"box": tuple(numbers[:4]), "keypoints": points.ravel().tolist()}
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    points = np.reshape(numbers, (-1, 2))
    low, high = points.min(axis=0), points.max(axis=0)
    return {"box": (*((low + high) / 2), *(high - low)), "segment": [numbers]}


def _note_orphans(photos, found):
    """Counts label files without a photo, in the folders of the others."""
    expected = {label_file(photo) for photo in photos}
    for folder in sorted({file.parent for file in expected}):
        for file in sorted(folder.glob("*.txt")):
            if file not in expected and file.stem not in _NO_LABELS:
                found.add("orphan_label", str(file))


def _lines(photo):
    """Returns the lines of the label file of a photo."""
    sides = np.array([photo.width, photo.height], np.float64)
    objects = photo.objects[~photo.objects.is_crowd]
    lines = []
    for i, label in enumerate(objects.labels):
        corners = objects.boxes[i].astype(np.float64).reshape(2, 2) / sides
        numbers = [*corners.mean(axis=0), *(corners[1] - corners[0])]
        if objects.keypoints is not None:
            points = objects.keypoints[i].astype(np.float64)
            numbers += (points / [*sides, 1]).ravel().tolist()
        lines.append(" ".join([str(label), *(f"{n:.10g}" for n in numbers)]))
    return lines


def _data_yaml(dataset, folder):
    """Returns the text of a data.yaml."""
    splits = [split for split in SPLITS if (folder / "images" / split).is_dir()]
    entries: dict[str, Any] = {split: f"images/{split}" for split in splits}
    entries["names"] = dict(enumerate(map(str, dataset.class_names)))
    joints = len(dataset.keypoint_names)
    if joints:
        flipped = list(range(joints))
        for first, second in dataset.flip_pairs:
            flipped[first], flipped[second] = second, first
        entries |= {"kpt_shape": [joints, 3], "flip_idx": flipped}
        entries["kpt_names"] = {0: list(map(str, dataset.keypoint_names))}
    return yaml.safe_dump(entries, allow_unicode=True, sort_keys=False)
