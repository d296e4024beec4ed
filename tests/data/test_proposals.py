"""Data sets with proposals: which are kept, what does not match, what batches hold."""

import dataclasses

import keras
import numpy as np
import pytest
from data.painted import FIRST_ID, SMALL, check_same, painted_dataset

from keras_fpn.data import (
    CopyPaste,
    Loader,
    MultiScale,
    RandomFlip,
    SafeCrop,
    tensorflow_dataset,
    with_proposals,
)
from keras_fpn.data.batches import Batch
from keras_fpn.data.fingerprint import fingerprint
from keras_fpn.data.hold_out import hold_out
from keras_fpn.data.proposals import check_proposals, most_proposals
from keras_fpn.data.pydataset import LoaderSequence
from keras_fpn.models import FasterRCNN, FastRCNN

BOX = [1, 2, 10, 12]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return painted_dataset(tmp_path_factory.mktemp("painted"), segments=True)


def proposals_of(dataset, counts=(3, 0, 5)):
    """So many boxes for each photo, which differ by their left edge and their score."""
    made = {}
    for place, photo in enumerate(dataset.photos):
        rows = np.arange(counts[place % len(counts)])
        boxes = np.tile(np.float32(BOX), (len(rows), 1))
        boxes[:, 0] = rows
        made[photo.image_id] = boxes, rows / 10  # the last is the best
    return made


def test_the_best_are_kept_best_first(dataset):
    found = with_proposals(dataset, proposals_of(dataset), limit=4)
    lefts = [photo.proposals[:, 0].tolist() for photo in found.photos[:3]]
    assert lefts == [[2, 1, 0], [], [4, 3, 2, 1]]
    assert found.photos[0].proposals.dtype == np.float32
    assert [len(p.proposals) for p in with_proposals(dataset, proposals_of(dataset))][
        2
    ] == 5
    assert dataset.photos[0].proposals is None
    assert (found.has_proposals, dataset.has_proposals) == (True, False)
    assert (most_proposals(found), most_proposals(dataset)) == (4, None)


def test_equal_scores_keep_their_order(dataset):
    made = proposals_of(dataset, (5,))
    made = {image_id: (boxes, np.ones(5)) for image_id, (boxes, _) in made.items()}
    found = with_proposals(dataset, made, limit=3)
    assert found.photos[0].proposals[:, 0].tolist() == [0, 1, 2]


def test_boxes_are_clipped_to_their_photo_and_empty_ones_left_out(dataset):
    made = proposals_of(dataset)
    made[dataset.photos[0].image_id] = [[0, 0, 50.5, 20], [3, 3, 3, 9]], [1, 2]
    photo = with_proposals(dataset, made).photos[0]  # 50 wide, 20 high
    np.testing.assert_array_equal(photo.proposals, [[0, 0, 50, 20]])


def test_images_that_are_not_in_the_data_set_are_ignored(dataset):
    made = proposals_of(dataset) | {999: ([[0, 0, 1e6, np.nan]], [1])}
    assert len(with_proposals(dataset, made)) == len(dataset)


def test_proposals_stay_with_their_photos(dataset):
    found = with_proposals(dataset, proposals_of(dataset))
    assert found[1:3].photos == found.photos[1:3]
    assert found[2].proposals is found.photos[2].proposals
    for part in (*hold_out(found), found.without_empty()):
        assert all(photo.proposals is not None for photo in part.photos)


def test_the_fingerprint_depends_on_proposals(dataset):
    made = proposals_of(dataset)
    other = proposals_of(dataset)
    other[dataset.photos[0].image_id][0][0, 3] += 1
    prints = {
        fingerprint(one)
        for one in (
            dataset,
            with_proposals(dataset, made),
            with_proposals(dataset, other),
            with_proposals(dataset, made, limit=2),
        )
    }
    assert len(prints) == 4
    assert fingerprint(with_proposals(dataset, made)) in prints


def test_a_photo_without_an_entry_is_named(dataset):
    made = proposals_of(dataset)
    del made[FIRST_ID], made[FIRST_ID + 3]
    names = r"3\.png .image id 103., 6\.png .image id 100.\. Leave"
    with pytest.raises(ValueError, match=f"without 2 of the 7 photos: {names}"):
        with_proposals(dataset, made)
    with pytest.raises(ValueError, match=r"of 0 images without 7 .*\.\.\.\. Leave"):
        with_proposals(dataset, {})


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        ([[0, 0, np.nan, 1]], [1], "be finite"),
        ([[0, 0, 2, 1]], [np.nan], "one finite score each"),
        ([[0, 0, 2, 1]], [1, 2], r"boxes of shape \(1, 4\) and scores of shape \(2,\)"),
        ([[0, 0, 80, 20]], [1], "inside the photo, 50x20 pixels"),
        ([[9, 0, 8, 20]], [1], "x1 <= x2"),
    ],
)
def test_boxes_that_do_not_match_name_their_photo(dataset, boxes, scores, message):
    made = proposals_of(dataset) | {FIRST_ID + 6: (np.array(boxes), np.array(scores))}
    with pytest.raises(ValueError, match=rf"0\.png .image id 106.: .*{message}"):
        with_proposals(dataset, made)


def test_a_limit_below_one_is_an_error(dataset):
    with pytest.raises(ValueError, match="at least 1; received limit=0"):
        with_proposals(dataset, proposals_of(dataset), limit=0)


def test_only_some_photos_with_proposals_is_an_error(dataset):
    found = with_proposals(dataset, proposals_of(dataset))
    mixed = dataclasses.replace(dataset, photos=(found[0], *dataset.photos[1:]))
    with pytest.raises(
        ValueError, match=r"or none; received 6 without, such as .*1\.png"
    ):
        Loader(mixed, SMALL, 2)


def test_a_detector_and_its_data_agree_on_proposals(dataset):
    found = with_proposals(dataset, proposals_of(dataset))
    fast, faster = object.__new__(FastRCNN), object.__new__(FasterRCNN)
    check_proposals(fast, found)
    check_proposals(faster, dataset)
    message = "must have proposals for a FastRCNN; received 'painted' without"
    with pytest.raises(ValueError, match=message):
        check_proposals(fast, dataset)
    message = "no proposals for a FasterRCNN, .* received 'painted' with proposals"
    with pytest.raises(ValueError, match=message):
        check_proposals(faster, found)


def test_batches_hold_proposals_in_input_pixels_padded_with_zeros(dataset):
    loader = Loader(with_proposals(dataset, proposals_of(dataset)), SMALL, 3)
    assert loader.max_proposals == 5
    x, _, _ = loader.load(Batch((0, 1, 2), (64, 64)), 0)
    assert (x["proposals"].dtype, x["proposals"].shape) == ("float32", (3, 5, 4))
    # 20 x 50 becomes 25 x 64.
    x_scale, y_scale = 64 / 50, 25 / 20
    expected = [[left, 2, 10, 12] for left in (2, 1, 0)]
    expected = np.multiply(expected, [x_scale, y_scale] * 2)
    np.testing.assert_allclose(x["proposals"][0, :3], expected, rtol=1e-6)
    assert not x["proposals"][0, 3:].any()
    assert not x["proposals"][1].any()
    assert x["proposals"][2].any(axis=1).all()
    assert loader.specs()[0]["proposals"].shape == (None, 5, 4)


def test_without_proposals_there_is_no_such_input(dataset):
    x, _, _ = Loader(dataset, SMALL, 2).load(Batch((0, 1), (64, 64)), 0)
    assert set(x) == {"images", "image_sizes"}


def test_photos_without_any_box_leave_one_row_of_padding(dataset):
    loader = Loader(with_proposals(dataset, proposals_of(dataset, (0,))), SMALL, 2)
    x, _, _ = loader.load(Batch((0, 1), (64, 64)), 0)
    assert x["proposals"].shape == (2, 1, 4)
    assert not x["proposals"].any()


def test_fillers_have_no_proposals(dataset):
    loader = Loader(
        with_proposals(dataset, proposals_of(dataset, (4,))), SMALL, 4, fill=True
    )
    x, _, weight = loader.load(loader.batches(0)[-1], 0)
    np.testing.assert_array_equal(weight, [1, 1, 1, 0])
    assert x["proposals"][:3].any(axis=(1, 2)).all()
    assert not x["proposals"][3].any()


def test_both_loops_yield_them(dataset):
    found = with_proposals(dataset, proposals_of(dataset))
    augment = (RandomFlip(), SafeCrop(), CopyPaste())
    loader = Loader(
        found, SMALL, 3, augment, shapes=[(64, 64)], max_objects=4, fill=True
    )
    expected = [loader.load(batch, 0) for batch in loader.batches(0)]
    sequence = LoaderSequence(loader)
    for index, batch in enumerate(expected):
        check_same(batch, sequence[index])
    if keras.backend.backend() == "tensorflow":
        batches = list(tensorflow_dataset(loader).as_numpy_iterator())
        for batch, other in zip(expected, batches, strict=True):
            check_same(batch, other)


def test_every_batch_of_an_epoch_has_one_shape_of_proposals(dataset):
    found = with_proposals(dataset, proposals_of(dataset))
    loader = Loader(found, SMALL, 2, [CopyPaste(), MultiScale((16, 32), 64)])
    shapes = {
        loader.load(batch, epoch)[0]["proposals"].shape[1:]
        for epoch in range(3)
        for batch in loader.batches(epoch)
    }
    assert shapes == {(5, 4)}
