"""A small data set on disk, whose photos are told apart by their colour."""

import numpy as np
from PIL import Image

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.preprocessing import Preprocessing

# 16 times as small as a detector's: shorter side 32, multiples of 16.
SMALL = Preprocessing(min_size=32, max_size=64, size_divisor=16)
FIRST_ID = 100
# (height, width): wide, high, square; the resized ones are 32x64, 64x32, 32x32, 32x48.
SIZES = [(20, 50), (50, 20), (30, 30), (20, 30), (40, 80), (64, 64), (24, 36)]


def color(place):
    """The colour of the photo at a place in the data set, (R, G, B)."""
    return 10 + place, 100 + place, 200 - place


def painted_dataset(folder, sizes=SIZES, counts=None, joints=0, segments=True):
    """Writes photos of one colour each; photo i has `counts[i]` objects, i % 3 if None.

    Object j of a photo lies at x 2 j to 2 j + 2, from its upper to its lower edge, and
    has label j. Image ids count down from the last photo's: FIRST_ID.
    """
    photos = []
    for place, (height, width) in enumerate(sizes):
        path = folder / f"{place}.png"
        Image.new("RGB", (width, height), color(place)).save(path)
        count = place % 3 if counts is None else counts[place]
        boxes = np.array([[2 * j, 0, 2 * j + 2, height] for j in range(count)])
        polygons = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes]
        points = np.zeros((count, joints, 3), np.float32)
        points[:, :, :] = np.array([1.0, 1.0, 2.0])
        objects = Objects(
            boxes=boxes.astype(np.float32),
            labels=np.arange(count),
            is_crowd=np.zeros(count, bool),
            segments=polygons if segments else None,
            keypoints=points if joints else None,
        )
        image_id = FIRST_ID + len(sizes) - 1 - place
        photos.append(Photo(image_id, path, height, width, objects))
    names = tuple(f"class {j}" for j in range(1 + max(len(p.objects) for p in photos)))
    return Dataset(
        photos=tuple(photos),
        class_names=names,
        category_ids=tuple(range(1, len(names) + 1)),
        keypoint_names=tuple(f"joint {j}" for j in range(joints)),
        name="painted",
    )


def flat(batch):
    """The arrays of (x, y, sample_weight), by name."""
    x, y, weight = batch
    return {**x, **y, "sample_weight": weight}


def check_same(batch, other):
    """Two batches agree in names, dtypes, shapes and bits."""
    first, second = flat(batch), flat(other)
    assert first.keys() == second.keys()
    for name in first:
        one, two = np.asarray(first[name]), np.asarray(second[name])
        assert (one.dtype, one.shape) == (two.dtype, two.shape), name
        np.testing.assert_array_equal(one, two, err_msg=name)
