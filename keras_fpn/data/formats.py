"""The formats of data sets: how each is recognized, its splits, and how it is read."""

import dataclasses
import pathlib
from collections.abc import Callable

from keras_fpn.data.coco import find_coco, read_coco
from keras_fpn.data.coco_panoptic import read_coco_panoptic
from keras_fpn.data.csv_boxes import find_csv, read_csv
from keras_fpn.data.cvat import cvat_subsets, find_cvat, is_cvat, read_cvat
from keras_fpn.data.json_kinds import LABELME, PANOPTIC, json_files, json_kind
from keras_fpn.data.label_images import find_label_images, read_label_images
from keras_fpn.data.labelme import find_labelme, read_labelme
from keras_fpn.data.semantic_images import (
    find_semantic,
    read_semantic_folder,
    semantic_splits,
)
from keras_fpn.data.voc import find_voc, read_voc, voc_splits
from keras_fpn.data.yolo import read_yolo
from keras_fpn.data.yolo_files import find_yolo, names_stated, yolo_splits


@dataclasses.dataclass(frozen=True)
class Format:
    """One format of data sets.

    Args:
        name: str, how messages call it.
        is_file: function of the Path of a file: whether it is a data set in this
            format.
        in_folder: function of the Path of a folder: the data sets in it, list of the
            Paths that `read` takes.
        read: function (path, images, split, **options) -> Dataset; `options` are
            class_names, strict and report, as of every reader.
        splits: function of such a Path: the names of its splits, list of str; None if
            it is always read whole.
        takes_images: bool, whether the folder of the photos can be given.
        reader_selects: function of such a Path: whether classes must be selected when
            it is read, because its files do not name them, or label pixels.
    """

    name: str
    is_file: Callable[[pathlib.Path], bool]
    in_folder: Callable[[pathlib.Path], list[pathlib.Path]]
    read: Callable
    splits: Callable[[pathlib.Path], list[str]] | None = None
    takes_images: bool = False
    reader_selects: Callable[[pathlib.Path], bool] = lambda path: False


def _with_suffix(*suffixes):
    return lambda file: file.suffix.lower() in suffixes


def _json(kind):
    return lambda file: file.suffix.lower() == ".json" and json_kind(file) == kind


def _in_split(reader):
    """Returns the `Format.read` of a reader that takes (path, split)."""
    return lambda path, images, split, **options: reader(path, split, **options)


def _whole(reader):
    """Returns the `Format.read` of a reader that takes (path, images)."""
    return lambda path, images, split, **options: reader(path, images, **options)


def _is_list(file):
    """Returns whether a file is one of the lists in VOC's ImageSets."""
    return file.suffix.lower() == ".txt" and "ImageSets" in file.parts


def _unless(others, find):
    """Returns a `Format.in_folder`: as `find`, if none of the others finds anything."""
    return lambda folder: [] if any(one(folder) for one in others) else find(folder)


# The first one that a file is, is taken; a folder may hold several.
FORMATS = (
    Format("voc", _is_list, find_voc, _in_split(read_voc), voc_splits),
    Format(
        "semantic",
        lambda file: False,
        find_semantic,
        _in_split(read_semantic_folder),
        semantic_splits,
        reader_selects=lambda path: True,
    ),
    Format(
        "yolo",
        _with_suffix(".yaml", ".yml", ".txt"),
        _unless([find_semantic], find_yolo),
        _in_split(read_yolo),
        yolo_splits,
        reader_selects=lambda path: not names_stated(path),
    ),
    Format(
        "label images",
        lambda file: False,
        _unless([find_semantic, find_yolo], find_label_images),
        lambda path, images, split, **options: read_label_images(
            path / "images", path / "labels", **options
        ),
        reader_selects=lambda path: True,
    ),
    Format(
        "CVAT",
        lambda file: file.suffix.lower() == ".xml" and is_cvat(file),
        find_cvat,
        read_cvat,
        cvat_subsets,
        takes_images=True,
    ),
    Format(
        "labelme",
        _json(LABELME),
        find_labelme,
        _whole(read_labelme),
        takes_images=True,
    ),
    Format(
        "COCO panoptic",
        _json(PANOPTIC),
        lambda folder: json_files(folder, PANOPTIC),
        _whole(read_coco_panoptic),
        takes_images=True,
        reader_selects=lambda path: True,
    ),
    Format(
        "coco",
        _with_suffix(".json"),
        find_coco,
        _whole(read_coco),
        takes_images=True,
    ),
    Format("csv", _with_suffix(".csv"), find_csv, _whole(read_csv), takes_images=True),
)
KNOWN = (
    "a COCO .json; a folder of Pascal VOC (Annotations, JPEGImages), a list in its "
    "ImageSets, or VOCdevkit; a YOLO data.yaml or folder (images, labels); a .csv of "
    "boxes; labelme's .json files; CVAT's .xml; a folder of label images (images, "
    "labels) or of semantic ones (images, semantic, classes.txt); or a folder with "
    "one of these for each split (train, valid, test)"
)
