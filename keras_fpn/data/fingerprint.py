"""A short text that two data sets share if they say the same."""

import hashlib
import json

import numpy as np

_DIGITS = 16


def fingerprint(dataset):
    """Returns a text of a data set's classes, photos and annotations, in their order.

    The photos' folder and what is in their files have no part in it.

    Args:
        dataset: `keras_fpn.data.Dataset`.

    Returns:
        str, 16 hexadecimal digits.
    """
    digest = hashlib.sha256()

    def add(value):
        digest.update(json.dumps(value).encode() + b"\n")

    add([list(dataset.class_names), [int(number) for number in dataset.category_ids]])
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
    return digest.hexdigest()[:_DIGITS]


def _bytes_of(segment):
    """Returns bytes of a segment: None, polygons, or a run-length dict."""
    if isinstance(segment, dict) or segment is None:
        return repr(segment).encode()
    lengths = repr([len(part) for part in segment]).encode()
    return lengths + b"".join(
        np.asarray(part, np.float64).tobytes() for part in segment
    )
