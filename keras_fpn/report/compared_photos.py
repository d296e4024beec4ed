"""Pictures of validation photos: what was found beside what is annotated."""

import numpy as np
from PIL import Image

from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize import draw_detections

THRESHOLD = 0.3  # early in a training nothing scores much more
_LONGEST = 1600  # pixels, a picture's longer side
_GAP = 8  # pixels between its halves


def photos_to_compare(dataset, count):
    """Returns a few photos with objects, from all over a data set.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        count: int, photos at the most.

    Returns:
        list of `keras_fpn.data.Photo`, the same for the same data set.
    """
    shown = [p for p in dataset.photos if not p.objects.is_crowd.all()]
    count = min(count, len(shown))
    places = np.linspace(0, len(shown) - 1, count).round().astype(int)
    return [shown[place] for place in places]


def compared_photo(photo, results, dataset):
    """Draws what was found in a photo, and beside it what is annotated.

    Args:
        photo: `keras_fpn.data.Photo`.
        results: list of dict, detections in COCO's form, of this and other photos.
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
    """Returns two pictures in one, their lower edges in line."""
    height = max(first.height, second.height)
    size = (first.width + _GAP + second.width, height)
    both = Image.new("RGB", size, "white")
    both.paste(first, (0, height - first.height))
    both.paste(second, (first.width + _GAP, height - second.height))
    both.thumbnail((_LONGEST, _LONGEST))
    return both
