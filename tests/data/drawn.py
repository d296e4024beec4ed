"""Samples whose objects can be read off the image, and plain readings of them.

An object's label is also its colour: red, in every pixel that its mask has. Joint j of
its keypoints is a pixel of green j + 1 in it. So what an augmentation says of an object
is compared with what is seen, without repeating the augmentation's arithmetic.
"""

import numpy as np

JOINTS = 3
FLIP_PAIRS = ((0, 2),)
PER_OBJECT = ("boxes", "labels", "is_crowd", "masks", "keypoints")


def chance(seed):
    """A generator for a test's own choices."""
    return np.random.Generator(np.random.PCG64(seed))


def drawn_sample(random, size=None, first_label=10, crowds=True, count=None):
    """A uint8 sample of 0 to 4 ellipses, the later on top; each has seen pixels."""
    height, width = random.integers(1, 25, 2) if size is None else size
    count = random.integers(0, 5) if count is None else count
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = random.integers(0, 256, (height, width))  # blue: only background
    labels = first_label + np.arange(count)
    boxes = np.array([random_box(random, height, width) for _ in labels])
    for label, box in zip(labels, boxes, strict=True):
        image[ellipse(box, height, width)] = label, 0, 0
    seen = [(image[..., 0] == label).any() for label in labels]
    labels, boxes = labels[seen], boxes.reshape(-1, 4)[seen]
    keypoints = np.zeros((len(labels), JOINTS, 3), np.float32)
    for label, joints in zip(labels, keypoints, strict=True):
        pixels = np.argwhere(image[..., 0] == label)
        for joint, pixel in enumerate(random.permutation(pixels)[:JOINTS]):
            if random.random() < 0.8:
                image[*pixel, 1] = joint + 1
                joints[joint] = *(pixel[::-1] + 0.5), 2
    return {
        "image": image,
        "boxes": boxes.astype(np.float32),
        "labels": labels.astype(np.int32),
        "is_crowd": (random.random(len(labels)) < 0.2) & crowds,
        "image_id": 7,
        "photo_size": (int(height), int(width)),
        "masks": image[None, ..., 0] == labels[:, None, None],
        "keypoints": keypoints,
    }


def channel_sample(random, largest=24):
    """A uint8 sample of 0 to 3 rectangles, each 255 in its own channel; their label.

    They are at least 3 pixels wide and high, with one keypoint in the middle.
    """
    height, width = random.integers(3, largest + 1, 2)
    image = np.zeros((height, width, 3), np.uint8)
    labels = np.arange(random.integers(0, 4), dtype=np.int32)
    boxes = [random_box(random, height, width, shortest=3) for _ in labels]
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    masks = np.zeros((len(labels), height, width), bool)
    for label, (x1, y1, x2, y2) in zip(labels, boxes.astype(int), strict=True):
        image[y1:y2, x1:x2, label] = 255
        masks[label, y1:y2, x1:x2] = True
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    visible = np.full((len(labels), 1), 2)
    return {
        "image": image,
        "boxes": boxes,
        "labels": labels,
        "is_crowd": random.random(len(labels)) < 0.2,
        "image_id": 7,
        "photo_size": (int(height), int(width)),
        "masks": masks,
        "keypoints": np.append(centres, visible, axis=1)[:, None].astype(np.float32),
    }


def random_box(random, height, width, shortest=1):
    """Whole pixels, xyxy, inside the image."""
    sides = [random.integers(shortest, side + 1) for side in (width, height)]
    corner = [
        random.integers(0, limit - side + 1)
        for limit, side in zip((width, height), sides, strict=True)
    ]
    return np.concatenate([corner, np.add(corner, sides)])


def ellipse(box, height, width):
    """bool (H, W): the pixels whose centre lies in the ellipse that a box holds."""
    x1, y1, x2, y2 = box
    x = (np.arange(width) + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
    y = (np.arange(height) + 0.5 - (y1 + y2) / 2) / ((y2 - y1) / 2)
    return x[None] ** 2 + y[:, None] ** 2 <= 1


def extent(mask):
    """The smallest box, xyxy, around a mask that has pixels."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def check_seen(sample):
    """What the sample says is what its image, never resized, shows."""
    image, height, width = sample["image"], *sample["image"].shape[:2]
    assert image.dtype == np.uint8
    rows = {len(sample[name]) for name in PER_OBJECT}
    assert len(rows) == 1
    assert sample["masks"].shape == (*rows, height, width)
    for label, box, mask, joints in zip(
        *(sample[name] for name in ("labels", "boxes", "masks", "keypoints")),
        strict=True,
    ):
        np.testing.assert_array_equal(mask, image[..., 0] == label)
        assert mask.any()
        assert contains([0, 0, width, height], box)
        assert contains(box, extent(mask))
        for joint, (x, y, visibility) in enumerate(joints):
            if visibility == 2:
                seen = image[int(y), int(x)]
                assert (seen[0], seen[1]) == (label, joint + 1)
            if visibility == 0:
                assert (x, y) == (0, 0)
    dots = (image[..., 1] > 0) & np.isin(image[..., 0], sample["labels"])
    assert dots.sum() == (sample["keypoints"][..., 2] == 2).sum()


def check_resized(sample):
    """What the sample says is what its image shows, to half a pixel of the result.

    Bilinear weights pass one half exactly at an object's edge, so pixels brighter than
    half are those whose centres are in its box.
    """
    image, height, width = sample["image"], *sample["image"].shape[:2]
    assert image.dtype == np.float32
    assert sample["masks"].shape == (len(sample["labels"]), height, width)
    for label, box, mask, (joint,) in zip(
        *(sample[name] for name in ("labels", "boxes", "masks", "keypoints")),
        strict=True,
    ):
        seen = image[..., label] > 127.6
        assert contains([0, 0, width, height], box, 1e-4)
        if seen.any():
            x1, y1, x2, y2 = extent(seen)
            assert contains(box, [x1 + 0.5, y1 + 0.5, x2 - 0.5, y2 - 0.5], 1e-4)
        assert not (seen & ~mask).any(), "the mask covers the object"
        # Nearest in both directions: at least half of a half.
        assert (image[..., label][mask] > 63).all(), "and nothing else"
        if joint[2] and (box[2:] - box[:2] >= 2).all() and on_middle(joint, box):
            x, y = np.minimum(joint[:2].astype(int), [width - 1, height - 1])
            assert image[y, x, label] > 127


def on_middle(joint, box):
    """Whether the box is not cut: then its keypoint is in its middle."""
    return np.allclose(joint[:2], (box[:2] + box[2:]) / 2, atol=1e-3)


def contains(outer, inner, slack=0.0):
    """Whether a box, xyxy, holds another."""
    low = np.subtract(outer[:2], slack) <= inner[:2]
    high = np.add(outer[2:], slack) >= inner[2:]
    return bool(low.all() and high.all())


def copied(sample):
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in sample.items()
    }


def check_equal(sample, other):
    """The same keys, dtypes and bits."""
    assert sample.keys() == other.keys()
    for name, value in sample.items():
        assert np.asarray(value).dtype == np.asarray(other[name]).dtype, name
        np.testing.assert_array_equal(value, other[name], err_msg=name)
