"""A COCO panoptic set of two photos, written by hand."""

import copy
import json

import numpy as np
from PIL import Image

SIZE = 6, 10
CAT, DOGS, SKY = 7, 300, 70000  # ids of segments
CATEGORIES = [
    {"id": 40, "name": "sky", "isthing": 0},
    {"id": 5, "name": "dog", "isthing": 1},
    {"id": 3, "name": "cat", "isthing": 1},
    {"id": 30, "name": "grass", "isthing": 0},
]


def ids_of_a():
    """A cat at the left, dogs above sky in the middle, nothing at the right."""
    ids = np.zeros(SIZE, int)
    ids[:, :4], ids[:3, 4:9], ids[3:, 4:9] = CAT, DOGS, SKY
    return ids


SEGMENTS_OF_A = [
    {"id": SKY, "category_id": 40, "bbox": [4, 3, 5, 3], "area": 15, "iscrowd": 0},
    {"id": CAT, "category_id": 3, "bbox": [0, 0, 4, 6], "area": 24, "iscrowd": 0},
    {"id": DOGS, "category_id": 5, "bbox": [4, 0, 5, 3], "area": 15, "iscrowd": 1},
]


def write_ids(path, ids):
    """Writes ids, int (H, W), as the RGB of a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_panoptic_set(folder, ids=None, change=None):
    """Writes the set; returns the path of its json file.

    Photo a is as above; all of photo b is grass, with the id 1.

    Args:
        ids: int (H, W), of photo a in its PNG; None for `ids_of_a`.
        change: function that changes the contents of the json file.
    """
    for name in ("a", "b"):
        Image.new("RGB", SIZE[::-1], (90, 90, 90)).save(folder / f"{name}.jpg")
    write_ids(folder / "set/a.png", ids_of_a() if ids is None else ids)
    write_ids(folder / "set/b.png", np.ones(SIZE, int))
    grass = {"id": 1, "category_id": 30, "bbox": [0, 0, 10, 6], "area": 60}
    contents = {
        "images": [
            {"id": i, "file_name": f"{name}.jpg", "width": 10, "height": 6}
            for i, name in ((7, "a"), (9, "b"))
        ],
        "annotations": [
            {"image_id": 9, "file_name": "b.png", "segments_info": [grass]},
            {"image_id": 7, "file_name": "a.png", "segments_info": SEGMENTS_OF_A},
        ],
        "categories": CATEGORIES,
    }
    contents = copy.deepcopy(contents)
    if change is not None:
        change(contents)
    path = folder / "set.json"
    path.write_text(json.dumps(contents))
    return path
