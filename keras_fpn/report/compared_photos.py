"""Pictures of validation photos: detections next to annotations."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_fpn.data import Dataset, Photo
from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize import draw_detections

THRESHOLD = 0.3  # early in a training, few scores are higher
_LONGEST = 1600  # pixels, a picture's longer side
_GAP = 8  # pixels between the halves


def photos_to_compare(dataset: Dataset, count: int):
    """Returns photos with objects, evenly spaced in a data set.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        count: maximum number of photos.

    Returns:
        list of `keras_fpn.data.Photo`, the same for the same data set.
    """
    shown = [p for p in dataset.photos if not p.objects.is_crowd.all()]
    count = min(count, len(shown))
    indices = np.linspace(0, len(shown) - 1, count).round().astype(int)
    return [shown[index] for index in indices]


def compared_photo(photo: Photo, results: Sequence[dict], dataset: Dataset):
    """Draws the detections in a photo and, next to them, its annotations.

    Args:
        photo: `keras_fpn.data.Photo`.
        results: detections in COCO's form, of this photo and others.
        dataset: `keras_fpn.data.Dataset` of the photo.

    Returns:
        PIL.Image, RGB.
    """
    pixels = read_photo(photo.path)
    own = [
        found
        for found in results
        if found["image_id"] == photo.image_id and found["score"] > THRESHOLD
    ]
    x, y, width, height = np.reshape([found["bbox"] for found in own], (-1, 4)).T
    labels = [dataset.category_ids.index(found["category_id"]) for found in own]
    scores = [found["score"] for found in own]
    single = photo.objects[~photo.objects.is_crowd]
    names = dataset.class_names
    found = draw_detections(
        pixels,
        np.stack([x, y, x + width, y + height], axis=1),
        labels,
        scores,
        names,
        f"found, scores above {THRESHOLD}",
    )
    truth = draw_detections(
        pixels, single.boxes, single.labels, None, names, "annotated"
    )
    return _side_by_side(found, truth)


def _side_by_side(first, second):
    """Returns one picture of two, aligned at their lower edges."""
    height = max(first.height, second.height)
    size = (first.width + _GAP + second.width, height)
    both = Image.new("RGB", size, "white")
    both.paste(first, (0, height - first.height))
    both.paste(second, (first.width + _GAP, height - second.height))
    both.thumbnail((_LONGEST, _LONGEST))
    return both
