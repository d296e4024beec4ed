"""Opens a data set in any known format, which it recognizes from the files."""

import dataclasses
import pathlib
from collections.abc import Callable

from keras_fpn.data.dataset import Dataset
from keras_fpn.data.layout import Layout
from keras_fpn.data.report import warn_of_defects
from keras_fpn.data.split_names import usual_split, usual_splits
from keras_fpn.data.text_files import ClassNames
from keras_fpn.files import PathLike


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
    data.yaml, a list in the ImageSets of Pascal VOC, a file of labelme or CVAT; or a
    folder that holds one such data set, label images, or one folder or file for each
    split. A COCO file with segments_info is a panoptic one.

    Args:
        path: str or Path.
        images: str or Path of the folder of the photos, if they are not
            beside the json, xml or CSV file.
        split: str, such as "train", the part of a folder to read; "val" is also the one
            called valid or validation. None for all, if one reader reads all.
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
    source, inner = Layout(pathlib.Path(path)).chosen(split)
    options: dict = {"strict": strict, "report": _titled(report, source.title)}
    if class_names is not None:
        options["class_names"] = class_names
    if images is not None and not source.format.takes_images:
        raise ValueError(
            "`images` must be left out for a format that states where they are; "
            f"received images={str(images)!r}, path={str(path)!r}."
        )
    dataset = source.format.read(source.path, images, inner, **options)
    if source.title is None:
        return dataset
    return dataclasses.replace(dataset, name=source.title)


def _titled(report, title):
    """Returns a function that gives a Report this name first; or `report` itself."""
    if report is None or title is None:
        return report

    def renamed(found):
        found.name = title
        report(found)

    return renamed


def splits_of(path: PathLike) -> list[str]:
    """Returns which of the usual splits a data set has, without reading it.

    Args:
        path: str or Path, as `open_dataset` takes it.

    Returns:
        list of str, those of "train", "trainval", "val" and "test" that `open_dataset`
        takes as split; empty for a file that is one split.

    Raises:
        ValueError: the path is missing or of no known format, a folder has several
            files that describe it, or one that cannot be read.
    """
    return usual_splits(Layout(pathlib.Path(path)).names)


def other_splits(path: PathLike) -> list[str]:
    """Returns the names of the splits of a data set that are none of the usual ones.

    Args, Raises: as `splits_of`.

    Returns:
        list of str, names of lists, folders, or files without suffixes, that
        `open_dataset` takes as split.
    """
    names = Layout(pathlib.Path(path)).names
    return [name for name in dict.fromkeys(names) if usual_split(name) is None]


def reader_selects(path: PathLike, split: str | None = None) -> bool:
    """Returns whether classes must be selected by `open_dataset(class_names=...)`.

    Those of other data sets can also be selected later, by
    `keras_fpn.data.classes.with_classes`.

    Args, Raises: as `open_dataset`.
    """
    source, _ = Layout(pathlib.Path(path)).chosen(split)
    return source.format.reader_selects(source.path)
