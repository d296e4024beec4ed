"""Where YOLO data sets keep photos, labels and names: folders and data.yaml."""

import dataclasses
import pathlib

import yaml

from keras_fpn.data.image_files import find_photos, resolved
from keras_fpn.data.text_files import class_list, read_text

SPLITS = ("train", "val", "test")
_MAX_CHARACTERS = 2**19  # of a data.yaml; 20,000 class names take less
_MAX_DEPTH = 20
_TAGS = {"scalar": "str", "sequence": "seq", "mapping": "map"}
_NULLS = ("", "~", "null", "Null", "NULL")
# Files with one name per line, by class number, as labelImg and darknet write them.
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
                "A list of photos must be read without split; received "
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


def yolo_splits(path):
    """Returns which of `SPLITS` a data.yaml states, or a folder has, list."""
    file = _yaml_of(path) if path.is_dir() else path
    if file is None:
        return [split for split in SPLITS if _found_split_folders(path, split)]
    entries = read_entries(read_text(file), SPLITS, file)
    return [split for split in SPLITS if split in entries]


class _Loader(yaml.BaseLoader):
    """PyYAML's loader that makes texts, lists and dicts only, without aliases.

    `yaml.SafeLoader` would turn a class named "no" into False.
    """

    depth = 0

    def compose_node(self, parent, index):
        """Composes a node; raises for aliases and for deep nesting."""
        event, self.depth = self.peek_event(), self.depth + 1
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not supported, repeat the text instead"
            raise _problem_at(event, problem)
        if self.depth > _MAX_DEPTH:
            raise _problem_at(event, "lists or maps are nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_entries(text: str, keys, path):
    """Returns some entries of a data.yaml.

    All scalars are texts: a class may be named no or 007.

    Args:
        text: str, the content of the file.
        keys: collection of str, the names of the entries to return.
        path: str or Path of the file, for error messages.

    Returns:
        dict of the entries that exist and are not null: str, list of str, or dict of
        str -> str or list of str.

    Raises:
        ValueError: the file is not valid YAML, or too large, or one of the entries has
            another form or appears twice. The message names the file and the line.
    """
    entries: dict[str, str | list | dict] = {}
    try:
        if len(text) > _MAX_CHARACTERS:
            raise yaml.MarkedYAMLError(
                problem=f"it has over {_MAX_CHARACTERS} characters"
            )
        root = yaml.compose(text, _Loader)
        for key, node in () if root is None else _pairs(root).items():
            if key not in keys:
                continue
            quoted = getattr(node, "style", None)  # collections have no style
            if quoted or node.value not in _NULLS:
                entries[key] = _content(node)
    except yaml.YAMLError as error:
        raise ValueError(
            "A data.yaml must be plain YAML with texts, lists of texts, or maps of "
            f"texts; received path={str(path)!r}: {_problem(error)}. Write names as "
            "[a, b] or as lines '- a'."
        ) from error
    return entries


def _content(node, forms=("scalar", "sequence", "mapping")):
    """Returns the str, list or dict of a YAML node of one of these forms."""
    if node.tag != f"tag:yaml.org,2002:{_TAGS[node.id]}":
        raise _problem_at(node, f"the tag {node.tag} is not supported")
    if node.id not in forms:
        what = "a list or map in place of a text"
        raise _problem_at(node, f"{what} is not supported")
    if node.id == "mapping":
        return {key: _content(value, forms[:2]) for key, value in _pairs(node).items()}
    if node.id == "sequence":
        return [_content(item, forms[:1]) for item in node.value]
    return node.value


def _pairs(node):
    """Returns dict of str -> node of a mapping, whose keys must differ."""
    if not isinstance(node, yaml.MappingNode):
        raise _problem_at(node, "anything but a map here is not supported")
    pairs = {}
    for key, value in node.value:
        if _content(key, ("scalar",)) in pairs:
            raise _problem_at(key, f"the key {key.value!r} twice is not supported")
        pairs[key.value] = value
    return pairs


def _problem_at(place, problem):
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _problem(error):
    """Returns one line: what is wrong with a YAML file, and where."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}: "
    return where + " ".join(str(getattr(error, "problem", None) or error).split())


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
    keys = (*SPLITS, "path", "names", "kpt_shape", "flip_idx")
    text = read_text(path)
    entries = read_entries(text, keys, path)
    stated = [name for name in SPLITS if name in entries]
    if split is not None and split not in stated:
        raise ValueError(
            "split must be one of those in data.yaml; received "
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
    for path_tried in tried:
        if path_tried.exists():
            return path_tried
    raise ValueError(
        "A split of data.yaml must be a folder or a list of photos; received "
        f"{source!r} in path={str(path)!r}, which does not exist; tried "
        f"{', '.join(map(str, dict.fromkeys(tried)))}. Read another split by name: "
        'split="train".'
    )


def _photos_of(path):
    """Returns the photos listed in a .txt, relative to it or to the working folder."""
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
    """Returns the classes by number: as stated, from a file of names, or as passed."""
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
            "class_names=[...]."
        )
    return class_list(class_names)


def _keypoints(entries, text, path):
    """Returns the arguments of YoloFiles about keypoints, from a data.yaml."""
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
            "kpt_shape must be [joints, 2 or 3], flip_idx must name each joint once; "
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
