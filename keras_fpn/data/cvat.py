"""CVAT's xml, "CVAT for images 1.1": one file with the shapes of all photos."""

import math
import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np

from keras_fpn.data.check import checked
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import resolved
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.segments import mask_segment
from keras_fpn.data.text_files import ClassNames, class_list, read_bytes
from keras_fpn.files import PathLike

_READ = 4096  # bytes, in which the first element of a file begins
_CORNERS = 32  # of the polygon that stands for an ellipse
_MOST_PIXELS = 2**28  # of a photo with masks, each of which is drawn once


def read_cvat(
    path: PathLike,
    images: PathLike | None = None,
    split: str | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads an xml file that CVAT exports as "CVAT for images 1.1", and checks it.

    Polygons, ellipses and masks become boxes with masks, boxes stay boxes; one that is
    turned becomes the upright box around it. Lines, points and the like have no area:
    they are counted and left out. Tags of whole photos are ignored.

    Args:
        path: str or Path of the file.
        images: str or Path of the folder of the photos; None for images/ beside the
            file, or beside it.
        split: str, the photos of this subset; None for all.
        class_names: list of str, the classes to read, in the order of their labels; or
            a path, see `class_list`; None for those of the task, in its order.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset, its category ids 1, 2, ...; image ids as `image_ids` makes them.

    Raises:
        ValueError: the file cannot be read, has no photos or not the subset, names no
            class and there are no class_names, or `checked` raises.
    """
    path = pathlib.Path(path)
    root = _parsed(path)
    stated = _images(root, path)
    kept = [one for one in stated if split in (None, one.get("subset"))]
    if not kept:
        subsets = sorted({one.get("subset", "") for one in stated})
        raise ValueError(
            f"`split` must be a subset of the file; received split={split!r}, "
            f"path={str(path)!r} with {subsets}."
        )
    name = path.resolve().parent.name if path.stem == "annotations" else path.stem
    found = Report(name if split is None else f"{name}/{split}", f"CVAT, {path}")
    names = class_list(class_names) or _class_names(root, path)
    labels = {name: label for label, name in enumerate(names)}
    photos = []
    for one in kept:
        photo = ListedPhoto(_photo_path(one, path, images), _size(one))
        _add_objects(one, photo, labels, found)
        photos.append(photo)
    return checked(Listing(found, names, photos), strict, report)


def is_cvat(file: pathlib.Path) -> bool:
    """Returns whether the first element of an xml file is that of CVAT."""
    if not file.is_file():  # but a pipe, or a link to nothing
        return False
    with open(file, "rb") as stream:
        return b"<annotations>" in stream.read(_READ)


def find_cvat(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of CVAT in a folder, sorted list of Path."""
    return [file for file in sorted(folder.glob("*.xml")) if is_cvat(file)]


def cvat_subsets(path: pathlib.Path) -> list[str]:
    """Returns the names of the subsets of a file, list; empty for a single one."""
    names = dict.fromkeys(one.get("subset") for one in _parsed(path).iter("image"))
    return [name for name in names if name] if len(names) > 1 else []


def _parsed(path):
    try:
        return ElementTree.fromstring(read_bytes(path))
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise ValueError(
            "A CVAT file must be readable xml; received "
            f"path={str(path)!r}: {type(error).__name__}: {error}."
        ) from error


def _images(root, path):
    """Returns the elements of the photos, list."""
    images = root.findall("image")
    if not images:
        remedy = (
            "Export it as 'CVAT for images 1.1'."
            if root.find("track") is not None
            else ""
        )
        raise ValueError(
            "A CVAT file must have images; received "
            f"path={str(path)!r} with none, its root <{root.tag}>. {remedy}".strip()
        )
    return images


def _class_names(root, path):
    """Returns the names of the task's labels; without these, of all shapes, sorted."""
    stated = [text.strip() for text in _label_texts(root)]
    if not stated:
        shapes = root.findall("image/*")
        stated = sorted({one.get("label", "") for one in shapes if one.tag != "tag"})
    names = tuple(filter(None, dict.fromkeys(stated)))
    if not names:
        raise ValueError(
            "A CVAT file without labels must be read with the names of its classes; "
            f"received path={str(path)!r}. Pass `class_names`."
        )
    return names


def _label_texts(root):
    """Returns the names of the labels of the task, or of the project, list of str."""
    for owner in ("task", "project", "job"):
        found = root.findall(f"meta/{owner}/labels/label/name")
        if found:
            return [one.text or "" for one in found]
    return []


def _photo_path(element, path, images):
    """Returns the Path of a photo, also if it is in the folder of its subset."""
    name, subset = element.get("name", ""), element.get("subset", "")
    if images is not None:
        return resolved(pathlib.Path(images), name)
    folders = path.parent / "images", path.parent
    inner = dict.fromkeys(["", subset])
    tried = [resolved(folder / one, name) for one in inner for folder in folders]
    return next(filter(pathlib.Path.is_file, tried), tried[0])


def _size(element):
    """Returns the stated (height, width), or None."""
    try:
        height, width = int(element.get("height", "")), int(element.get("width", ""))
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _add_objects(element, photo, labels, found):
    """Adds the objects of a photo, or counts what is wrong with them."""
    for index, shape in enumerate(element):
        name = shape.get("label", "")
        where = f"{shape.tag} {index + 1} ({name}) of {photo.path.name}"
        if shape.tag == "tag":
            continue
        if name not in labels:
            found.add("unselected", where)
            continue
        try:
            box, segment = _box_and_segment(shape, photo.size)
        except (TypeError, ValueError) as error:  # of float(None), float("x")
            found.add("unreadable_object", f"{where}: {error}")
            continue
        photo.objects.append(ListedObject(box, labels[name], where, segment=segment))


def _box_and_segment(shape, size):
    """Returns a shape's box, xyxy, and its segment, None for a box.

    Raises:
        TypeError, ValueError: it has no area, or a number is missing.
    """
    if shape.tag == "mask":
        return _mask(shape, size)
    if shape.tag == "box":
        points = _numbers(shape, "xtl", "ytl", "xbr", "ybr").reshape(2, 2)
        turned = float(shape.get("rotation", 0))
        if turned:
            (x1, y1), (x2, y2) = points
            points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
            points = _rotated(points, points.mean(axis=0), turned)
        return _around(points), None
    if shape.tag == "ellipse":
        center, radii = _numbers(shape, "cx", "cy", "rx", "ry").reshape(2, 2)
        turn = 2 * math.pi * np.arange(_CORNERS) / _CORNERS
        points = center + radii * np.column_stack([np.cos(turn), np.sin(turn)])
        points = _rotated(points, center, float(shape.get("rotation", 0)))
    elif shape.tag == "polygon":
        pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
        points = np.array(pairs, np.float64)  # raises if the pairs are none
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"points {str(shape.get('points'))[:60]}")
    else:
        raise ValueError(f"a {shape.tag} has no area")
    return _around(points), [points.ravel().tolist()]


def _numbers(shape, *names):
    return np.array([float(shape.get(name)) for name in names])


def _rotated(points, center, degrees):
    """Returns points (n, 2) turned clockwise, as y points down."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return (points - center) @ np.array([[cos, sin], [-sin, cos]]) + center


def _around(points):
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def _mask(shape, size):
    """Returns the box and the run lengths of a mask.

    Its own run lengths, of 0s, of 1s, ..., go along the rows of a window in the photo.
    """
    if size is None or size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"a mask in a photo stated as {size} pixels high and wide")
    left, top, width, height = (
        int(shape.get(name)) for name in ("left", "top", "width", "height")
    )
    inside = (
        0 <= left <= left + width <= size[1] and 0 <= top <= top + height <= size[0]
    )
    if not inside:
        raise ValueError(f"a mask outside its photo: {left}, {top}, {width}x{height}")
    runs = [int(text) for text in shape.get("rle", "").split(",")]
    if min(runs) < 0 or sum(runs) != width * height:
        raise ValueError(f"run lengths that do not fill {width}x{height} pixels")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    if not pixels.any():
        raise ValueError("a mask without pixels")
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = pixels
    rows, columns = (
        np.flatnonzero(pixels.any(axis=1)),
        np.flatnonzero(pixels.any(axis=0)),
    )
    box = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
    return tuple(float(edge) for edge in box), mask_segment(mask)
