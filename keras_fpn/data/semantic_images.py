"""Semantic data sets: photos, and images of one channel with a class at each pixel."""

import pathlib
from collections.abc import Callable

from keras_fpn.data.check import checked
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import check_folders, find_photos
from keras_fpn.data.listing import ListedPhoto, Listing
from keras_fpn.data.pixel_labels import IGNORED, MOST_CLASSES, SemanticImage
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.text_files import ClassNames, class_list
from keras_fpn.files import PathLike

IMAGES, LABELS, CLASSES = "images", "semantic", "classes.txt"  # names in a folder


def read_semantic_images(
    images: PathLike,
    labels: PathLike,
    class_names: ClassNames,
    selected: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads folders of photos and of semantic label images, and checks them.

    A label image is a PNG of one channel, or with a palette, whose values are indices
    of class_names; 255 is ignored. It has the name of its photo, and is in the same
    folder relative to its own.

    Args:
        images: str or Path of the folder of the photos.
        labels: str or Path of the folder of the label images.
        class_names: list of str, the names of the values from 0 on; or a path, see
            `class_list`.
        selected: list of K str, or a path, the classes to read, in the order of their
            labels; others are ignored. None for all.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset of photos without objects, with pixel labels; category ids are the
        values in the files.

    Raises:
        ValueError: a folder is missing, there are no class names or more than 255, a
            selected name is not among them, or `checked` raises.
    """
    images, labels = pathlib.Path(images), pathlib.Path(labels)
    check_folders(images=images, labels=labels)
    names = class_list(class_names)
    if names is None or len(names) > MOST_CLASSES:
        raise ValueError(
            f"`class_names` must be 1 to {MOST_CLASSES} names, those of the pixel "
            f"values from 0 on; received {names and len(names)}."
        )
    kept = class_list(selected) or names
    absent = [name for name in kept if name not in names]
    if absent:
        raise ValueError(
            "Selected classes must be among those of the pixel values; received "
            f"{absent}, and the values have the names {list(names)}."
        )
    values = tuple(kept.index(n) if n in kept else IGNORED for n in names)
    found = Report(images.resolve().parent.name, f"semantic label images, {labels}")
    photos = _by_name(images)
    files = {name: file for name, file in _by_name(labels).items() if _is_png(file)}
    listed = []
    for name, photo in photos.items():
        if name not in files:
            found.add("not_annotated", str(photo))
            continue
        pixel_labels = SemanticImage(files[name], values)
        listed.append(ListedPhoto(photo, pixel_labels=pixel_labels))
    for name in sorted(set(files) - set(photos)):
        found.add("orphan_label", str(files[name]))
    category_ids = tuple(names.index(name) for name in kept)
    return checked(Listing(found, kept, listed, category_ids), strict, report)


def read_semantic_folder(
    folder: pathlib.Path, split: str | None, class_names: ClassNames = None, **options
) -> Dataset:
    """Reads images/, semantic/ and classes.txt of a folder, or of a split in these.

    Args:
        folder: Path.
        split: str, the name of a folder in both; None for all.
        class_names: the classes to read, or all if there is no classes.txt; see
            `class_list`.
        options: strict and report, see `read_semantic_images`.

    Raises:
        ValueError: there are neither classes.txt nor class_names, or
            `read_semantic_images` raises.
    """
    images, labels = (folder / name / (split or "") for name in (IMAGES, LABELS))
    names = folder / CLASSES
    if names.is_file():
        return read_semantic_images(images, labels, names, class_names, **options)
    if class_names is None:
        raise ValueError(
            "Semantic label images must have the names of their values, from 0 on, one "
            f"per line in {CLASSES}; received the folder {folder} without. Write it, "
            "or pass `class_names`."
        )
    return read_semantic_images(images, labels, class_names, **options)


def semantic_splits(folder: pathlib.Path) -> list[str]:
    """Returns the names of the splits of such a folder, sorted list of str."""
    return sorted(part.name for part in (folder / LABELS).iterdir() if part.is_dir())


def find_semantic(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns a list of the folder, if it has images/ and PNGs in semantic/, or []."""
    labels = folder / LABELS
    found = (folder / IMAGES).is_dir() and any(map(_is_png, labels.rglob("*")))
    return [folder] if found else []


def _by_name(folder):
    """Returns the images in and below a folder, dict of relative path, no suffix."""
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in find_photos(folder)
    }


def _is_png(path):
    return path.suffix.lower() == ".png"
