"""Pascal VOC data sets: xml files with boxes, some of which are difficult.

VOC numbers pixels from 1 and states the first and last pixel of a box: xmin=1, xmax=W
spans a photo of width W. So x1 = xmin - 1, x2 = xmax; `voc_writer` does the reverse.
"""

import os
import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

from keras_fpn.data.check import checked
from keras_fpn.data.cvat import is_cvat
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import is_photo
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.text_files import ClassNames, class_list, read_bytes, read_text
from keras_fpn.files import PathLike

ANNOTATIONS, IMAGES, SPLITS = "Annotations", "JPEGImages", "ImageSets/Main"
_DEVKIT = "VOCdevkit"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(
    path: PathLike,
    split: str | None = None,
    class_names: ClassNames = None,
    numbered_from_1: bool = True,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a folder in the Pascal VOC format and checks it.

    The folder has Annotations/*.xml, JPEGImages and perhaps ImageSets/Main/*.txt, or
    xml files beside their photos. Of VOCdevkit all years that have the split are read.
    Difficult objects become crowd regions, which also count neither as found nor as
    missed.

    Args:
        path: str or Path of the folder, or of a file in its ImageSets.
        split: str, such as "train": the photos of that file in ImageSets; None for all
            that have an xml file.
        class_names: list of str, the classes to read, in the order of their labels; or
            a path, see `class_list`; None for all in the folder, whatever the split,
            sorted by name.
        numbered_from_1: bool, False for files of tools that write edges counted from 0:
            x1 = xmin, x2 = xmax.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset, its category ids 1, 2, ...; image ids as `image_ids` makes them.

    Raises:
        ValueError: there is no such folder or split, or `checked` raises.
    """
    path = pathlib.Path(path)
    parts = _parts(path, split)
    found = _report(path, parts)
    names = class_list(class_names) or _class_names(
        tree for part in parts for tree in part.trees.values()
    )
    listed = []
    for part in parts:
        photos = [
            _listed(stem, part, names, numbered_from_1, found)
            for stem in part.stems
            if _is_readable(stem, part, found)
        ]
        if part.split_file is None and part.is_read:
            _note_unannotated(photos, part, found)
        listed += photos
    return checked(Listing(found, names, listed), strict, report)


def find_voc(folder):
    """Returns a list of the folder, if it is one of `read_voc`; otherwise [].

    Annotations alone are none: their photos are in a folder beside it.
    """
    return [folder] if _roots(folder) and not _is_part(folder) else []


def voc_splits(path):
    """Returns the names of the lists in ImageSets, sorted, but those of one class.

    These are called as one of the others, such as cat_train beside train.
    """
    names = {name for root in _roots(path) for name in _lists(root)}
    of_one_class = {n for n in names if "_" in n and n.rpartition("_")[2] in names}
    return sorted(names - of_one_class)


class _Part:
    """One folder with Annotations, and what of it is read.

    Args:
        root: Path.
        split_file: Path of the list in its ImageSets; None for all that it has.
        is_read: bool, False for a year of VOC that lacks the split: only its classes
            count.
    """

    def __init__(self, root, split_file, is_read=True):
        self.root, self.split_file, self.is_read = root, split_file, is_read
        folder, self.images = _folders(root)
        self.files = {file.stem: file for file in sorted(folder.glob("*.xml"))}
        self.photos = {p.stem: p for p in sorted(self.images.iterdir()) if is_photo(p)}
        self.trees = {stem: _parsed(file) for stem, file in self.files.items()}

    @property
    def stems(self):
        """The names of what is read, without suffixes."""
        if self.split_file is not None:
            return _names(self.split_file)
        return list(self.files) if self.is_read else []


def _parts(path, split):
    """Returns the folders to read, list of `_Part`."""
    if path.is_file() and path.suffix == ".txt":
        above = [folder for folder in path.parents if folder.name == "ImageSets"]
        if split is None and above:
            return [_Part(above[0].parent, path)]
    if not path.is_dir():
        raise ValueError(
            "A VOC data set must be a folder, or a list in its ImageSets (then without "
            f"`split`); received path={str(path)!r}, split={split!r}."
        )
    roots = _roots(path)
    if not roots:
        raise ValueError(
            f"A VOC data set must have xml files; received path={str(path)!r}, with "
            f"none in {_folders(path)[0]}."
        )
    if split is None:
        return [_Part(root, None) for root in roots]
    lists = {root: _lists(root) for root in roots}
    if not any(split in names for names in lists.values()):
        raise ValueError(
            "`split` must be a list in the folder's ImageSets; received "
            f"split={split!r}, path={str(path)!r} with "
            f"{sorted({name for names in lists.values() for name in names})}."
        )
    return [_Part(root, lists[root].get(split), split in lists[root]) for root in roots]


def _roots(path):
    """Returns the folders with xml files: the path, or those of VOC's years below.

    VOCdevkit holds VOC2007 and VOC2012; it may itself be in the folder.
    """
    if _has_xml(path):
        return [path]
    years = [
        *sorted(path.glob("VOC[0-9]*")),
        *sorted((path / _DEVKIT).glob("VOC[0-9]*")),
    ]
    return [year for year in years if year.is_dir() and _has_xml(year)]


def _is_part(folder):
    """Returns whether a folder has the xml files, not the photos, of the one above."""
    folder = pathlib.Path(os.path.realpath(folder))
    annotations, images = _folders(folder.parent)
    elsewhere = annotations == folder != images
    return elsewhere and not any(map(is_photo, folder.iterdir()))


def _has_xml(folder):
    return any(not is_cvat(file) for file in _folders(folder)[0].glob("*.xml"))


def _lists(root):
    """Returns the lists in a folder's ImageSets, dict of name -> Path."""
    folder = root / SPLITS if (root / SPLITS).is_dir() else root / "ImageSets"
    return {file.stem: file for file in sorted(folder.glob("*.txt"))}


def _report(path, parts):
    """Returns the empty Report of what is read of a path."""
    parts = [part for part in parts if part.is_read]
    top = path if path.is_dir() else parts[0].root
    split_file = parts[0].split_file
    name = top.name if split_file is None else f"{top.name}/{split_file.stem}"
    places = ", ".join(str(part.split_file or part.root) for part in parts)
    return Report(name, f"Pascal VOC, {places}")


def _is_readable(stem, part, found):
    """Returns whether there is a readable xml file; otherwise counts what is wrong."""
    tree = part.trees.get(stem)
    if tree is None:
        found.add("not_annotated", stem)
    elif isinstance(tree, str):
        found.add("unreadable_file", f"{part.files[stem]}: {tree}")
    return isinstance(tree, ElementTree.Element)


def _listed(stem, part, names, numbered_from_1, found):
    """Returns the ListedPhoto of an xml file."""
    tree = part.trees[stem]
    photo = ListedPhoto(_photo_path(stem, tree, part.photos, part.images), _size(tree))
    _add_objects(tree, photo, names, numbered_from_1, part.files[stem], found)
    return photo


def _note_unannotated(listed, part, found):
    """Notes the photos without an xml file."""
    paths = {photo.path for photo in listed}
    for stem in sorted(set(part.photos) - set(part.files)):
        if part.photos[stem] not in paths:
            found.add("no_annotation", str(part.photos[stem]))


def _folders(root):
    """Returns the folders of the xml files and of the photos."""
    folders = root / ANNOTATIONS, root / "annotations"
    folder = next((one for one in folders if any(one.glob("*.xml"))), root)
    for name in (IMAGES, "images"):
        if (root / name).is_dir():
            return folder, root / name
    return folder, folder


def _names(path):
    """Returns the distinct names of photos in a list of ImageSets, without suffixes.

    Lists for one class have 1, 0 or -1 after each name; all names are read.
    """
    names = []
    for line in filter(None, map(str.strip, read_text(path).splitlines())):
        name, _, flag = line.rpartition(" ")
        name = name.strip() if flag in ("-1", "0", "1") and name else line
        names.append(pathlib.PurePath(name).stem if is_photo(name) else name)
    return list(dict.fromkeys(names))


def _parsed(file):
    """Returns the root element of an xml file, or str, why it cannot be read."""
    try:
        tree = ElementTree.fromstring(read_bytes(file))
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    if tree.tag != "annotation":
        return f"its root is <{tree.tag}>, not <annotation>"
    return tree


def _class_names(trees):
    """Returns the sorted names of all classes, tuple of str."""
    readable = [tree for tree in trees if isinstance(tree, ElementTree.Element)]
    names = {_text(one, "name") for tree in readable for one in tree.findall("object")}
    names.discard("")
    if readable and not names:
        raise ValueError(
            "A VOC data set without objects must be read with the names of its "
            "classes; received none. Pass `class_names`."
        )
    return tuple(sorted(names))


def _text(element, name):
    return (element.findtext(name) or "").strip()


def _photo_path(stem, tree, photos, images):
    """Returns the photo of an xml file: of the same name, or the one that it states."""
    if stem in photos:
        return photos[stem]
    stated = pathlib.PurePath(_text(tree, "filename")).name
    return photos.get(pathlib.PurePath(stated).stem, images / (stated or stem))


def _size(tree):
    """Returns the stated height and width, or None; some tools write 0 for unknown."""
    try:
        sides = [int(_text(tree, f"size/{name}")) for name in ("height", "width")]
    except ValueError:
        return None
    return tuple(sides) if min(sides) > 0 else None


def _add_objects(tree, photo, names, numbered_from_1, file, found):
    """Adds the objects of one xml file to its photo, or counts what is wrong."""
    labels = {name: label for label, name in enumerate(names)}
    for index, one in enumerate(tree.findall("object")):
        name = _text(one, "name")
        where = f"object {index + 1} ({name}) of {file.name}"
        texts = [_text(one, f"bndbox/{corner}") for corner in CORNERS]
        try:
            stated = [float(text) for text in texts]
        except ValueError:
            found.add("unreadable_object", f"{where}: {texts}")
            continue
        x1, y1, x2, y2 = stated
        if name not in labels:
            found.add("unknown_category", where)
        elif x2 <= x1 or y2 <= y1:
            # In VOC equal numbers are a box one pixel wide; but here they are from a
            # click without a drag.
            corners = ", ".join(f"{number:g}" for number in stated)
            found.add("no_area", f"{where}: {corners} in {photo.path.name}")
        else:
            if numbered_from_1 and min(x1, y1) == 0:
                found.add("numbered_from_0", where)
            first = 1 if numbered_from_1 else 0
            difficult = _text(one, "difficult") == "1"
            box = x1 - first, y1 - first, x2, y2
            photo.objects.append(
                ListedObject(box, labels[name], where, is_crowd=difficult)
            )
