"""Opens a data set in any of the known forms, which it recognises from the files."""

import pathlib
import re

from keras_fpn.data.coco import read_coco
from keras_fpn.data.csv_boxes import is_box_csv, read_csv
from keras_fpn.data.label_images import read_label_images
from keras_fpn.data.voc import ANNOTATIONS, find_splits, read_voc
from keras_fpn.data.yolo import read_yolo
from keras_fpn.data.yolo_files import yolo_splits

_USUAL_SPLITS = ("train", "trainval", "val", "test")
_SNIFFED = 65536  # bytes at either end of a json file, to see what it is
_YOLO_SIGNS = ("classes.txt", "obj.names", "*.yaml", "*.yml")
_FORMS = (
    "a COCO .json; a folder of Pascal VOC (Annotations, JPEGImages) or a list in its "
    "ImageSets; a YOLO data.yaml or folder (images, labels); a .csv of boxes; a folder "
    "of label images (images, labels)"
)


def open_dataset(
    path, images=None, split=None, class_names=None, strict=False, report=print
):
    """Reads a data set of any known form, checks it and prints what it found.

    The form is recognised from the path: a COCO json file, a CSV of boxes, a YOLO
    data.yaml, a list in the ImageSets of Pascal VOC, or a folder that holds one such
    data set, or label images.

    Args:
        path: str or Path.
        images: str or Path of the folder of the photos, where a json or CSV file does
            not lie by them.
        split: str, such as "train", the part of a folder to read; None for all.
        class_names: list of str, the classes in the order of their labels, or a path,
            see `class_list`; None for the data set's own. With a model's class names,
            labels mean the same in both.
        strict: bool, True to refuse a data set with any defect.
        report: callable, gets the Report, `print` for one; None for none.

    Returns:
        Dataset.

    Raises:
        ValueError: the path is missing, of no known form or of several, or what the
            form's own reader refuses.
    """
    path = pathlib.Path(path)
    common = {"strict": strict, "report": report}
    if class_names is not None:
        common["class_names"] = class_names
    form, place = _recognised(path, split)
    if images is not None and form not in ("coco", "csv"):
        raise ValueError(
            "images must be left out for a form that says itself where they are; "
            f"received images={str(images)!r}, path={str(path)!r}."
        )
    if form == "coco":
        return read_coco(place, images, **common)
    if form == "csv":
        return read_csv(place, images, **common)
    if form == "voc":
        return read_voc(place, split, **common)
    if form == "yolo":
        return read_yolo(place, split, **common)
    return read_label_images(place / "images", place / "labels", **common)


def splits_of(path):
    """Returns the splits of usual names that a data set has, without reading it.

    Args:
        path: str or Path, as `open_dataset` takes it.

    Returns:
        list of str, those of "train", "trainval", "val" and "test" that `open_dataset`
        takes as split; none for a file that is one split, or a path of no known form.

    Raises:
        ValueError: a folder has several files that describe it, or one that cannot be
            read.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        found = [_splits_in(form, place) for form, place in _folder_forms(path)]
    else:
        yaml = path.is_file() and path.suffix.lower() in (".yaml", ".yml")
        found = [yolo_splits(path)] if yaml else []
    return [name for name in _USUAL_SPLITS if any(name in names for names in found)]


def _splits_in(form, place):
    """Returns the names of the splits in one data set of a folder."""
    if form == "voc":
        return list(find_splits(place))
    if form == "yolo":
        return yolo_splits(place)
    if place.is_dir():
        return []
    return [name for name in _USUAL_SPLITS if _names_split(place.stem, name)]


def _recognised(path, split):
    """Returns a data set's form and the file or folder that its reader takes."""
    if not path.exists():
        raise ValueError(
            f"A data set must exist; received path={str(path)!r}, which does not."
        )
    if path.is_dir():
        return _recognised_folder(path, split)
    form = {".json": "coco", ".csv": "csv", ".yaml": "yolo", ".yml": "yolo"}.get(
        path.suffix.lower()
    )
    if path.suffix.lower() == ".txt":
        form = "voc" if "ImageSets" in path.parts else "yolo"
    if form is None:
        raise ValueError(f"A data set must be {_FORMS}; received path={str(path)!r}.")
    if split is not None and form in ("coco", "csv"):
        raise ValueError(
            "split must be left out for a file that is one split; received "
            f"split={split!r}, path={str(path)!r}."
        )
    return form, path


def _recognised_folder(path, split):
    """Returns the form and place of the one data set that a folder holds."""
    found = _folder_forms(path)
    chosen = found
    if split is not None:
        chosen = [
            (form, place)
            for form, place in found
            if place.is_dir() or _names_split(place.stem, split)
        ]
    if len(chosen) == 1:
        return chosen[0]
    listed = [f"{form}: {place}" for form, place in chosen or found]
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
        "Name the file, the split, or use its form's own reader."
    )


def _names_split(stem, split):
    """Returns whether a file's name has a split's in it: instances_train2017, train."""
    pattern = rf"(?<![a-z]){re.escape(split)}(?![a-z])"
    return re.search(pattern, stem, re.I) is not None


def _folder_forms(path):
    """Returns the data sets in a folder, list of (form, the path that is read)."""
    found = []
    if any((path / ANNOTATIONS).glob("*.xml")) or any(path.glob("*.xml")):
        found.append(("voc", path))
    labels = path / "labels"
    signs = any(any(path.glob(sign)) for sign in _YOLO_SIGNS)
    if signs or ((path / "images").is_dir() and any(labels.rglob("*.txt"))):
        found.append(("yolo", path))
    elif (path / "images").is_dir() and any(labels.glob("*.png")):
        found.append(("label images", path))
    for folder in (path, path / "annotations"):
        for file in sorted(folder.glob("*.json")):
            if _is_coco(file):
                found.append(("coco", file))
    found += [("csv", file) for file in sorted(path.glob("*.csv")) if is_box_csv(file)]
    return found


def _is_coco(file):
    """Returns whether a json file's ends look like COCO's annotations."""
    with open(file, "rb") as stream:
        text = stream.read(_SNIFFED)
        if file.stat().st_size > _SNIFFED:
            stream.seek(-min(_SNIFFED, file.stat().st_size), 2)
            text += stream.read()
    keys = (b'"images"', b'"annotations"', b'"categories"')
    return text.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"{" and any(
        key in text for key in keys
    )
