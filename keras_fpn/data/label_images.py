"""Data sets of photos and label images, whose pixel values number the objects."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from keras_fpn.data.check import by, checked
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import Header, check_folders, is_photo, read_headers
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.segments import label_image_objects
from keras_fpn.data.text_files import class_list
from keras_fpn.files import PathLike
from keras_fpn.preprocessing.photo import open_image

LABEL_SUFFIXES = (".png", ".tif", ".tiff")  # lossless formats


def read_label_images(
    images: PathLike,
    labels: PathLike,
    class_names: Sequence[str] = ("object",),
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a folder of label images, one per photo with the same name.

    A label image has one channel of integers: 0 is background, every other value is one
    object, of which it gives box and mask. `write_coco` writes the result as a COCO
    file.

    Args:
        images: str or Path of the folder of the photos.
        labels: str or Path of the folder of the label images, PNG or TIFF.
        class_names: list of one str, the class of all objects.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset, with compressed run lengths as segments.

    Raises:
        ValueError: a folder is missing, there is not one class, or `checked`
            raises.
    """
    images, labels = pathlib.Path(images), pathlib.Path(labels)
    check_folders(images=images, labels=labels)
    names = class_list(class_names)
    if names is None or len(names) != 1:
        raise ValueError(
            "Label images must be read with the name of their one class; received "
            f"{class_names!r}. Pass `class_names`."
        )
    found = Report(labels.resolve().parent.name, f"label images, {labels}")
    files = {
        file.stem: file
        for file in sorted(labels.iterdir())
        if file.suffix.lower() in LABEL_SUFFIXES and is_photo(file)
    }
    photos = {file.stem: file for file in sorted(images.iterdir()) if is_photo(file)}
    listed = []
    for stem, photo in photos.items():
        if stem not in files:
            found.add("not_annotated", str(photo))
    both = [stem for stem in photos if stem in files]
    headers = read_headers([photos[stem] for stem in both])
    for stem, header in zip(both, headers, strict=True):
        listed += _listed(photos[stem], header, files[stem], found)
    for stem in sorted(set(files) - set(photos)):
        found.add("orphan_label", str(files[stem]))
    return checked(Listing(found, names, listed), strict, report)


def find_label_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns a list of the folder, if it has images/ and PNGs in labels/, or []."""
    found = (folder / "images").is_dir() and any((folder / "labels").glob("*.png"))
    return [folder] if found else []


def _listed(photo, header, file, found):
    """Returns a list with the ListedPhoto of a label image; empty if it is damaged.

    One of another size than its photo is not decoded: it may be enormous.
    """
    try:
        with open_image(file) as image:
            size = image.height, image.width
            if not isinstance(header, Header):
                return [ListedPhoto(photo)]  # which is reported
            if header.size != size:
                kind = "unrotated" if header.stored_size == size else "other_size"
                its = f"its photo {photo.name} is {by(header.size)}"
                found.add(kind, f"{file}: {by(size)}, {its}")
                return []
            labels = np.asarray(image)
        boxes, segments = label_image_objects(labels)
    except Exception as error:  # decoders raise anything on damaged files
        found.add("unreadable_file", f"{file}: {error}")
        return []
    objects = [
        ListedObject(tuple(box), 0, f"object {i + 1} of {file.name}", segment=segment)
        for i, (box, segment) in enumerate(zip(boxes, segments, strict=True))
    ]
    return [ListedPhoto(photo, size, objects=objects)]
