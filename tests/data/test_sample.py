"""keras_fpn.data.sample: reading, resizing, cropping a photo with its objects."""

import numpy as np
import pycocotools.mask
import pytest
from data.drawn import (
    chance,
    channel_sample,
    check_equal,
    check_resized,
    check_seen,
    copied,
    drawn_sample,
    extent,
    random_box,
)
from PIL import Image

from keras_fpn.data.dataset import Objects, Photo
from keras_fpn.data.masks import mask_extents, resize_masks, segment_mask
from keras_fpn.data.sample import crop_sample, load_sample, resize_sample
from keras_fpn.preprocessing import resize

SEEDS = 1000


@pytest.fixture
def photo(tmp_path):
    """4 wide, 3 high; a polygon around the right half, a run-length mask, no mask."""
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    corner = np.zeros((3, 4), np.uint8, order="F")
    corner[0, 0] = 1
    objects = Objects(
        boxes=np.array([[2, 0, 4, 3], [0, 0, 1, 1], [0, 1, 2, 3]], np.float32),
        labels=np.array([1, 0, 2]),
        is_crowd=np.array([False, True, False]),
        segments=(
            [[2, 0, 4, 0, 4, 3, 2, 3]],
            pycocotools.mask.encode(corner),
            None,
        ),
        keypoints=np.array([[[2.5, 1.5, 2], [9, 9, 0]]] * 3, np.float32),
    )
    return Photo(5, tmp_path / "photo.png", 3, 4, objects)


def with_objects(photo, objects, **changes):
    size = {"height": photo.height, "width": photo.width, **changes}
    return Photo(photo.image_id, photo.path, objects=objects, **size)


def test_a_sample_holds_the_photo_and_its_objects(photo):
    sample = load_sample(photo)
    assert set(sample) == {
        *("image", "boxes", "labels", "is_crowd"),
        *("image_id", "photo_size", "keypoints"),
    }
    np.testing.assert_array_equal(sample["image"].ravel(), np.arange(36))
    assert sample["image"].dtype == np.uint8
    for name in ("boxes", "labels", "is_crowd"):
        np.testing.assert_array_equal(sample[name], getattr(photo.objects, name))
        assert sample[name] is not getattr(photo.objects, name)
    assert (sample["image_id"], sample["photo_size"]) == (5, (3, 4))


def test_unannotated_keypoints_are_zero(photo):
    expected = [[2.5, 1.5, 2], [0, 0, 0]]
    np.testing.assert_array_equal(load_sample(photo)["keypoints"], [expected] * 3)


def test_masks_are_drawn_when_asked_for(photo):
    masks = load_sample(photo, masks=True)["masks"]
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks[0], [[0, 0, 1, 1]] * 3)
    np.testing.assert_array_equal(masks[1], [[1, 0, 0, 0], [0] * 4, [0] * 4])
    assert not masks[2].any(), "an object without a segment"


@pytest.mark.parametrize(
    ("segment", "pixels"),
    [
        (None, []),
        ([], []),
        ([[0, 0, 3, 0]], []),  # 4 numbers: a line, not a box
        ([[0, 0, 1, 0, 1, 2, 0, 2], [3, 0, 4, 0, 4, 1, 3, 1]], [0, 3, 4]),
        ({"size": [2, 4], "counts": [1, 2, 5]}, [1, 4]),  # down the columns
        ({"size": [2, 4], "counts": "125"}, [1, 4]),
        ({"size": [2, 4], "counts": b"125"}, [1, 4]),
    ],
)
def test_segments_of_every_kind_are_drawn(segment, pixels):
    mask = segment_mask(segment, (2, 4))
    np.testing.assert_array_equal(np.flatnonzero(mask), pixels)
    assert (mask.shape, mask.dtype) == ((2, 4), bool)


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 4\]; received size=\[4, 2\]"):
        segment_mask({"size": [4, 2], "counts": [8]}, (2, 4))
    with pytest.raises(ValueError, match=r"sum to 8, .*received counts that sum to 9"):
        segment_mask({"size": [2, 4], "counts": [1, 8]}, (2, 4))


def test_a_photo_without_objects_loads(photo):
    none = Objects(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    sample = load_sample(with_objects(photo, none), masks=True)
    assert sample["masks"].shape == (0, 3, 4)
    assert sample["boxes"].shape == (0, 4)
    assert "keypoints" not in sample


def test_a_photo_of_another_size_than_annotated_is_refused(photo):
    turned = with_objects(photo, photo.objects, height=4, width=3)
    with pytest.raises(ValueError, match=r"\(4, 3\); received .*photo.png.*\(3, 4\)"):
        load_sample(turned)


def test_masks_that_a_data_set_does_not_have_are_refused(photo):
    boxes = Objects(photo.objects.boxes, photo.objects.labels, photo.objects.is_crowd)
    with pytest.raises(ValueError, match=r"photo\.png, whose 3 objects have none"):
        load_sample(with_objects(photo, boxes), masks=True)


def test_resizing_scales_each_axis_by_its_own_ratio(photo):
    sample = resize_sample(load_sample(photo, masks=True), (6, 6))  # y by 2, x by 1.5
    np.testing.assert_array_equal(
        sample["boxes"], [[3, 0, 6, 6], [0, 0, 1.5, 2], [0, 2, 3, 6]]
    )
    np.testing.assert_array_equal(sample["keypoints"][0], [[3.75, 3, 2], [0, 0, 0]])
    # New columns' centres lie at 1/3, 1, 5/3, 7/3, 3, 11/3 old pixels: the right half
    # starts at 2, so with the fourth.
    np.testing.assert_array_equal(sample["masks"][0], [[0, 0, 0, 1, 1, 1]] * 6)
    expected = resize(load_sample(photo)["image"], (6, 6))
    np.testing.assert_array_equal(sample["image"], expected)
    assert sample["photo_size"] == (3, 4), "stays that of the photo"
    dtypes = [sample[name].dtype for name in ("image", "boxes", "keypoints", "masks")]
    assert dtypes == [np.float32] * 3 + [bool]


def test_resizing_to_its_own_size_changes_nothing():
    for seed in range(100):
        sample = drawn_sample(chance(seed))
        same = resize_sample(sample, sample["image"].shape[:2])
        check_equal({**same, "image": same["image"].astype(np.uint8)}, sample)


def test_masks_are_resized_as_a_plain_loop_does():
    for seed in range(200):
        random = chance(seed)
        masks = random.random((2, *random.integers(1, 12, 2))) < 0.3
        height, width = random.integers(1, 20, 2)
        resized = resize_masks(masks, (height, width))
        for i, j in np.ndindex(height, width):
            y = int((2 * i + 1) * masks.shape[1] // (2 * height))
            x = int((2 * j + 1) * masks.shape[2] // (2 * width))
            np.testing.assert_array_equal(resized[:, i, j], masks[:, y, x])


def test_drawn_objects_stay_in_their_boxes_when_resized():
    for seed in range(SEEDS):
        random = chance(seed)
        sample = channel_sample(random)
        resized = resize_sample(sample, random.integers(1, 60, 2))
        check_resized(resized)
        assert len(resized["boxes"]) == len(sample["boxes"])


def test_a_size_of_nothing_is_refused(photo):
    with pytest.raises(ValueError, match=r"width must be .* received width=0"):
        resize_sample(load_sample(photo), (4, 0))


def test_extents_are_the_smallest_boxes_around_masks():
    for seed in range(200):
        random = chance(seed)
        masks = random.random((3, *random.integers(1, 9, 2))) < 0.15
        for box, mask in zip(mask_extents(masks), masks, strict=True):
            np.testing.assert_array_equal(box, extent(mask) if mask.any() else [0] * 4)


def test_cropping_clips_boxes_and_drops_what_is_gone():
    sample = drawn_sample(chance(0), size=(10, 10), crowds=False)
    sample |= {
        "boxes": np.array([[2, 2, 8, 8], [0, 0, 4, 4], [9, 9, 10, 10]], np.float32),
        "labels": np.arange(3, dtype=np.int32),
        "is_crowd": np.array([False, True, False]),
        "keypoints": np.array([[[2, 2, 2]], [[4, 4, 1]], [[9.5, 9.5, 2]]], np.float32),
    }
    del sample["masks"]
    cropped = crop_sample(sample, (3, 4, 9, 9))
    # The second ends at the window's upper edge, the third starts where it ends.
    np.testing.assert_array_equal(cropped["boxes"], [[0, 0, 5, 4]])
    np.testing.assert_array_equal(cropped["labels"], [0])
    np.testing.assert_array_equal(cropped["keypoints"], [[[0, 0, 0]]])
    np.testing.assert_array_equal(cropped["image"], sample["image"][4:9, 3:9])


def test_the_box_of_a_cut_object_is_narrowed_to_its_mask():
    mask = np.zeros((1, 10, 10), bool)
    mask[0, 0:2, 0:10] = True  # an L: above, and
    mask[0, 0:10, 0:2] = True  # at the left
    sample = {
        "image": np.zeros((10, 10, 3), np.uint8),
        "boxes": np.array([[0, 0, 10, 10]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": mask,
    }
    cropped = crop_sample(sample, (1, 1, 10, 10))
    np.testing.assert_array_equal(cropped["boxes"], [[0, 0, 9, 9]])
    cropped = crop_sample(sample, (1, 5, 10, 10))  # only the foot: a column
    np.testing.assert_array_equal(cropped["boxes"], [[0, 0, 1, 5]])
    cropped = crop_sample(sample, (5, 5, 10, 10))  # the box is there, the mask is not
    assert cropped["boxes"].shape == (0, 4)
    assert cropped["masks"].shape == (0, 5, 5)


def test_an_object_without_a_mask_among_masks_is_cut_by_its_box():
    sample = drawn_sample(chance(3), size=(10, 10))
    sample |= {
        "boxes": np.array([[0, 0, 10, 10]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
        "masks": np.zeros((1, 10, 10), bool),
        "keypoints": np.zeros((1, 3, 3), np.float32),
    }
    cropped = crop_sample(sample, (2, 3, 6, 9))
    np.testing.assert_array_equal(cropped["boxes"], [[0, 0, 4, 6]])


def test_objects_that_a_window_does_not_cut_stay_as_they_are():
    """A zero-area box is the check's concern, not the crop's."""
    sample = drawn_sample(chance(1), size=(8, 8))
    sample |= {
        "boxes": np.array([[3, 3, 3, 5]], np.float32),
        "labels": np.zeros(1, np.int32),
        "is_crowd": np.zeros(1, bool),
    }
    del sample["masks"], sample["keypoints"]
    cropped = crop_sample(sample, (2, 2, 7, 7))
    np.testing.assert_array_equal(cropped["boxes"], [[1, 1, 1, 3]])


def test_drawn_objects_stay_in_their_boxes_when_cropped():
    dropped = 0
    for seed in range(SEEDS):
        random = chance(seed)
        sample = drawn_sample(random)
        before = copied(sample)
        window = random_box(random, *sample["image"].shape[:2])
        cropped = crop_sample(sample, window)
        check_equal(sample, before)
        check_seen(cropped)
        seen = np.unique(cropped["image"][..., 0])
        np.testing.assert_array_equal(cropped["labels"], seen[seen > 0])
        dropped += len(sample["labels"]) - len(cropped["labels"])
    assert dropped > SEEDS / 10, "the windows were too large to test anything"


def test_cropping_to_the_whole_image_changes_nothing():
    for seed in range(100):
        sample = drawn_sample(chance(seed))
        height, width = sample["image"].shape[:2]
        check_equal(crop_sample(sample, (0, 0, width, height)), sample)


@pytest.mark.parametrize("window", [(0, 0, 5, 3), (-1, 0, 2, 2), (1, 1, 1, 2)])
def test_a_window_outside_the_image_is_refused(photo, window):
    edges = ", ".join(map(str, window))
    with pytest.raises(ValueError, match=rf"4 wide and 3 high.*window=\({edges}\)"):
        crop_sample(load_sample(photo), window)
