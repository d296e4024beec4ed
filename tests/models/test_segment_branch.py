"""The losses of segmentation proposals, against plain NumPy."""

import numpy as np
import pytest
from layer_checks import randomize
from models.truths import truth_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, by_xla, outputs_of

from keras_fpn.layers import (
    SegmentDetections,
    SegmentHead,
    SegmentWindows,
    SubsampledLevel,
    TopSegments,
)
from keras_fpn.layers.segment_head import scores_and_masks
from keras_fpn.matcher import POSITIVE
from keras_fpn.models import (
    Sample,
    SegmentBranch,
    region_branch,
    roi_branch,
    segment_branch,
)
from keras_fpn.models.segment_match import match_segments

ALL = Sample(100000, 1.0)
M = 6  # cells along the side of a mask
NEEDED = SegmentBranch.targets
SIZE = (64, 96)


def branch_of(sample=ALL, **head):
    head = SegmentHead(**{"kernel_sizes": (3, 5), "channels": 4, "mask_size": M} | head)
    return SegmentBranch(
        SubsampledLevel(),
        SegmentWindows(),
        head,
        TopSegments(max_detections=7),
        SegmentDetections(),
        sample,
    )


def stages_of(branch, batch=2):
    draw = np.random.default_rng(0)
    pyramid = {
        f"P{level}": draw.normal(size=(batch, 64 >> level, 96 >> level, 3)).astype(
            "float32"
        )
        for level in (2, 3)
    }
    stages = arrays(branch.stages(pyramid))
    branch.segment_head(stages["segment_pyramid"])
    randomize(branch.segment_head)
    return {**stages, "image_sizes": np.array([SIZE] * batch, "float32")}


def made_truth(**more):
    """An object per image, its mask the left half of its box, and a crowd region."""
    boxes = [
        [[20.3, 16.7, 53.1, 48.9], [0, 0, 4, 4]],
        [[30.4, 9.2, 88.9, 61.3], [0] * 4],
    ]
    masks = np.zeros((2, 2, 4, 4), "uint8")
    masks[:, :, :, :2] = 255
    return truth_of(
        boxes,
        [[0, 3], [2, -1]],
        masks=masks,
        mask_windows=np.array(boxes, "float32"),
        is_crowd=np.array([[False, True], [False, False]]),
        needed=NEEDED,
        **more,
    )


def cross_entropy(logits, target):
    return np.log1p(np.exp(-logits)) if target else np.log1p(np.exp(logits))


def half_covered(window, box):
    """Which cells of a window the left half of a box covers by half or more."""
    x1, y1, x2, y2 = box
    x2 = (x1 + x2) / 2
    target = np.zeros((M, M), bool)
    side = (window[2] - window[0]) / M
    for row, column in np.ndindex(M, M):
        left, top = window[0] + column * side, window[1] + row * side
        width = max(min(left + side, x2) - max(left, x1), 0)
        height = max(min(top + side, y2) - max(top, y1), 0)
        share = width * height / side**2
        assert abs(share - 0.5) > 1e-3  # rounding does not decide
        target[row, column] = share >= 0.5
    return target


def test_losses_are_sums_over_windows_of_scores_and_of_positives_masks():
    branch, truth = branch_of(), made_truth()
    stages = stages_of(branch)
    sums, count = outputs_of(lambda s: branch.losses(s, truth, 0, 3), stages)
    windows = np.concatenate([stages["windows"][f"P{n}"] for n in (2, 3, 4)])
    labels, matches = arrays(
        match_segments(stages["windows"], 1.25, truth, stages["image_sizes"])
    )
    indices = np.tile(np.arange(len(windows), dtype="int32"), (2, 1))
    predictions = branch.segment_head(stages["segment_pyramid"], indices)
    scores, masks = arrays(scores_and_masks(predictions))
    score_loss = mask_loss = 0.0
    assert ((labels == POSITIVE).sum(axis=1) > 3).all()
    for image, place in np.argwhere(labels >= 0):
        positive = labels[image, place] == POSITIVE
        score_loss += cross_entropy(scores[image, place], positive)
        if positive:
            box = arrays(truth.boxes)[image, matches[image, place]]
            target = half_covered(windows[place], box)
            assert 0 < target.sum() < M * M
            cells = [
                cross_entropy(logit, on)
                for logit, on in zip(
                    masks[image, place].ravel(), target.ravel(), strict=True
                )
            ]
            mask_loss += np.mean(cells)
    assert count == (labels >= 0).sum()
    assert_allclose(sums["score_loss"], score_loss, rtol=1e-4)
    assert_allclose(sums["mask_loss"], 10 * mask_loss, rtol=1e-4)


def test_at_most_128_windows_count_of_which_a_quarter_positive():
    branch, truth = branch_of(SegmentBranch.segment_sample), made_truth()
    assert branch.segment_sample == Sample(128, 0.25)
    stages = stages_of(branch)
    sums, count = outputs_of(lambda s: branch.losses(s, truth, 0, 3), stages)
    assert count == 256
    again, _ = outputs_of(lambda s: branch.losses(s, truth, 0, 3), stages)
    assert again == sums
    other, _ = outputs_of(lambda s: branch.losses(s, truth, 0, 4), stages)
    assert other["score_loss"] != sums["score_loss"]
    # Few positives are always taken: the mask loss does not depend on chance.
    assert_allclose(other["mask_loss"], sums["mask_loss"], rtol=1e-5)


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_xla_compiles_the_losses():
    branch, truth = branch_of(SegmentBranch.segment_sample), made_truth()
    stages = stages_of(branch)
    expected, count = arrays(branch.losses(stages, truth, 0, 3))
    found, same = by_xla(lambda s: branch.losses(s, truth, 0, 3), stages)
    assert same == count > 0
    for name, value in expected.items():
        assert value > 0
        assert_allclose(found[name], value, rtol=1e-5)


def test_random_numbers_are_not_those_of_other_branches():
    branches = (region_branch, roi_branch, segment_branch)
    assert len({branch.PURPOSE for branch in branches}) == len(branches)


def test_images_that_fill_a_batch_and_images_without_objects_have_no_mask_loss():
    branch = branch_of()
    stages = stages_of(branch)
    truth = made_truth(sample_weight=np.zeros(2, "float32"))
    sums, count = outputs_of(lambda s: branch.losses(s, truth, 0, 0), stages)
    assert count == sums["score_loss"] == sums["mask_loss"] == 0
    nothing = truth_of(
        [[[0, 0, 0, 0]], [[0, 0, 0, 0]]],
        [[-1], [-1]],
        masks=np.zeros((2, 1, 4, 4), "uint8"),
        mask_windows=np.zeros((2, 1, 4)),
        needed=NEEDED,
    )
    sums, count = outputs_of(lambda s: branch.losses(s, nothing, 0, 0), stages)
    assert sums["mask_loss"] == 0
    assert np.isfinite(sums["score_loss"])
    assert count > 0


def test_masks_that_are_pixels_give_the_same_targets_as_their_crops():
    branch, truth = branch_of(), made_truth()
    pixels = np.zeros((2, 3, 64, 64), "uint8")
    pixels[..., :32] = 255
    grids = np.array([[[10, 6, 62, 58]], [[20, 5, 100, 85]]], "float32")
    matches = np.zeros((2, 1), "int32")
    expected = arrays(branch.mask_targets(truth, matches, grids))
    fine = truth_of(
        truth.boxes[:, :2],
        [[0, 3], [2, -1]],
        masks=pixels[:, :2],
        mask_windows=truth.mask_windows[:, :2],
        needed=NEEDED,
    )
    assert_array_equal(arrays(branch.mask_targets(fine, matches, grids)), expected)
    assert set(np.unique(expected)) == {0, 1}
    for image in range(2):
        box = arrays(truth.boxes)[image, 0]
        wanted = half_covered(grids[image, 0], box)
        assert_array_equal(expected[image, 0], wanted)


def test_results_are_the_best_windows_with_their_masks():
    branch = branch_of()
    stages = stages_of(branch)
    found = outputs_of(branch.outputs, stages)
    scores = outputs_of(branch.segment_head, stages["segment_pyramid"])
    order = np.argsort(-scores, axis=1)[:, :7]
    assert_allclose(
        found["scores"],
        1 / (1 + np.exp(-np.take_along_axis(scores, order, axis=1))),
        rtol=1e-4,
    )
    windows = np.concatenate([stages["windows"][f"P{n}"] for n in (2, 3, 4)])
    assert_allclose(found["mask_windows"], windows[order], rtol=1e-6)
    predictions = branch.segment_head(stages["segment_pyramid"], order.astype("int32"))
    logits = arrays(scores_and_masks(predictions)[1])
    assert_allclose(found["masks"], 1 / (1 + np.exp(-logits)), rtol=1e-4, atol=1e-6)
    few = outputs_of(lambda s: branch.outputs(s, max_detections=2), stages)
    assert_array_equal(few["scores"], found["scores"][:, :2])


def test_the_head_has_one_kernel_size_per_scale():
    with pytest.raises(ValueError, match=r"kernel_sizes=\(5,\) and scales=\(1.0, 1.4"):
        branch_of(kernel_sizes=(5,))
