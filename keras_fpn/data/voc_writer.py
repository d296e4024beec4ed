"""Writes data sets in the Pascal VOC format."""

import pathlib
import xml.etree.ElementTree as ElementTree

from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import copy_photos
from keras_fpn.data.statistics import count_extras
from keras_fpn.data.text_files import shortest_text
from keras_fpn.data.voc import ANNOTATIONS, CORNERS, IMAGES, SPLITS
from keras_fpn.files import PathLike, write_text


def write_voc(
    dataset: Dataset, folder: PathLike, split: str | None = None
) -> dict[str, int]:
    """Writes a data set in the Pascal VOC format, with copies of its photos.

    Crowd regions are written as difficult objects. Numbers that are not
    integers are written as they are, as in VOC's own files.

    Args:
        dataset: Dataset.
        folder: str or Path; created if missing.
        split: str, the name of the list in ImageSets/Main to write; None for none.

    Returns:
        dict of str -> int: what the VOC format cannot hold -> how often it occurred.
    """
    folder = pathlib.Path(folder)
    copies = copy_photos(dataset.photos, folder / IMAGES)
    for photo, copy in zip(dataset.photos, copies, strict=True):
        tree = _tree(photo, copy.name, dataset.class_names)
        ElementTree.indent(tree, "\t")
        text = ElementTree.tostring(tree, encoding="unicode")
        write_text(folder / ANNOTATIONS / f"{copy.stem}.xml", f"{text}\n", sync=False)
    if split is not None:
        text = "".join(f"{copy.stem}\n" for copy in copies)
        write_text(folder / SPLITS / f"{split}.txt", text)
    boxes = [box for photo in dataset.photos for box in photo.objects.boxes]
    thin = sum(bool((box[2:] - box[:2]).min() <= 1) for box in boxes)
    extras = count_extras(dataset)
    extras.pop("crowd regions", None)
    return extras | (
        {"boxes of at most a pixel's width or height": thin} if thin else {}
    )


def _tree(photo, file_name, class_names):
    """Returns the xml element of one photo."""
    tree = ElementTree.Element("annotation")
    _add(tree, "folder", IMAGES)
    _add(tree, "filename", file_name)
    size = _add(tree, "size")
    for name, value in (("width", photo.width), ("height", photo.height), ("depth", 3)):
        _add(size, name, value)
    _add(tree, "segmented", 0)
    objects = photo.objects
    for label, is_crowd, box in zip(
        objects.labels, objects.is_crowd, objects.boxes, strict=True
    ):
        one = _add(tree, "object")
        _add(one, "name", class_names[label])
        _add(one, "difficult", int(is_crowd))
        corners = _add(one, "bndbox")
        for name, value in zip(CORNERS, box, strict=True):
            shift = 1 if name in ("xmin", "ymin") else 0
            _add(corners, name, shortest_text(value, shift))
    return tree


def _add(parent, name, value=None):
    """Returns a new element under a parent, with the value as text unless None."""
    child = ElementTree.SubElement(parent, name)
    if value is not None:
        child.text = str(value)
    return child
