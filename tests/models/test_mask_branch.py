"""The losses and the outputs of the mask branch, by hand."""

import dataclasses

import numpy as np
import pytest
from keras import ops
from models.truths import floats, truth_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import LeadingRows, MaskDetections
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.models import MaskBranch, MaskTargets, Sample
from keras_fpn.models.box_branch import BoxBranch
from keras_fpn.models.roi_branch import SampledRoIs

NEEDED = ("boxes", "labels", "masks", "mask_windows")
SIZES = floats([[40, 60], [40, 60]])
# Object 0 is the left half of its window, object 1 all of it.
MASKS = np.zeros((2, 2, 4, 4), "uint8")
MASKS[:, 0, :, :2] = MASKS[:, 1] = 255
WINDOWS = floats([[[0, 0, 16, 16], [20, 8, 36, 24]]] * 2)


def truth(labels=((2, 0), (1, 2)), **more):
    return truth_of(
        WINDOWS, labels, needed=NEEDED, masks=MASKS, mask_windows=WINDOWS, **more
    )


def branch(logits, **settings):
    """A branch whose predictor says the same whatever it reads, for as many rows."""
    logits = floats(logits)
    return MaskBranch(
        mask_rows=LeadingRows(),
        mask_roi_align=lambda pyramid, boxes: boxes,
        mask_head=lambda features, training=False: features,
        mask_predictor=lambda boxes: logits[:, : ops.shape(boxes)[1]],
        mask_detections=MaskDetections(),
        **settings,
    )


def sampled(labels, matches, boxes=WINDOWS):
    return SampledRoIs(
        ops.convert_to_tensor(floats(boxes)),
        ops.convert_to_tensor(np.array(labels, "int32")),
        ops.convert_to_tensor(np.array(matches, "int32")),
    )


def losses(logits, rois, truth, **settings):
    stages = {"pyramid": None, "image_sizes": SIZES}

    def run(boxes):
        positives = dataclasses.replace(rois, boxes=boxes)
        return branch(logits, **settings).losses(stages, positives, truth, True)

    sums, count = outputs_of(run, rois.boxes)
    assert set(sums) == set(MaskBranch.loss_names)
    return float(sums["mask_loss"]), float(count)


HARD = {"mask_targets": MaskTargets(aligned=True, threshold=0.5)}


def entropy(logit, target):
    probability = 1 / (1 + np.exp(-logit))
    return -np.log(probability if target else 1 - probability)


def test_only_the_objects_class_counts_and_only_in_positives():
    logits = np.full((2, 2, 2, 2, 3), 50.0)  # a loss of 50 in each empty cell
    logits[0, 0, ..., 2] = [[1, 1], [1, -2]]
    rois = sampled([[POSITIVE, NEGATIVE], [IGNORED, IGNORED]], [[0, 1], [0, 0]])
    total, count = losses(logits, rois, truth(), **HARD)
    # Its two left cells are covered, its two right ones are not.
    expected = [entropy(1, 1), entropy(1, 0), entropy(1, 1), entropy(-2, 0)]
    assert count == 1
    assert total == pytest.approx(np.mean(expected), rel=1e-5)


def test_positives_add_up_and_images_count_by_their_weight():
    logits = np.zeros((2, 2, 2, 2, 3))
    rois = sampled([[POSITIVE, POSITIVE], [POSITIVE, NEGATIVE]], [[0, 1], [1, 0]])
    total, count = losses(logits, rois, truth(), **HARD)
    assert (total, count) == (pytest.approx(3 * np.log(2), rel=1e-5), 3)
    total, count = losses(logits, rois, truth(sample_weight=floats([0, 1])), **HARD)
    assert (total, count) == (pytest.approx(np.log(2), rel=1e-5), 1)


def test_an_object_without_a_mask_does_not_count():
    masks = MASKS.copy()
    masks[1, 0] = 0
    some = truth_of(
        WINDOWS, [[2, 0], [1, 2]], needed=NEEDED, masks=masks, mask_windows=WINDOWS
    )
    rois = sampled([[POSITIVE, POSITIVE]] * 2, [[0, 1], [0, 1]])
    total, count = losses(np.zeros((2, 2, 2, 2, 3)), rois, some)
    assert (total, count) == (pytest.approx(3 * np.log(2), rel=1e-5), 3)


def test_without_positives_the_loss_is_zero():
    empty = truth([[-1, -1], [-1, -1]])
    rois = sampled([[NEGATIVE, IGNORED]] * 2, [[2, 2]] * 2, np.zeros((2, 2, 4)))
    assert losses(np.full((2, 2, 2, 2, 3), 5.0), rois, empty) == (0.0, 0.0)


def test_targets_are_soft_unless_there_is_a_threshold():
    # 8 x 8 pixels, of which 4 columns are covered: the left 4 of image column 4..12.
    box = ops.convert_to_tensor(floats([[[4, 4, 12, 12]]] * 2))
    matches = ops.zeros((2, 1), "int32")

    def made(**arguments):
        make = MaskTargets(**arguments)
        return outputs_of(lambda *x: make(truth(), *x, SIZES, 8), box, matches)[0, 0]

    # Cells of 4 pixels. Aligned: bin i is sampled at 4.5 + i pixels, and the value
    # falls between the centers of cells, 6 and 10, from 1 to 0.
    places = 4.5 + np.arange(8)
    expected = np.clip((10 - places) / 4, 0, 1)
    assert_allclose(made(aligned=True), np.tile(expected, (8, 1)), atol=1e-5)
    expected = np.clip((10 - (places + 0.5)) / 4, 0, 1)  # half a pixel aside
    assert_allclose(made(), np.tile(expected, (8, 1)), atol=1e-5)
    hard = made(aligned=True, threshold=0.5)
    assert_array_equal(hard, np.tile([1, 1, 1, 1, 0, 0, 0, 0], (8, 1)))
    with pytest.raises(ValueError, match=r"received threshold=1\.5"):
        MaskTargets(threshold=1.5)


def test_positives_are_the_slots_that_come_first():
    rois = sampled(
        [[POSITIVE, POSITIVE, NEGATIVE, NEGATIVE]] * 2,
        np.arange(8).reshape(2, 4),
        np.arange(32).reshape(2, 4, 4),
    )
    box = BoxBranch(None, None, None, None, roi_sample=Sample(6, 0.5))
    first = box.positives(rois)
    assert_array_equal(arrays(first.matches), [[0, 1, 2], [4, 5, 6]])
    assert arrays(first.boxes).shape == (2, 3, 4)
    assert_array_equal(arrays(first.labels)[0], [POSITIVE, POSITIVE, NEGATIVE])
    more = BoxBranch(None, None, None, None, roi_sample=Sample(60, 0.5))
    assert arrays(more.positives(rois).matches).shape == (2, 4)


def test_masks_are_made_for_detections_and_zero_after_them():
    found = {
        "boxes": floats([[[0, 0, 8, 8], [0, 0, 4, 4], [0] * 4]] * 2),
        "labels": np.array([[2, 0, -1], [1, -1, -1]], "int32"),
        "num_detections": np.array([2, 1], "int32"),
    }
    seen = []

    def predict(boxes):
        seen.append(tuple(boxes.shape))
        columns = ops.convert_to_tensor(floats([-3, 0, 3]))
        return ops.ones((*boxes.shape[:2], 2, 2, 1)) * columns

    whole = MaskBranch(
        LeadingRows(),
        lambda pyramid, boxes: boxes,
        lambda features: features,
        predict,
        MaskDetections(),
    )
    masks = outputs_of(lambda x: whole.outputs({"pyramid": None}, x), found)["masks"]
    assert masks.shape == (2, 3, 2, 2)
    wanted = [[entropy(3, 1), entropy(-3, 1)], [entropy(0, 1)]]
    for image, values in enumerate(wanted):
        for row, value in enumerate(values):
            assert_allclose(masks[image, row], np.exp(-value), rtol=1e-5)
        assert not masks[image, len(values) :].any()
    assert len(seen) == 1
