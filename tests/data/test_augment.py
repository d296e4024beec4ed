"""What holds for every augmentation: repeatable, and harmless to the odd sample."""

import dataclasses

import numpy as np
import pytest
from data.drawn import (
    FLIP_PAIRS,
    JOINTS,
    PER_OBJECT,
    chance,
    check_equal,
    contains,
    drawn_sample,
    extent,
)

from keras_fpn import data
from keras_fpn.data import random_generator
from keras_fpn.data.coco import read_coco
from keras_fpn.data.label_images import read_label_images
from keras_fpn.data.sample import load_sample

AUGMENTATIONS = {
    "RandomFlip": data.RandomFlip(0.5, FLIP_PAIRS),
    "MultiScale": data.MultiScale((8, 12, 17), 40),
    "LargeScaleJitter": data.LargeScaleJitter(20),
    "Photometric": data.Photometric(),
    "SafeCrop": data.SafeCrop(),
    "CopyPaste": data.CopyPaste(),
}


def called(name, sample, random, other=None):
    if name == "CopyPaste":
        if other is None:
            other = drawn_sample(chance(5), first_label=100, crowds=False, count=4)
        return AUGMENTATIONS[name](sample, other, random)
    return AUGMENTATIONS[name](sample, random)


def without_objects(size):
    return {
        "image": chance(0).integers(0, 256, (*size, 3)).astype(np.uint8),
        "boxes": np.zeros((0, 4), np.float32),
        "labels": np.zeros(0, np.int32),
        "is_crowd": np.zeros(0, bool),
        "image_id": 1,
        "photo_size": size,
        "masks": np.zeros((0, *size), bool),
        "keypoints": np.zeros((0, JOINTS, 3), np.float32),
    }


def check_form(sample):
    """Keys, shapes and dtypes as keras_fpn.data.sample promises them."""
    height, width = sample["image"].shape[:2]
    count = len(sample["boxes"])
    forms = {
        "boxes": ((count, 4), np.float32),
        "labels": ((count,), np.int32),
        "is_crowd": ((count,), bool),
        "masks": ((count, height, width), bool),
        "keypoints": ((count, JOINTS, 3), np.float32),
        "image": ((height, width, 3), sample["image"].dtype),
    }
    for name in forms.keys() & sample.keys():
        shape, dtype = forms[name]
        assert (sample[name].shape, sample[name].dtype) == (shape, dtype), name
    assert sample["image"].dtype in (np.uint8, np.float32)
    assert sample["image"].min() >= 0
    assert sample["image"].max() <= 255
    assert {"image_id", "photo_size"} == sample.keys() - forms.keys()


def test_every_augmentation_is_tested_here():
    names = set(data.__all__) - {"tensorflow_dataset"}  # which JAX may lack
    called = {name for name in names if "__call__" in vars(getattr(data, name))}
    assert set(AUGMENTATIONS) == called


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_generator_gives_the_same_bits_and_another_epoch_others(name):
    differing = 0
    for image_id in range(60):
        sample = drawn_sample(chance(image_id), size=(18, 24))
        first = called(name, sample, random_generator(3, 0, image_id))
        check_equal(called(name, sample, random_generator(3, 0, image_id)), first)
        later = called(name, sample, random_generator(3, 1, image_id))
        same = later["image"].shape == first["image"].shape
        differing += not (same and np.array_equal(later["image"], first["image"]))
    assert differing > 20


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (12, 17)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_without_objects_pass(name, size):
    for seed in range(20):
        sample = without_objects(size)
        result = called(name, sample, chance(seed), without_objects((3, 2)))
        check_form(result)
        assert len(result["boxes"]) == 0


@pytest.mark.parametrize("size", [(1, 1), (9, 6)])
@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"CopyPaste"}))
def test_an_object_that_covers_the_image_still_does(name, size):
    height, width = size
    sample = without_objects(size) | {
        "boxes": np.array([[0, 0, width, height]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": np.ones((1, *size), bool),
        "keypoints": np.zeros((1, JOINTS, 3), np.float32),
    }
    for seed in range(50):
        result = called(name, sample, chance(seed))
        check_form(result)
        (box,), (mask,) = result["boxes"], result["masks"]
        y, x = np.argwhere(mask)[-1] + 1
        assert mask[:y, :x].all()
        np.testing.assert_allclose(box, [0, 0, x, y], atol=1)
        if name != "LargeScaleJitter":  # which pads
            assert mask.all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_masks_and_keypoints_are_optional(name):
    for seed in range(50):
        sample = drawn_sample(chance(seed))
        whole = called(name, sample, chance(seed))
        if name != "CopyPaste":
            del sample["masks"], sample["keypoints"]
            bare = called(name, sample, chance(seed))
            assert "masks" not in bare
            assert "keypoints" not in bare
            np.testing.assert_array_equal(bare["image"].shape, whole["image"].shape)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_options_can_be_stored_and_read_back(name):
    options = dataclasses.asdict(AUGMENTATIONS[name])
    assert type(AUGMENTATIONS[name])(**options) == AUGMENTATIONS[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        AUGMENTATIONS[name].probability = 1


def test_a_chain_keeps_objects_in_their_boxes():
    """All of them, twice over: every mask's pixels are centred in its box."""
    jitter = AUGMENTATIONS["LargeScaleJitter"]
    steps = ["Photometric", "SafeCrop", "RandomFlip", "LargeScaleJitter"]
    for seed in range(300):
        random = chance(seed)
        sample = drawn_sample(random)
        for name in steps:
            sample = called(name, sample, random)
        other = jitter(drawn_sample(random, first_label=100), random)
        sample = called("CopyPaste", sample, random, other)
        sample = called("MultiScale", sample, random)
        check_form(sample)
        assert len({len(sample[name]) for name in PER_OBJECT}) == 1
        for box, mask in zip(sample["boxes"], sample["masks"], strict=True):
            for y, x in np.argwhere(mask):
                # Resized twice to the nearest pixel: each costs half a pixel.
                assert contains(box, [x + 0.5, y + 0.5] * 2, slack=2.0)


@pytest.mark.parametrize(
    ("read", "images", "annotations"),
    [
        (read_coco, "coco_cc/images", "coco_cc/instances_val_seg.json"),
        (read_label_images, "nuclei/images", "nuclei/labels"),
    ],
)
def test_real_objects_stay_in_their_boxes(data_folder, read, images, annotations):
    images, annotations = data_folder / images, data_folder / annotations
    order = (annotations, images) if read is read_coco else (images, annotations)
    dataset = read(*order, report=None)
    photos = dataset.photos[:: max(1, len(dataset) // 25)]
    random = random_generator(0, 0, 0, "photos")
    others = iter([*photos[1:], photos[0]])
    for photo in photos:
        sample = load_sample(photo, masks=True)
        check_form(sample)
        for name in ("Photometric", "SafeCrop", "RandomFlip"):
            sample = called(name, sample, random)
        sample = called("CopyPaste", sample, random, load_sample(next(others), True))
        sample = data.LargeScaleJitter(320)(sample, random)
        check_form(sample)
        assert (sample["boxes"] >= 0).all()
        assert (sample["boxes"] <= 320).all()
        for box, mask in zip(sample["boxes"], sample["masks"], strict=True):
            # Polygons' boxes and pixels differ by a pixel, at most doubled here.
            assert not mask.any() or contains(box, extent(mask), slack=3.0)
