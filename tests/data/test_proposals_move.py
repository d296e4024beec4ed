"""Every augmentation moves proposals as it moves the objects."""

import numpy as np
import pytest
from data.drawn import chance, check_equal, copied, drawn_sample

from keras_fpn import data
from keras_fpn.data import (
    CopyPaste,
    LargeScaleJitter,
    MultiScale,
    Photometric,
    RandomFlip,
    SafeCrop,
)
from keras_fpn.data.sample import crop_sample, resize_sample

SEEDS = 200

# Without masks, by which boxes are narrowed, and dropping no object that is visible.
TRANSFORMS = {
    "RandomFlip": RandomFlip(1.0),
    "SafeCrop": SafeCrop(1.0, low=0.2, min_visible=0.0),
    "Photometric": Photometric(),
    "MultiScale": MultiScale((9, 17, 31), 60),
    "LargeScaleJitter": LargeScaleJitter(32, 0.5, 2.0),
}


def sample_of(seed, masks=False, size=None):
    """A drawn sample whose proposals are the boxes of its objects, in another order."""
    size = chance(seed).integers(4, 25, 2) if size is None else size
    sample = drawn_sample(chance(seed), size=size)
    sample["proposals"] = sample["boxes"][::-1].copy()
    return sample if masks else {k: v for k, v in sample.items() if k != "masks"}


def check_moved(result):
    """The proposals are still the boxes of the objects."""
    assert result["proposals"].dtype == np.float32
    np.testing.assert_array_equal(result["proposals"], result["boxes"][::-1])


def test_every_augmentation_is_among_these():
    exported = {name: getattr(data, name) for name in data.__all__}
    called = {name for name, one in exported.items() if "__call__" in vars(one)}
    assert {*TRANSFORMS, "CopyPaste"} == called


@pytest.mark.parametrize("name", TRANSFORMS)
def test_proposals_equal_to_boxes_stay_equal_to_them(name):
    moved = dropped = 0
    for seed in range(SEEDS):
        sample = sample_of(seed)
        before = copied(sample)
        result = TRANSFORMS[name](sample, chance(seed + 1))
        check_equal(sample, before)
        check_moved(result)
        moved += not np.array_equal(result["boxes"], sample["boxes"])
        dropped += len(result["boxes"]) < len(sample["boxes"])
    assert (moved > SEEDS / 4) == (name != "Photometric")
    assert (dropped > 0) == (name in ("SafeCrop", "LargeScaleJitter"))


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda proposals: proposals + 1,
        lambda proposals: np.ones_like(proposals),
        lambda proposals: proposals[:0],
        lambda proposals: proposals[:, [1, 0, 3, 2]],
    ],
    ids=["shifted", "constant", "empty", "axes swapped"],
)
def test_the_check_notices_proposals_that_did_not_move_along(name, wrong):
    failed = 0
    for seed in range(20):
        result = TRANSFORMS[name](sample_of(seed), chance(seed + 1))
        try:
            check_moved({**result, "proposals": wrong(result["proposals"])})
        except AssertionError:
            failed += 1
    assert failed > 5


def test_a_flip_by_hand():
    sample = sample_of(0)
    width = sample["image"].shape[1]
    sample["proposals"] = np.array([[0.5, 1, 3, 2]], np.float32)
    flipped = RandomFlip(1.0)(sample, chance(0))
    np.testing.assert_array_equal(
        flipped["proposals"], [[width - 3, 1, width - 0.5, 2]]
    )


def test_a_crop_clips_proposals_and_drops_what_is_outside():
    sample = sample_of(3)
    sample["proposals"] = np.array(
        [[0, 0, 4, 4], [0, 0, 1, 4], [1.5, 2, 3, 4], [0, 0, 2, 1]], np.float32
    )
    cropped = crop_sample(sample, (1, 1, 3, 4))
    np.testing.assert_array_equal(cropped["proposals"], [[0, 0, 2, 3], [0.5, 1, 2, 3]])


def test_resizing_scales_each_axis():
    sample = sample_of(0)
    height, width = sample["image"].shape[:2]
    sample["proposals"] = np.array([[1, 1, 2, 3]], np.float32)
    resized = resize_sample(sample, (height * 3, width * 2))
    np.testing.assert_array_equal(resized["proposals"], [[2, 3, 4, 9]])


def rows_of(boxes):
    return {tuple(box) for box in boxes.tolist()}


def test_pasted_objects_bring_their_proposals():
    pasted_total = 0
    for seed in range(SEEDS):
        sample, other = (sample_of(n, True, (12, 15)) for n in (seed, seed + SEEDS))
        other["labels"] = other["labels"] + 100
        result = CopyPaste()(sample, other, chance(seed))
        pasted = result["boxes"][result["labels"] >= 100]
        count = len(result["proposals"]) - len(sample["proposals"])
        # Those of the pasted objects come first, and the sample's own stay.
        assert rows_of(pasted) <= rows_of(result["proposals"][:count])
        np.testing.assert_array_equal(result["proposals"][count:], sample["proposals"])
        pasted_total += len(pasted)
    assert pasted_total > SEEDS / 2


def test_only_proposals_near_a_pasted_object_are_pasted():
    size = (20, 20)
    mask = np.zeros((1, *size), bool)
    mask[0, 2:12, 2:12] = True
    other = {
        "image": np.zeros((*size, 3), np.uint8),
        "boxes": np.array([[2, 2, 12, 12]], np.float32),
        "labels": np.array([0], np.int32),
        "is_crowd": np.array([False]),
        "image_id": 1,
        "photo_size": size,
        "masks": mask,
        # IoU 1, 0.5 (half of the box), 0.4, and 0.
        "proposals": np.array(
            [[2, 2, 12, 12], [2, 2, 7, 12], [2, 2, 6, 12], [14, 14, 19, 19]],
            np.float32,
        ),
    }
    empty = np.zeros(0)
    sample = {
        **other,
        "boxes": empty.reshape(0, 4).astype(np.float32),
        "labels": empty.astype(np.int32),
        "is_crowd": empty.astype(bool),
        "masks": np.zeros((0, *size), bool),
        "proposals": np.array([[0, 0, 20, 20]], np.float32),
    }
    result = CopyPaste(share=1.0)(sample, other, chance(0))
    expected = [[2, 2, 12, 12], [2, 2, 7, 12], [0, 0, 20, 20]]
    np.testing.assert_array_equal(result["proposals"], expected)


def test_both_samples_have_proposals_or_neither():
    sample, other = sample_of(0, masks=True), sample_of(1, masks=True)
    del other["proposals"]
    for pair in ((sample, other), (other, sample)):
        with pytest.raises(ValueError, match="for one of image_id=7 and 7"):
            CopyPaste()(*pair, chance(0))
