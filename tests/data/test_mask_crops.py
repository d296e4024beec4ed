"""Masks as small crops of their coverage, in the samples and in the batches."""

import dataclasses

import numpy as np
import pytest
from data.painted import SMALL, painted_dataset
from numpy.testing import assert_allclose, assert_array_equal

from keras_fpn.data import (
    CopyPaste,
    LargeScaleJitter,
    Loader,
    MultiScale,
    Photometric,
    RandomFlip,
    SafeCrop,
    load_sample,
    open_dataset,
)
from keras_fpn.data.augmented_photos import AugmentedPhotos
from keras_fpn.data.batches import Batch
from keras_fpn.data.mask_crops import CROP_SIDE, coverage, mask_crops
from keras_fpn.data.masks import mask_extents
from keras_fpn.data.sample import resize_sample
from keras_fpn.data.scenes import write_scenes
from keras_fpn.models.pasted_masks import ExactPaste, full_masks


def blobs(seed, count=4, size=(70, 90)):
    """Masks of any form, none of them empty."""
    generator = np.random.default_rng(seed)
    masks = np.zeros((count, *size), bool)
    for mask in masks:
        y, x = generator.integers(0, 50, 2)
        height, width = generator.integers(1, 40, 2)
        part = mask[y : y + height, x : x + width]
        part[:] = generator.random(part.shape) < 0.7
        part[0, 0] = True
    return masks


def coverage_by_a_loop(mask, shape):
    """Each cell's area inside the mask, summed pixel by pixel."""
    (height, width), found = mask.shape, np.zeros(shape)
    for row, column in np.ndindex(shape):
        top, bottom = row * height / shape[0], (row + 1) * height / shape[0]
        left, right = column * width / shape[1], (column + 1) * width / shape[1]
        for y, x in np.argwhere(mask):
            high = max(min(y + 1, bottom) - max(y, top), 0)
            wide = max(min(x + 1, right) - max(x, left), 0)
            found[row, column] += high * wide / ((bottom - top) * (right - left))
    return found


def test_a_cell_holds_the_share_of_its_area_that_is_inside():
    # 3 pixels on 2 cells: each cell is one pixel and half of the middle one.
    mask = np.array([[True, True, False]])
    assert_allclose(coverage(mask, (1, 2)), [[1, 1 / 3]], rtol=1e-6)
    # Finer cells than pixels: each is a part of one pixel.
    assert_allclose(coverage(mask, (2, 6)), [[1, 1, 1, 1, 0, 0]] * 2, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (3, 3), (20, 2), (1, 1)])
def test_coverage_is_what_a_loop_over_pixels_adds_up(shape):
    mask = np.random.default_rng(3).random((11, 8)) < 0.5
    assert_allclose(coverage(mask, shape), coverage_by_a_loop(mask, shape), atol=1e-6)


def test_windows_are_the_smallest_around_the_masks_and_areas_are_kept():
    masks = blobs(0)
    crops, windows = mask_crops(masks, np.zeros((4, 4)))
    assert (crops.dtype, crops.shape) == ("uint8", (4, CROP_SIDE, CROP_SIDE))
    assert windows.dtype == "float32"
    assert_array_equal(windows, mask_extents(masks))
    sides = windows[:, 2:] - windows[:, :2]
    areas = crops.mean(axis=(1, 2)) / 255 * sides.prod(axis=1)
    assert_allclose(areas, masks.sum(axis=(1, 2)), rtol=2e-3)  # 1 / 510 of a cell


def test_cells_that_are_pixels_lose_nothing():
    masks = blobs(1)
    masks[2] = False
    crops, windows = mask_crops(masks, np.tile(np.float32([2, 3, 9, 8]), (4, 1)), None)
    assert set(np.unique(crops)) == {0, 255}
    assert_array_equal(windows[2], [2, 3, 9, 8])
    for mask, crop, (x1, y1, x2, y2) in zip(
        masks, crops, windows.astype(int), strict=True
    ):
        again = np.zeros((200, 200), bool)
        if mask.any():
            again[y1:y2, x1:x2] = crop > 0
        assert_array_equal(again[:70, :90], mask)
        assert not again[70:].any()
        assert not again[:, 90:].any()


def test_pasted_crops_are_nearly_the_masks():
    rows, columns = np.ogrid[:120, :160]
    masks = np.array(
        [
            (rows - 60) ** 2 + (columns - y) ** 2 < r**2
            for y, r in ((60, 50), (90, 20), (30, 8))
        ]
    )
    crops, windows = mask_crops(masks, np.zeros((3, 4)))
    again = full_masks(crops / 255, windows, (120, 160), ExactPaste())
    both, either = (again & masks).sum((1, 2)), (again | masks).sum((1, 2))
    assert (both / either > 0.98).all()


def test_an_empty_mask_has_its_boxs_window_and_no_objects_no_rows():
    box = np.float32([[1.5, 2, 7, 9]])
    crops, windows = mask_crops(np.zeros((1, 20, 20), bool), box)
    assert not crops.any()
    assert_array_equal(windows, box)
    for side in (CROP_SIDE, None):
        crops, windows = mask_crops(np.zeros((0, 20, 20), bool), np.zeros((0, 4)), side)
        assert (len(crops), windows.shape) == (0, (0, 4))


def test_masks_of_the_loader_are_where_the_objects_are(tmp_path):
    dataset = painted_dataset(tmp_path, joints=2)
    loader = Loader(dataset, SMALL, 1, masks=True)
    _, y, _ = loader.load(Batch((2,), (48, 48)), 0)
    # Objects are 2 of 30 pixels wide, 2.13 of the 32: pixels 0 and 1, then 2 and 3.
    assert_array_equal(y["mask_windows"], [[[0, 0, 2, 32], [2, 0, 4, 32]]])
    assert (y["masks"] == 255).all()
    assert y["masks"].shape == (1, 2, CROP_SIDE, CROP_SIDE)
    _, nothing, _ = loader.load(Batch((3,), (48, 48)), 0)
    assert not nothing["masks"].any()
    assert not nothing["mask_windows"].any()


def test_crops_move_with_flips_and_with_scales(tmp_path):
    write_scenes(tmp_path, 3, seed=2, size=(64, 96), objects=(2, 4))
    dataset = open_dataset(tmp_path)
    plain = Loader(dataset, SMALL, 3, masks=True)
    flipped = Loader(dataset, SMALL, 3, [RandomFlip(1.0)], masks=True)
    x, y, _ = plain.load(plain.batches(0)[0], 0)
    _, mirrored, _ = flipped.load(flipped.batches(0)[0], 0)
    real = y["labels"] >= 0
    widths = np.broadcast_to(x["image_sizes"][:, 1:], real.shape)[real]
    assert_allclose(
        mirrored["mask_windows"][real][:, [2, 1, 0, 3]],
        np.abs(np.c_[widths, widths * 0, widths, widths * 0] - y["mask_windows"][real]),
        atol=1,  # of a pixel: scenes are shrunk, and pixels take the nearest
    )
    # The windows surround the boxes' objects: they leave their boxes by rounding alone.
    assert (np.abs(y["mask_windows"] - y["boxes"])[real] <= 1).all()


def test_objects_without_segments_and_crowds_have_defined_masks(tmp_path):
    dataset = painted_dataset(tmp_path, [(32, 32)], [3])
    [photo] = dataset.photos
    runs = {"size": [32, 32], "counts": [0, 64, 32 * 30]}  # the first two columns
    objects = dataclasses.replace(
        photo.objects,
        segments=[None, runs, photo.objects.segments[2]],
        is_crowd=np.array([False, True, False]),
    )
    photos = (dataclasses.replace(photo, objects=objects),)
    dataset = dataclasses.replace(dataset, photos=photos)
    assert not load_sample(photos[0], masks=True)["masks"][0].any()
    loader = Loader(dataset, SMALL, 1, masks=True)
    _, y, _ = loader.load(loader.batches(0)[0], 0)
    assert not y["masks"][0, 0].any()
    assert_array_equal(y["mask_windows"][0, 0], y["boxes"][0, 0])
    assert_array_equal(y["is_crowd"][0], [False, True, False])
    assert_array_equal(y["mask_windows"][0, 1], [0, 0, 2, 32])
    assert (y["masks"][0, 1:] == 255).all()


@pytest.mark.parametrize(
    "augmentation",
    [
        RandomFlip(1.0),
        SafeCrop(),
        MultiScale((24, 48), 96),
        LargeScaleJitter(64),
        CopyPaste(share=1.0),
        Photometric(),
    ],
    ids=lambda augmentation: type(augmentation).__name__,
)
def test_every_augmentation_moves_masks_with_their_objects(tmp_path, augmentation):
    write_scenes(tmp_path, 3, seed=2, size=(64, 96), objects=(2, 4))
    dataset = open_dataset(tmp_path)
    loader = Loader(dataset, SMALL, 3, [augmentation], 3, masks=True)
    photos = AugmentedPhotos(dataset, (augmentation,), 3, True, "stop")
    found = 0
    for epoch in range(3):
        for batch in loader.batches(epoch):
            x, y, _ = loader.load(batch, epoch)
            real = (y["labels"] >= 0) & y["masks"].any(axis=(2, 3))
            # Where photos are shrunk, a new pixel takes one old one: the tip of a mask
            # may be lost, a pixel and the rounding of another.
            assert (np.abs(y["mask_windows"] - y["boxes"])[real] < 2).all()
            height, width = np.moveaxis(x["image_sizes"], 1, 0)[..., None]
            x1, y1, x2, y2 = np.moveaxis(y["mask_windows"], 2, 0)
            inside = (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)
            assert inside[real].all()
            found += real.sum()
            for slot, index in enumerate(batch.indices):
                size = tuple(x["image_sizes"][slot].astype(int))
                masks = resize_sample(photos.sample(index, epoch), size)["masks"]
                rows = slice(len(masks))
                crops = y["masks"][slot, rows] / 255
                again = full_masks(
                    crops, y["mask_windows"][slot, rows], size, ExactPaste()
                )
                assert_array_equal(again, masks)
    assert found > 10
