"""labelme's json files, one per photo: polygons, rectangles, circles and masks."""

import base64
import io
import math
import os
import pathlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from keras_fpn.data.check import checked
from keras_fpn.data.coco import whole_number
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import PHOTO_SUFFIXES, resolved
from keras_fpn.data.json_kinds import LABELME, json_files
from keras_fpn.data.json_texts import load_json
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.segments import FARTHEST, mask_segment
from keras_fpn.data.text_files import ClassNames, class_list
from keras_fpn.files import PathLike
from keras_fpn.preprocessing.photo import open_image, read_photo
from keras_fpn.run_lengths import numbers

_POINTS = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2}  # at least
_CORNERS = 32  # of the polygon that stands for a circle
_MOST_PIXELS = 2**28  # of a photo with masks, each of which is drawn once


def read_labelme(
    path: PathLike,
    images: PathLike | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads the json files that labelme writes, one per photo, and checks them.

    Polygons, circles and masks become boxes with masks, rectangles boxes alone. Shapes
    of one label and group_id are one object. Lines and points have no area: they are
    counted and left out.

    Args:
        path: str or Path of a folder with the files, or with them in annotations/; or
            of one file.
        images: str or Path of the folder of the photos; None if they are where the
            files say, or beside them.
        class_names: list of str, the classes to read, in the order of their labels; or
            a path, see `class_list`; None for all, sorted by name.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset, its category ids 1, 2, ...; image ids as `image_ids` makes them.

    Raises:
        ValueError: there is no such file, none shows an object and there are no
            class_names, or `checked` raises.
    """
    path = pathlib.Path(path)
    files = json_files(path, LABELME) if path.is_dir() else [path]
    name = path.resolve().name if path.is_dir() else path.stem
    found = Report(name, f"labelme, {path}")
    contents = {}
    for file in files:
        try:
            contents[file] = _contents(file)
        except ValueError as error:
            found.add("unreadable_file", str(error))
    shown = {str(s.get("label")) for one in contents.values() for s in one["shapes"]}
    names = class_list(class_names) or tuple(sorted(shown))
    if not names:
        raise ValueError(
            "labelme files without shapes must be read with the names of the classes; "
            f"received path={str(path)!r}, with {len(files)} files. Pass `class_names`."
        )
    labels = {name: label for label, name in enumerate(names)}
    photos = []
    for file, one in contents.items():
        sides = [whole_number(one.get(f"image{side}")) for side in ("Height", "Width")]
        size = (sides[0], sides[1]) if all(sides) else None
        photo = ListedPhoto(_photo_path(file, one, images), size)
        _add_objects(photo, one["shapes"], labels, file, found)
        photos.append(photo)
    return checked(Listing(found, names, photos), strict, report)


def find_labelme(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns a list of the folder, if it holds files of labelme; otherwise []."""
    return [folder] if json_files(folder, LABELME) else []


def _contents(file):
    """Returns the dict of a file, whose shapes are a list of dicts."""
    contents = load_json(file)
    shapes = contents.get("shapes") if isinstance(contents, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(s, dict) for s in shapes):
        raise ValueError(f"{file}: it has no list of shapes")
    return contents


def _photo_path(file, contents, images):
    """Returns the photo of a file: the one that it states, or the one of its name."""
    stated = str(contents.get("imagePath") or file.with_suffix(".jpg").name)
    name = stated.replace("\\", "/").rpartition("/")[2]
    folders = [file.parent, file.parent.parent / "images"]
    path = resolved(file.parent, stated)
    if images is not None:
        folders, path = [pathlib.Path(images)], pathlib.Path(images, name)
    if os.path.isfile(path):
        return path
    names = name, *(file.stem + suffix for suffix in sorted(PHOTO_SUFFIXES))
    tried = (folder / name for folder in folders for name in names)
    return next(filter(os.path.isfile, tried), path)


def _add_objects(photo, shapes, labels, file, found):
    """Adds the objects of a file to its photo, or counts what is wrong with them."""
    groups: dict[tuple, ListedObject] = {}
    for index, shape in enumerate(shapes):
        name = str(shape.get("label"))
        where = f"shape {index + 1} ({name[:60]}) of {file.name}"
        if name not in labels:
            found.add("unselected", where)
            continue
        try:
            box, segment = _box_and_segment(shape, photo.size)
        except ValueError as error:
            found.add("unreadable_object", f"{where}: {error}")
            continue
        group = shape.get("group_id")
        key = (name, index, None) if group is None else (name, None, str(group))
        if key in groups:
            _join(groups[key], box, segment)
        else:
            groups[key] = ListedObject(box, labels[name], where, segment=segment)
    photo.objects.extend(groups.values())


def _box_and_segment(shape, size):
    """Returns a shape's box, xyxy, and its segment, None for a rectangle.

    Raises:
        ValueError: it has no area, or not as many points as it needs.
    """
    kind = shape.get("shape_type") or "polygon"  # as early versions left out
    if not isinstance(kind, str) or kind not in _POINTS:
        raise ValueError(f"a {str(kind)[:60]} has no area")
    points = numbers(shape.get("points"))
    fits = points.ndim == 2 and points.shape[1] == 2 and len(points) >= _POINTS[kind]
    if not fits or not (np.abs(points) <= FARTHEST).all():
        raise ValueError(f"a {kind} with points {str(shape.get('points'))[:60]}")
    if kind == "circle":  # its center, and a point on it
        turn = 2 * math.pi * np.arange(_CORNERS) / _CORNERS
        radius = np.hypot(*(points[1] - points[0]))
        points = points[0] + radius * np.column_stack([np.cos(turn), np.sin(turn)])
    low, high = points.min(axis=0), points.max(axis=0)
    box = (*low.tolist(), *high.tolist())
    if kind == "rectangle":
        return box, None
    if kind == "mask":
        return (*box[:2], box[2] + 1, box[3] + 1), _mask(shape, points[0], size)
    return box, [points.ravel().tolist()]


def _mask(shape, corner, size):
    """Returns the run lengths of a mask: a PNG in base64 whose first pixel is given."""
    if size is None or size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"a mask in a photo stated as {size} pixels high and wide")
    try:
        file = io.BytesIO(base64.b64decode(str(shape.get("mask"))))
        with open_image(file) as image:
            if image.width * image.height > size[0] * size[1]:
                raise ValueError("a mask larger than its photo")
            crop = read_photo(image)[..., 0] > 0
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"a mask that is no PNG in base64: {error}") from error
    x, y = (round(number) for number in corner)
    inside = 0 <= x <= size[1] - crop.shape[1] and 0 <= y <= size[0] - crop.shape[0]
    if not inside:
        raise ValueError(f"a mask partly outside its photo, at {x}, {y}")
    mask = np.zeros(size, bool)
    mask[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return mask_segment(mask)


def _join(one, box, segment):
    """Adds another shape of its group to an object: around both, with both outlines."""
    low = [min(pair) for pair in zip(one.box[:2], box[:2], strict=True)]
    high = [max(pair) for pair in zip(one.box[2:], box[2:], strict=True)]
    one.box = (*low, *high)
    polygons = isinstance(one.segment, list) and isinstance(segment, list)
    one.segment = one.segment + segment if polygons else None
