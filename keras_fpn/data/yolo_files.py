"""Where YOLO data sets keep photos, labels and names: their folders and data.yaml."""

import dataclasses
import pathlib

from keras_fpn.data.photo_files import find_photos, resolved
from keras_fpn.data.text_files import class_list, read_text
from keras_fpn.data.yolo_yaml import read_entries

SPLITS = ("train", "val", "test")
# Files of names, one a line, by number. labelImg, darknet and others write them.
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
        ValueError: the path, the split or the names are not there.
    """
    if path.suffix.lower() in (".yaml", ".yml") or not path.exists():
        return _from_yaml(path, split, class_names)
    if path.is_file():
        if split is not None:
            raise ValueError(
                "A list of photos must be read without split; received "
                f"path={str(path)!r}, split={split!r}."
            )
        names = _names(None, path.parent, class_names, path)
        return YoloFiles(_photos_of(path), names)
    yaml = _yaml_of(path)
    if yaml is not None:
        return _from_yaml(yaml, split, class_names)
    everything = path / "images" if (path / "images").is_dir() else path
    folders = [everything] if split is None else _split_folders(path, split)
    photos = sorted({photo for folder in folders for photo in find_photos(folder)})
    return YoloFiles(photos, _names(None, path, class_names, path))


def yolo_splits(path):
    """Returns which of `SPLITS` a data.yaml, Path, states, or a folder has, list."""
    yaml = _yaml_of(path) if path.is_dir() else path
    if yaml is None:
        return [split for split in SPLITS if _found_split_folders(path, split)]
    entries = read_entries(read_text(yaml), SPLITS, yaml)
    return [split for split in SPLITS if split in entries]


def label_file(photo):
    """Returns the Path of a photo's labels: beside it, or in labels/ for images/."""
    parts = list(photo.parts)
    folders = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return pathlib.Path(*parts).with_suffix(".txt")


def _yaml_of(path):
    """Returns the data.yaml of a folder, or None."""
    yaml = [file for file in sorted(path.glob("*.y*ml")) if _describes_data(file)]
    if len(yaml) > 1:
        raise ValueError(
            f"A YOLO folder must have one data.yaml; received path={str(path)!r} with "
            f"{[file.name for file in yaml]}. Name the file itself."
        )
    return yaml[0] if yaml else None


def _describes_data(file):
    text = read_text(file)
    return any(line.split(":")[0].strip("\"' ") == "names" for line in text.split("\n"))


def _from_yaml(path, split, class_names):
    keys = (*SPLITS, "path", "names", "kpt_shape", "flip_idx")
    text = read_text(path)
    entries = read_entries(text, keys, path)
    stated = [name for name in SPLITS if name in entries]
    if split is not None and split not in stated:
        raise ValueError(
            "split must be one of the data.yaml's; received "
            f"split={split!r}, path={str(path)!r} with {stated}."
        )
    photos = []
    for name in stated if split is None else [split]:
        sources = entries[name]
        for source in [sources] if isinstance(sources, str) else sources:
            place = _place(source, entries.get("path", "."), path)
            photos += find_photos(place) if place.is_dir() else _photos_of(place)
    photos = list(dict.fromkeys(photos))
    names = _names(entries.get("names"), path.parent, class_names, path)
    return YoloFiles(photos, names, **_keypoints(entries, text, path))


def _place(source, root, path):
    """Returns the folder or list that a split of a data.yaml names."""
    roots = path.parent / root, path.parent
    # Roboflow writes ../train/images for the folder beside the file.
    names = source, source.removeprefix("../")
    tried = [resolved(folder, name) for folder in roots for name in names]
    for place in tried:
        if place.exists():
            return place
    raise ValueError(
        "A split of data.yaml must be a folder or a list of photos; received "
        f"{source!r} in path={str(path)!r}, which is none of "
        f"{', '.join(map(str, dict.fromkeys(tried)))}. Read the other splits by name: "
        'split="train".'
    )


def _photos_of(path):
    """Returns the photos that a .txt lists, relative to it or to where one works."""
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    beside = [resolved(path.parent, name) for name in names]
    if beside and not beside[0].exists() and pathlib.Path(names[0]).exists():
        return [pathlib.Path(name) for name in names]
    return beside


def _split_folders(path, split):
    """Returns the folder of a split's photos, images/train or train/images."""
    found = _found_split_folders(path, split)
    if not found:
        raise ValueError(
            "split must name a folder of photos; received "
            f"split={split!r}, path={str(path)!r} without images/{split} and "
            f"{split}/images."
        )
    return found[:1]


def _found_split_folders(path, split):
    others = {"val": ("val", "valid", "validation")}.get(split, (split,))
    return [
        folder
        for name in others
        for folder in (path / "images" / name, path / name / "images", path / name)
        if folder.is_dir()
    ]


def _names(stated, folder, class_names, path):
    """Returns the classes by number: as stated, of a file of names, or as given."""
    if isinstance(stated, dict):
        numbers = list(map(str, range(len(stated))))
        if sorted(stated) != sorted(numbers):
            raise ValueError(
                "The names in data.yaml must be numbered 0, 1, ...; received "
                f"names={stated}, path={str(path)!r}."
            )
        return tuple(stated[number] for number in numbers)
    if isinstance(stated, list):
        return tuple(stated)
    for name in _NAMES_FILES:
        if (folder / name).is_file():
            return class_list(folder / name)
    if class_names is None:
        raise ValueError(
            "A YOLO data set must name its classes, in data.yaml or "
            f"{' or '.join(_NAMES_FILES)}; received path={str(path)!r} without. Name "
            "them: class_names=[...]."
        )
    return class_list(class_names)


def _keypoints(entries, text, path):
    """Returns what YoloFiles says of keypoints, from a data.yaml's entries."""
    if "kpt_shape" not in entries:
        return {}
    try:
        joints, values = map(int, entries["kpt_shape"])
        flipped = list(map(int, entries.get("flip_idx", range(joints))))
        matched = sorted(flipped) == list(range(joints)) and values in (2, 3)
    except (TypeError, ValueError):
        matched = False
    if not matched:
        raise ValueError(
            "kpt_shape must be [joints, 2 or 3] and flip_idx name each joint once; "
            f"received kpt_shape={entries['kpt_shape']}, "
            f"flip_idx={entries.get('flip_idx')}, path={str(path)!r}."
        )
    pairs = [(i, j) for i, j in enumerate(flipped) if i < j]
    return {
        "joints": joints,
        "values": values,
        "joint_names": _joint_names(text, joints, path),
        "flip_pairs": tuple(pairs),
    }


def _joint_names(text, joints, path):
    """Returns the keypoints' names, their numbers where data.yaml has no such list."""
    try:
        names = read_entries(text, ["kpt_names"], path).get("kpt_names")
    except ValueError:  # few files have them, in whatever form
        names = None
    if isinstance(names, dict):  # the same for each class
        names = next(iter(names.values()), None)
    if not isinstance(names, list) or len(names) != joints:
        names = map(str, range(joints))
    return tuple(names)
