"""The semantic map of a sample and of a batch goes where the image goes."""

import dataclasses

import numpy as np
import pytest
from data.drawn import chance, check_equal, copied, drawn_sample
from data.painted import SMALL, painted_dataset

from keras_fpn.data import (
    CopyPaste,
    LargeScaleJitter,
    Loader,
    MultiScale,
    Photometric,
    RandomFlip,
    SafeCrop,
    load_sample,
)
from keras_fpn.data.batches import Batch
from keras_fpn.data.flip import flip_sample
from keras_fpn.data.sample import resize_sample
from keras_fpn.data.worker_rows import WorkerRows

SEEDS = 100
FIRST, SECOND = (60, 0, 0), (0, 0, 60)  # colors of the two classes


@dataclasses.dataclass
class Halves:
    """Pixel labels: class 1 in the left half of a photo, 0 in the right."""

    path = None

    def semantic_map(self, size):
        labels = np.zeros(size, np.uint8)
        labels[:, : size[1] // 2] = 1
        return labels

    def signature(self):
        return b"halves"


def labeled(dataset):
    photos = [dataclasses.replace(p, pixel_labels=Halves()) for p in dataset.photos]
    return dataclasses.replace(dataset, photos=tuple(photos))


def seen(image):
    """What the image of a drawn sample shows: things are 0, other pixels by blue."""
    return np.where(image[..., 0] > 0, 0, 1 + image[..., 2] // 128).astype(np.uint8)


def mapped_sample(random, **options):
    sample = drawn_sample(random, crowds=False, **options)
    return {**sample, "semantic_map": seen(sample["image"])}


@pytest.mark.parametrize("augment", [RandomFlip(1.0), SafeCrop(1.0)])
def test_it_moves_with_the_pixels(augment):
    for seed in range(SEEDS):
        sample = mapped_sample(chance(seed))
        copy = copied(sample)
        moved = augment(sample, chance(seed + 1))
        check_equal(sample, copy)
        np.testing.assert_array_equal(moved["semantic_map"], seen(moved["image"]))
        assert moved["semantic_map"].dtype == np.uint8


def test_pasted_pixels_bring_their_labels():
    changed = 0
    for seed in range(SEEDS):
        random = chance(seed)
        sample = mapped_sample(random)
        # The other's things count as class 5, so that they are told from its own.
        other = mapped_sample(random, first_label=100)
        other["semantic_map"] = np.where(other["image"][..., 0] > 0, 5, 7)
        copies = copied(sample), copied(other)
        result = CopyPaste()(sample, other, chance(seed + 1))
        check_equal(sample, copies[0])
        check_equal(other, copies[1])
        pasted = result["image"][..., 0] >= 100
        expected = np.where(pasted, 5, copies[0]["semantic_map"])
        np.testing.assert_array_equal(result["semantic_map"], expected)
        changed += pasted.any()
    assert changed > SEEDS / 4


def test_one_map_of_two_is_refused():
    sample, other = mapped_sample(chance(0), count=1), drawn_sample(chance(1), count=1)
    with pytest.raises(ValueError, match="semantic maps, or neither"):
        CopyPaste()(sample, other, chance(0))


@pytest.mark.parametrize("augment", [MultiScale((9, 14), 40), LargeScaleJitter(16)])
def test_it_is_resized_as_masks_are(augment):
    for seed in range(SEEDS):
        sample = drawn_sample(chance(seed), crowds=False)
        sample["semantic_map"] = np.where(sample["masks"].any(axis=0), 0, 1)
        copy = copied(sample)
        resized = augment(sample, chance(seed + 1))
        check_equal(sample, copy)
        labels = resized["semantic_map"]
        assert labels.shape == resized["image"].shape[:2]
        np.testing.assert_array_equal(labels == 0, resized["masks"].any(axis=0))


def test_jitter_pads_with_what_is_ignored():
    sample = {**mapped_sample(chance(0), size=(8, 8))}
    labels = LargeScaleJitter(16, 0.5, 0.5)(sample, chance(0))["semantic_map"]
    np.testing.assert_array_equal(labels[:8, :8], sample["semantic_map"])
    outside = np.ones((16, 16), bool)
    outside[:8, :8] = False
    assert (labels[outside] == 255).all()


def test_a_pixel_takes_the_label_at_its_center():
    sample = mapped_sample(chance(0), size=(1, 4), count=0)
    sample["semantic_map"] = np.array([[1, 2, 3, 4]], np.uint8)
    # Of 3 pixels the centers are at 0.67, 2 and 3.33 of the old ones.
    half = resize_sample(sample, (2, 3))["semantic_map"]
    np.testing.assert_array_equal(half, [[1, 3, 4]] * 2)
    np.testing.assert_array_equal(flip_sample(sample)["semantic_map"], [[4, 3, 2, 1]])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return labeled(painted_dataset(tmp_path_factory.mktemp("painted")))


def test_a_batch_has_it_and_255_in_its_padding(dataset):
    loader = Loader(dataset, SMALL, 3, semantic=True)
    _, y, _ = loader.load(Batch((0, ~0, 2), (48, 96)), epoch=0)
    assert y["semantic_map"].dtype == np.uint8
    # 20 x 50 becomes 25 x 64, and 30 x 30 becomes 32 x 32; the second only fills.
    expected = np.full((3, 48, 96), 255, np.uint8)
    expected[0, :25, :64], expected[0, :25, :32] = 0, 1
    expected[2, :32, :32], expected[2, :32, :16] = 0, 1
    np.testing.assert_array_equal(y["semantic_map"], expected)
    assert loader.specs()[1]["semantic_map"].shape == (None, *loader.image_shape)


def test_it_is_only_loaded_if_asked_for(dataset):
    loader = Loader(dataset, SMALL, 1)
    assert "semantic_map" not in loader.load(loader.batches(0)[0], 0)[1]
    assert "semantic_map" not in loader.specs()[1]


def test_augmented_batches_repeat_and_keep_it_with_their_image(dataset):
    augment = (RandomFlip(), SafeCrop(), Photometric(), LargeScaleJitter(32))
    augment += (CopyPaste(),)
    loaders = [
        Loader(dataset, SMALL, 2, augment, masks=True, semantic=True) for _ in range(2)
    ]
    for batch in loaders[0].batches(1):
        first, second = (loader.load(batch, 1) for loader in loaders)
        maps = first[1]["semantic_map"]
        np.testing.assert_array_equal(maps, second[1]["semantic_map"])
        assert maps.shape == first[0]["images"].shape[:3]
        assert set(np.unique(maps)) <= {0, 1, 255}


def test_each_machine_loads_its_rows(dataset):
    loader = Loader(dataset, SMALL, 2, fill=True, semantic=True)
    batch = loader.batches(0)[0]
    whole = loader.load(batch, 0)[1]["semantic_map"]
    for worker in range(2):
        rows = WorkerRows(loader, worker, 2)
        assert rows.specs()[1]["semantic_map"].shape[0] == 1
        own = rows.batches(0)[0]
        arrays = rows.blank(own)
        rows.load_into(arrays, 0, own, 0)
        np.testing.assert_array_equal(arrays[1]["semantic_map"][0], whole[worker])


def test_photos_without_labels_are_refused(dataset, tmp_path):
    bare = painted_dataset(tmp_path)
    with pytest.raises(ValueError, match=r"pixel labels .*0\.png and 6 more without"):
        Loader(bare, SMALL, 1, semantic=True)
    with pytest.raises(ValueError, match=r"0\.png, which has none"):
        load_sample(bare[0], semantic=True)
