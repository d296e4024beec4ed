import re

import numpy as np
import pytest
from models.truths import floats, truth_of
from numpy.testing import assert_array_equal
from on_backend import arrays

from keras_fpn.models.ground_truth import ground_truth

A, B = [0, 0, 10, 10], [5, 5, 20, 30]
NOTHING = [0, 0, 0, 0]


def test_a_place_of_padding_is_added():
    truth = truth_of([[A, B], [B, A]], [[0, 2], [1, -1]])
    assert_array_equal(truth.boxes, [[A, B, NOTHING], [B, A, NOTHING]])
    assert_array_equal(truth.labels, [[0, 2, -1], [1, -1, -1]])
    assert_array_equal(truth.valid, [[True, True, False], [True, False, False]])


def test_what_is_not_said_is_no_crowd_counts_and_has_its_place_as_id():
    truth = truth_of([[A], [A], [A]], [[0], [0], [0]])
    assert not arrays(truth.is_crowd).any()
    assert_array_equal(truth.image_ids, [0, 1, 2])
    assert_array_equal(truth.weights, [1, 1, 1])


def test_what_is_said_is_taken():
    truth = truth_of(
        [[A, B], [A, B]],
        [[0, 1], [0, 1]],
        floats([[0], [0.5]]),  # as Keras hands weights on, with an axis more
        is_crowd=np.array([[False, True], [False, False]]),
        image_ids=np.array([581929, 7]),
    )
    assert_array_equal(truth.is_crowd, [[False, True, False], [False] * 3])
    assert_array_equal(truth.image_ids, [581929, 7])
    assert_array_equal(truth.weights, [0, 0.5])


def test_types_are_those_that_the_losses_take():
    targets = {
        "boxes": np.zeros((1, 2, 4), "float64"),
        "labels": np.zeros((1, 2), "int64"),
        "is_crowd": np.zeros((1, 2), "uint8"),
        "image_ids": np.zeros(1, "int64"),
    }
    truth = vars(ground_truth(targets, np.ones(1, "float64")))
    given = {name: value for name, value in truth.items() if value is not None}
    assert {name: arrays(value).dtype.name for name, value in given.items()} == {
        "boxes": "float32",
        "labels": "int32",
        "valid": "bool",
        "is_crowd": "bool",
        "image_ids": "int32",
        "weights": "float32",
    }


def test_objects_are_neither_padding_nor_crowd_nor_empty():
    tiny = [5, 5, 5.5, 5.5]
    boxes = [[A, A, A, [5, 5, 5, 9], [5, 5, 9, 5], tiny]]
    crowd = np.array([[False, False, True, False, False, False]])
    truth = truth_of(boxes, [[0, -1, 0, 1, 1, 1]], is_crowd=crowd)
    expected = [[True, False, False, False, False, True, False]]
    assert_array_equal(truth.objects, expected)


def test_batches_without_any_box_have_one_place_of_padding():
    truth = truth_of(np.zeros((2, 0, 4)), np.zeros((2, 0), int))
    assert_array_equal(truth.labels, [[-1], [-1]])
    assert_array_equal(truth.boxes, [[NOTHING], [NOTHING]])
    assert not arrays(truth.objects).any()


@pytest.mark.parametrize("missing", ["boxes", "labels"])
def test_targets_without_boxes_or_labels_are_refused(missing):
    targets = {"boxes": floats([[A]]), "labels": np.array([[0]])}
    del targets[missing]
    message = f"received {sorted(targets)}, without {[missing]}"
    with pytest.raises(ValueError, match=re.escape(message)):
        ground_truth(targets)


def test_masks_are_read_where_they_are_needed_and_padded_alike():
    targets = {
        "boxes": np.zeros((2, 1, 4)),
        "labels": np.zeros((2, 1), "int32"),
        "masks": np.full((2, 1, 3, 3), 255, "uint8"),
        "mask_windows": np.array([[[1, 2, 3, 4]]] * 2),
    }
    truth = ground_truth(targets)
    assert truth.masks is truth.mask_windows is None
    truth = ground_truth(targets, needed=tuple(targets))
    assert arrays(truth.masks).dtype == "uint8"
    assert_array_equal(truth.masks[:, :1], targets["masks"])
    assert not arrays(truth.masks)[:, 1].any()
    assert_array_equal(truth.mask_windows, [[[1, 2, 3, 4], NOTHING]] * 2)


def test_masks_that_are_needed_must_be_there():
    targets = {"boxes": np.zeros((1, 1, 4)), "labels": np.zeros((1, 1))}
    needed = ("boxes", "labels", "masks", "mask_windows")
    message = r"received \['boxes', 'labels'\], without \['masks', 'mask_windows'\]"
    with pytest.raises(ValueError, match=message):
        ground_truth(targets, needed=needed)
