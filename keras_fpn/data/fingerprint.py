"""A short text that is equal for equal data sets."""

import hashlib
import json

import numpy as np

from keras_fpn.data.dataset import Dataset
from keras_fpn.data.pixel_labels import ImageSegment

_DIGITS = 16


def fingerprint(dataset: Dataset) -> str:
    """Returns a hash of classes, photos, annotations and proposals, in order.

    It does not depend on the folder of the photos or the content of their files.

    Args:
        dataset: `keras_fpn.data.Dataset`.

    Returns:
        str, 16 hexadecimal digits.
    """
    digest = hashlib.sha256()

    def add(value):
        digest.update(json.dumps(value).encode() + b"\n")

    add([list(dataset.class_names), [int(number) for number in dataset.category_ids]])
    if dataset.stuff_names:
        add([list(dataset.stuff_names), [int(number) for number in dataset.stuff_ids]])
    for photo in dataset.photos:
        sizes = [int(photo.height), int(photo.width)]
        add([int(photo.image_id), photo.path.name, *sizes, len(photo.objects)])
        objects = photo.objects
        for array in (objects.boxes, objects.labels, objects.is_crowd):
            digest.update(np.ascontiguousarray(array).tobytes())
        if objects.keypoints is not None:
            digest.update(np.ascontiguousarray(objects.keypoints).tobytes())
        for segment in objects.segments or ():
            digest.update(_bytes_of(segment))
        if photo.pixel_labels is not None:
            digest.update(photo.pixel_labels.signature())
        if photo.proposals is not None:
            digest.update(np.ascontiguousarray(photo.proposals).tobytes())
    return digest.hexdigest()[:_DIGITS]


def _bytes_of(segment):
    """Returns bytes of a segment; see `Objects.segments`."""
    if isinstance(segment, ImageSegment):
        return b""  # the signature of the image has them
    if isinstance(segment, dict) or segment is None:
        return repr(segment).encode()
    lengths = repr([len(part) for part in segment]).encode()
    return lengths + b"".join(
        np.asarray(part, np.float64).tobytes() for part in segment
    )
