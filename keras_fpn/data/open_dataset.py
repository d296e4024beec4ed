"""Opens a data set in any known format, which it recognizes from the files."""

import pathlib
import re
from collections.abc import Callable

from keras_fpn.data.coco import read_coco
from keras_fpn.data.coco_panoptic import read_coco_panoptic
from keras_fpn.data.csv_boxes import is_box_csv, read_csv
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.label_images import read_label_images
from keras_fpn.data.report import warn_of_defects
from keras_fpn.data.semantic_images import (
    CLASSES,
    IMAGES,
    LABELS,
    find_semantic,
    read_semantic_images,
)
from keras_fpn.data.text_files import ClassNames
from keras_fpn.data.voc import ANNOTATIONS, find_splits, read_voc
from keras_fpn.data.yolo import read_yolo
from keras_fpn.data.yolo_files import yolo_splits
from keras_fpn.files import PathLike

_FILES: dict[str, Callable] = {  # one split each
    "coco": read_coco,
    "COCO panoptic": read_coco_panoptic,
    "csv": read_csv,
}
_SPLIT: dict[str, Callable] = {"voc": read_voc, "yolo": read_yolo}
_USUAL_SPLITS = ("train", "trainval", "val", "test")
_SNIFFED = 65536  # bytes at either end of a json file, to see what it is
_YOLO_SIGNS = ("classes.txt", "obj.names", "*.yaml", "*.yml")
_FORMS = (
    "a COCO .json; a folder of Pascal VOC (Annotations, "
    "JPEGImages) or a list in its ImageSets; a YOLO data.yaml or folder (images, "
    "labels); a .csv of boxes; a folder of label images (images, labels) or of "
    "semantic ones (images, semantic, classes.txt)"
)


def open_dataset(
    path: PathLike,
    images: PathLike | None = None,
    split: str | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a data set in any known format, and checks it.

    The format is recognized from the path: a COCO json file, a CSV of boxes, a YOLO
    data.yaml, a list in the ImageSets of Pascal VOC, or a folder that holds one such
    data set, or label images. A COCO file with segments_info is a panoptic one.

    Args:
        path: str or Path.
        images: str or Path of the folder of the photos, if they are not
            beside the json or CSV file.
        split: str, such as "train", the part of a folder to read; None for all.
        class_names: list of str, the classes in the order of their labels, or a path,
            see `class_list`; None for the data set's own. With a model's class names,
            labels mean the same in both.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset.

    Raises:
        ValueError: the path is missing, of no known format or of several, or the reader
            of the format raises.
    """
    path = pathlib.Path(path)
    common: dict = {"strict": strict, "report": report}
    if class_names is not None:
        common["class_names"] = class_names
    kind, source = _recognized(path, split)
    if images is not None and kind not in _FILES:
        raise ValueError(
            "images must be None for a format that states where they are; "
            f"received images={str(images)!r}, path={str(path)!r}."
        )
    if kind in _FILES:
        return _FILES[kind](source, images, **common)
    if kind in _SPLIT:
        return _SPLIT[kind](source, split, **common)
    if kind == "semantic":
        return _read_semantic(source, split, common)
    return read_label_images(source / "images", source / "labels", **common)


def _read_semantic(folder, split, common):
    """Reads a folder of semantic label images, or of it the folders of one split."""
    images, labels = folder / IMAGES, folder / LABELS
    if split is not None:
        images, labels = images / split, labels / split
    names, selected = folder / CLASSES, common.pop("class_names", None)
    if names.is_file():
        return read_semantic_images(images, labels, names, selected, **common)
    if selected is None:
        raise ValueError(
            "Semantic label images must have the names of their values, from 0 on, one "
            f"per line in {CLASSES}; received the folder {folder} without. Write it, "
            "or pass class_names."
        )
    return read_semantic_images(images, labels, selected, **common)


def splits_of(path: PathLike) -> list[str]:
    """Returns which of the usual splits a data set has, without reading it.

    Args:
        path: str or Path, as `open_dataset` takes it.

    Returns:
        list of str, those of "train", "trainval", "val" and "test" that `open_dataset`
        takes as split; empty for a file that is one split, or an unknown format.

    Raises:
        ValueError: a folder has several files that describe it, or one that cannot be
            read.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        found = [_splits_in(kind, source) for kind, source in _folder_kinds(path)]
    else:
        yaml = path.is_file() and path.suffix.lower() in (".yaml", ".yml")
        found = [yolo_splits(path)] if yaml else []
    return [name for name in _USUAL_SPLITS if any(name in names for names in found)]


def _splits_in(kind, source):
    """Returns the names of the splits of one data set in a folder."""
    if kind == "voc":
        return list(find_splits(source))
    if kind == "yolo":
        return yolo_splits(source)
    if kind == "semantic":
        return [part.name for part in (source / LABELS).iterdir() if part.is_dir()]
    if source.is_dir():
        return []
    return [name for name in _USUAL_SPLITS if _names_split(source.stem, name)]


def _recognized(path, split):
    """Returns the format of a data set and the path that its reader takes."""
    if not path.exists():
        raise ValueError(
            f"A data set must exist; received path={str(path)!r}, which does not exist."
        )
    if path.is_dir():
        return _recognized_folder(path, split)
    kind = {".json": "coco", ".csv": "csv", ".yaml": "yolo", ".yml": "yolo"}.get(
        path.suffix.lower()
    )
    if path.suffix.lower() == ".txt":
        kind = "voc" if "ImageSets" in path.parts else "yolo"
    if kind == "coco" and _sniffed(path, b'"segments_info"'):
        kind = "COCO panoptic"
    if kind is None:
        raise ValueError(f"A data set must be {_FORMS}; received path={str(path)!r}.")
    if split is not None and kind in _FILES:
        raise ValueError(
            "split must be None for a file that is one split; received "
            f"split={split!r}, path={str(path)!r}."
        )
    return kind, path


def _recognized_folder(path, split):
    """Returns the format and path of the single data set in a folder."""
    found = _folder_kinds(path)
    chosen = found
    if split is not None:
        chosen = [
            (kind, source)
            for kind, source in found
            if source.is_dir() or _names_split(source.stem, split)
        ]
    if len(chosen) == 1:
        return chosen[0]
    listed = [f"{kind}: {source}" for kind, source in chosen or found]
    if not found:
        raise ValueError(
            f"A data set must be {_FORMS}; received the folder path={str(path)!r}, "
            "which holds none of them."
        )
    if not chosen:
        raise ValueError(
            "split must be part of a file's name; received "
            f"split={split!r}, path={str(path)!r} with {listed}."
        )
    raise ValueError(
        f"A folder must hold one data set; received path={str(path)!r} with {listed}. "
        "Pass the file or the split, or use the reader of the format."
    )


def _names_split(stem, split):
    """Returns whether a file name contains a split: instances_train2017, train."""
    pattern = rf"(?<![a-z]){re.escape(split)}(?![a-z])"
    return re.search(pattern, stem, re.I) is not None


def _folder_kinds(path):
    """Returns the data sets in a folder, list of (format, path to read)."""
    found = []
    if any((path / ANNOTATIONS).glob("*.xml")) or any(path.glob("*.xml")):
        found.append(("voc", path))
    labels = path / "labels"
    signs = any(any(path.glob(sign)) for sign in _YOLO_SIGNS)
    if find_semantic(path):
        found.append(("semantic", path))
    elif signs or ((path / "images").is_dir() and any(labels.rglob("*.txt"))):
        found.append(("yolo", path))
    elif (path / "images").is_dir() and any(labels.glob("*.png")):
        found.append(("label images", path))
    for folder in (path, path / "annotations"):
        for file in sorted(folder.glob("*.json")):
            if _sniffed(file, b'"segments_info"'):
                found.append(("COCO panoptic", file))
            elif _sniffed(file, b'"images"', b'"annotations"', b'"categories"'):
                found.append(("coco", file))
    found += [("csv", file) for file in sorted(path.glob("*.csv")) if is_box_csv(file)]
    return found


def _sniffed(file, *keys):
    """Returns whether a json file is a dict with one of the keys at either end."""
    with open(file, "rb") as stream:
        text = stream.read(_SNIFFED)
        if file.stat().st_size > _SNIFFED:
            stream.seek(-min(_SNIFFED, file.stat().st_size), 2)
            text += stream.read()
    return text.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"{" and any(
        key in text for key in keys
    )
