"""Photos with label images, whose pixels are numbered by object, as a data set."""

import pathlib

import numpy as np

from keras_fpn.data.check import checked
from keras_fpn.data.image_files import is_photo
from keras_fpn.data.listing import (
    ListedObject,
    ListedPhoto,
    Listing,
    number_photos,
)
from keras_fpn.data.report import Report
from keras_fpn.data.segments import label_image_objects
from keras_fpn.data.text_files import class_list
from keras_fpn.preprocessing.photo import open_image

LABEL_SUFFIXES = (".png", ".tif", ".tiff")  # of formats that keep numbers exact


def read_label_images(
    images, labels, class_names=("object",), strict=False, report=print
):
    """Reads a folder of label images, one for each photo and of its name.

    A label image has one channel of whole numbers: 0 is background, every other value
    is one object. Boxes and masks come from its pixels. `write_coco` makes a COCO file
    of the result.

    Args:
        images: str or Path of the folder of the photos.
        labels: str or Path of the folder of the label images, PNG or TIFF.
        class_names: list of one str, the class of all objects.
        strict: bool, True to refuse a data set with any defect.
        report: callable, gets the Report, `print` for one; None for none.

    Returns:
        Dataset, with compressed run lengths as segments.

    Raises:
        ValueError: a folder is missing, there is not one class, or what `checked`
            refuses.
    """
    images, labels = pathlib.Path(images), pathlib.Path(labels)
    for name, folder in (("images", images), ("labels", labels)):
        if not folder.is_dir():
            raise ValueError(
                f"{name} must be a folder; received {name}={str(folder)!r}, which is "
                "none."
            )
    names = class_list(class_names)
    if names is None or len(names) != 1:
        raise ValueError(
            f"Label images must be of one class; received class_names={class_names!r}."
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
            continue
        listed += _listed(photo, files[stem], found)
    for stem in sorted(set(files) - set(photos)):
        found.add("orphan_label", str(files[stem]))
    number_photos(listed)
    return checked(Listing(found, names, (1,), listed), strict, report)


def _listed(photo, file, found):
    """Returns a list of the ListedPhoto of a label image, empty if it is damaged."""
    try:
        with open_image(file) as image:
            labels = np.asarray(image)
        boxes, segments = label_image_objects(labels)
    except Exception as error:  # decoders raise whatever the damage leads to
        found.add("unreadable_file", f"{file}: {error}")
        return []
    objects = [
        ListedObject(tuple(box), 0, f"object {i + 1} of {file.name}", segment=segment)
        for i, (box, segment) in enumerate(zip(boxes, segments, strict=True))
    ]
    return [ListedPhoto(0, photo, labels.shape, objects)]
