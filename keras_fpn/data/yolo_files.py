"""Where YOLO data sets keep photos, labels and names: folders and data.yaml."""

import dataclasses
import os
import pathlib
import re

from keras_fpn.data.data_yaml import read_entries
from keras_fpn.data.image_files import find_photos, resolved
from keras_fpn.data.split_names import spellings, usual_split
from keras_fpn.data.text_files import class_list, read_text

SPLITS = ("train", "val", "test")
_STATED = (*SPLITS, "valid", "validation")  # in a data.yaml
# Files with one name per line, by class number, as labelImg and darknet write them.
_MOST_JOINTS = 10_000
_NAMES_FILES = ("classes.txt", "obj.names", "labels/classes.txt")


@dataclasses.dataclass(frozen=True)
class YoloFiles:
    """What a YOLO data set consists of.

    Args:
        photos: list of Path.
        names: tuple of str, the classes by number.
        joints: int, keypoints per object, 0 for none.
        values: int, 2 for x, y or 3 for x, y, visibility, per keypoint.
        joint_names: tuple of str.
        flip_pairs: tuple of pairs of ints; see `Dataset`.
    """

    photos: list
    names: tuple
    joints: int = 0
    values: int = 3
    joint_names: tuple = ()
    flip_pairs: tuple = ()


def find_files(path, split, class_names):
    """Returns the YoloFiles of a data set.

    Args:
        path: Path of a data.yaml, of a folder, or of a .txt that lists photos.
        split: str, "train", "val" or "test"; None for all.
        class_names: list of str or a path, the classes by number, for a data set that
            does not name them; None otherwise.

    Raises:
        ValueError: the path, the split or the names do not exist.
    """
    if path.suffix.lower() in (".yaml", ".yml") or not path.exists():
        return _from_yaml(path, split, class_names)
    if path.is_file():
        if split is not None:
            raise ValueError(
                "A list of photos must be read without `split`; received "
                f"path={str(path)!r}, split={split!r}."
            )
        names = _names(None, path.parent, class_names, path)
        return YoloFiles(_photos_of(path), names)
    file = _yaml_of(path)
    if file is not None:
        return _from_yaml(file, split, class_names)
    everything = path / "images" if (path / "images").is_dir() else path
    folders = [everything] if split is None else _split_folders(path, split)
    photos = sorted({photo for folder in folders for photo in find_photos(folder)})
    return YoloFiles(photos, _names(None, path, class_names, path))


def find_yolo(folder):
    """Returns a list of the folder, if it holds a YOLO data set; otherwise []."""
    found = (
        any((folder / name).is_file() for name in _NAMES_FILES[:2])
        or any(map(_describes_data, sorted(folder.glob("*.y*ml"))))
        or ((folder / "images").is_dir() and any((folder / "labels").rglob("*.txt")))
    )
    return [folder] if found else []


def yolo_splits(path):
    """Returns the names of the splits that a data.yaml states, or a folder has, list.

    In a folder these are those of `SPLITS`, and the other folders in images/.
    """
    file = _yaml_of(path) if path.is_dir() else path
    if file is not None and file.suffix.lower() not in (".yaml", ".yml"):
        return []
    if file is not None:
        entries = read_entries(read_text(file), _STATED, file)
        return [split for split in _STATED if split in entries]
    found = [split for split in SPLITS if _found_split_folders(path, split)]
    folders = sorted(one.name for one in (path / "images").glob("*/"))
    return [*found, *(name for name in folders if usual_split(name) is None)]


def names_stated(path):
    """Returns whether a data set names its classes: not needed is class_names."""
    folder, file = path, path
    if path.is_dir():
        file = _yaml_of(path)
    else:
        folder = path.parent
    if file is not None and file.suffix.lower() in (".yaml", ".yml"):
        if "names" in read_entries(read_text(file), ["names"], file):
            return True
        folder = file.parent
    return any((folder / name).is_file() for name in _NAMES_FILES)


def label_file(photo):
    """Returns the Path of a photo's labels: beside it, or in labels/ for images/."""
    parts = list(photo.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return pathlib.Path(*parts).with_suffix(".txt")


def _yaml_of(path):
    """Returns the data.yaml of a folder, or None."""
    files = [file for file in sorted(path.glob("*.y*ml")) if _describes_data(file)]
    if len(files) > 1:
        raise ValueError(
            f"A YOLO folder must have one data.yaml; received path={str(path)!r} with "
            f"{[file.name for file in files]}. Name the file itself."
        )
    return files[0] if files else None


def _describes_data(file):
    text = read_text(file)
    return any(line.split(":")[0].strip("\"' ") == "names" for line in text.split("\n"))


def _from_yaml(path, split, class_names):
    keys = (*_STATED, "path", "names", "kpt_shape", "flip_idx")
    text = read_text(path)
    entries = read_entries(text, keys, path)
    stated = [name for name in _STATED if name in entries]
    if split is not None and split not in stated:
        raise ValueError(
            "`split` must be one of those in data.yaml; received "
            f"split={split!r}, path={str(path)!r} with {stated}."
        )
    photos = []
    for name in stated if split is None else [split]:
        sources = entries[name]
        for source in [sources] if isinstance(sources, str) else sources:
            found = _source(source, entries.get("path", "."), path)
            photos += find_photos(found) if found.is_dir() else _photos_of(found)
    photos = list(dict.fromkeys(photos))
    names = _names(entries.get("names"), path.parent, class_names, path)
    return YoloFiles(photos, names, **_keypoints(entries, text, path))


def _source(source, root, path):
    """Returns the folder or list that a split of a data.yaml names."""
    roots = path.parent / root, path.parent
    # Roboflow writes ../train/images for the folder beside the file.
    names = source, source.removeprefix("../")
    tried = [resolved(folder, name) for folder in roots for name in names]
    # Written on another machine, it names folders of that one.
    elsewhere = [path.parent.joinpath(*parts) for parts in _endings(source)]
    for path_tried in [*tried, *elsewhere]:
        if os.path.exists(path_tried):
            return path_tried
    raise ValueError(
        "A split of data.yaml must be a folder or a list of photos; received "
        f"{source[:120]!r} in path={str(path)!r}, which does not exist; tried "
        f"{', '.join(str(one)[:120] for one in dict.fromkeys(tried))}. Read another "
        "split by its name: `split`."
    )


def _endings(source):
    """Returns what a path of another machine may be here, list of lists of str.

    These are its ends, the longest first; the part that names its split stays.
    """
    parts = [
        part for part in re.split(r"[/\\]+", source) if part not in ("", ".", "..")
    ]
    named = [i for i, part in enumerate(parts) if usual_split(part) is not None]
    last = named[-1] if named else len(parts) - 1
    return [parts[i:] for i in range(last + 1)]


def _photos_of(path):
    """Returns the photos listed in a .txt.

    They are relative to it or to the working folder; or, if the list was written on
    another machine, relative to the list from the part on that makes the first exist.
    """
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    beside = [resolved(path.parent, name) for name in names]
    if not beside or os.path.exists(beside[0]):
        return beside
    if os.path.exists(names[0]):
        return [pathlib.Path(name) for name in names]
    for parts in _endings(names[0]):
        if os.path.isfile(path.parent.joinpath(*parts)):
            start = len(names[0]) - len("/".join(parts))
            if all(name[:start] == names[0][:start] for name in names):
                return [resolved(path.parent, name[start:]) for name in names]
    return beside


def _split_folders(path, split):
    """Returns the folder of a split's photos, images/train or train/images."""
    found = _found_split_folders(path, split)
    if not found:
        raise ValueError(
            "`split` must name a folder of photos; received "
            f"split={split!r}, path={str(path)!r} without images/{split} and "
            f"{split}/images."
        )
    return found[:1]


def _found_split_folders(path, split):
    others = spellings(split) if split in SPLITS else (split,)
    return [
        folder
        for name in others
        for folder in (path / "images" / name, path / name / "images", path / name)
        if folder.is_dir()
    ]


def _names(stated, folder, class_names, path):
    """Returns the classes by number: as stated, from a file of names, or as passed."""
    if isinstance(stated, dict):
        numbers = list(map(str, range(len(stated))))
        if sorted(stated) != sorted(numbers):
            raise ValueError(
                "The names in data.yaml must be numbered 0, 1, ...; received "
                f"names={str(stated)[:120]}, path={str(path)!r}."
            )
        return tuple(stated[number] for number in numbers)
    if isinstance(stated, list):
        return tuple(stated)
    if stated is not None:
        raise ValueError(
            "The names in data.yaml must be a list or a map; received "
            f"names={stated[:80]!r}, path={str(path)!r}. Write them as [a, b] or as "
            "lines '- a'."
        )
    for name in _NAMES_FILES:
        if (folder / name).is_file():
            return class_list(folder / name)
    if class_names is None:
        raise ValueError(
            "A YOLO data set must name its classes, in data.yaml or "
            f"{' or '.join(_NAMES_FILES)}; received path={str(path)!r} without. Pass "
            "`class_names`."
        )
    return class_list(class_names)


def _keypoints(entries, text, path):
    """Returns the arguments of YoloFiles about keypoints, from a data.yaml."""
    if "kpt_shape" not in entries:
        return {}
    try:
        joints, values = map(int, entries["kpt_shape"])
        if joints > _MOST_JOINTS:
            raise ValueError
        flipped = list(map(int, entries.get("flip_idx", range(joints))))
        matched = sorted(flipped) == list(range(joints)) and values in (2, 3)
    except (TypeError, ValueError):
        matched = False
    if not matched:
        raise ValueError(
            "kpt_shape must be [joints, 2 or 3], flip_idx must name each joint once; "
            f"received kpt_shape={str(entries['kpt_shape'])[:60]}, "
            f"flip_idx={str(entries.get('flip_idx'))[:60]}, path={str(path)!r}."
        )
    pairs = [(i, j) for i, j in enumerate(flipped) if i < j]
    return {
        "joints": joints,
        "values": values,
        "joint_names": _joint_names(text, joints, path),
        "flip_pairs": tuple(pairs),
    }


def _joint_names(text, joints, path):
    """Returns the names of the keypoints, or their numbers if data.yaml has none."""
    try:
        names = read_entries(text, ["kpt_names"], path).get("kpt_names")
    except ValueError:  # few files have them, and not always as a list
        names = None
    if isinstance(names, dict):  # the same for each class
        names = next(iter(names.values()), None)
    if not isinstance(names, list) or len(names) != joints:
        names = map(str, range(joints))
    return tuple(names)
