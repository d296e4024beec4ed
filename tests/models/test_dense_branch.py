"""The losses of a one-stage detector, against plain NumPy."""

import numpy as np
import pytest
from models.truths import floats, truth_of
from numpy.testing import assert_allclose
from on_backend import arrays, outputs_of

from keras_fpn.box_coder import GIoUCoder
from keras_fpn.layers import (
    ConvolvedLevels,
    DenseDetections,
    DenseHead,
    DensePredictor,
    MultiLevelAnchors,
    SubsampledLevel,
)
from keras_fpn.matcher import IGNORED, POSITIVE
from keras_fpn.models import DenseBranch
from keras_fpn.models.dense_branch import DENSE_MATCH

K = 3
SIZES = {"P3": (16, 24), "P4": (32, 48)}
IMAGE = (64, 96)


def branch_of(**parts):
    first = {
        "coarse_level": SubsampledLevel(),
        "anchors": MultiLevelAnchors(SIZES),
        "dense_head": DenseHead(num_convs=1),
        "dense_predictor": DensePredictor(K, 6),
        "detections": DenseDetections(),
    }
    return DenseBranch(**{**first, **parts})


def stages_of(branch, batch=2):
    """Stages with random predictions for the anchors of an image of 64x96."""
    draw = np.random.default_rng(0)
    maps = {f"P{level}": np.zeros((1, 64 >> level, 96 >> level, 1)) for level in (3, 4)}
    anchors = arrays(branch.anchors(maps, np.zeros((1, *IMAGE, 3))))
    return {
        "anchors": anchors,
        "logits": {
            name: floats(draw.normal(-1, 2, (batch, len(rows), K)))
            for name, rows in anchors.items()
        },
        "deltas": {
            name: floats(draw.normal(0, 0.5, (batch, len(rows), 4)))
            for name, rows in anchors.items()
        },
    }


def made_truth(**more):
    boxes = [
        [[8, 8, 30, 30], [40, 20, 90, 60], [0, 0, 0, 0]],
        [[50, 8, 70, 24], [0, 0, 0, 0], [0, 0, 0, 0]],
    ]
    return truth_of(boxes, [[1, 0, -1], [2, -1, -1]], **more)


def by_loop(stages, truth, box_loss):
    """Yields class loss, box loss and number of positives of each image."""
    names = sorted(stages["anchors"])
    anchors = np.concatenate([stages["anchors"][name] for name in names])
    labels, matches = arrays(DENSE_MATCH(anchors[None], truth))
    boxes, gt_labels = arrays(truth.boxes), arrays(truth.labels)
    for image in range(len(labels)):
        logits = np.concatenate([stages["logits"][name][image] for name in names])
        deltas = np.concatenate([stages["deltas"][name][image] for name in names])
        class_sum = box_sum = positives = 0.0
        for row, label in enumerate(labels[image]):
            if label == IGNORED:
                continue
            match = matches[image, row]
            for k in range(K):
                p = 1 / (1 + np.exp(-float(logits[row, k])))
                if label == POSITIVE and gt_labels[image, match] == k:
                    class_sum += -0.25 * (1 - p) ** 2 * np.log(p)
                else:
                    class_sum += -0.75 * p**2 * np.log(1 - p)
            if label == POSITIVE:
                positives += 1
                box_sum += box_loss(deltas[row], boxes[image, match], anchors[row])
        yield class_sum, box_sum, positives


def l1(deltas, box, anchor):
    width, height = anchor[2:] - anchor[:2]
    wanted = [
        (box[0] + box[2] - anchor[0] - anchor[2]) / 2 / width,
        (box[1] + box[3] - anchor[1] - anchor[3]) / 2 / height,
        np.log((box[2] - box[0]) / width),
        np.log((box[3] - box[1]) / height),
    ]
    return np.abs(deltas - wanted).sum()


def losses_of(branch, stages, truth):
    def losses(stages):
        return branch.losses(stages, truth, True)

    return outputs_of(losses, stages)


def test_losses_equal_a_plain_loop_over_anchors_and_classes():
    branch = branch_of()
    stages, truth = stages_of(branch), made_truth()
    sums, count = losses_of(branch, stages, truth)
    expected = list(by_loop(stages, truth, l1))
    assert all(positives > 1 for *_, positives in expected)
    assert count == 2
    classes = sum(one / positives for one, _, positives in expected)
    boxes = sum(one / positives for _, one, positives in expected)
    assert_allclose(sums["class_loss"], classes, rtol=1e-4)
    assert_allclose(sums["box_loss"], boxes, rtol=1e-4)


def test_a_coder_can_compare_decoded_boxes():
    coder = GIoUCoder()

    def loss(deltas, box, anchor):
        rows = (floats(v)[None, None] for v in (deltas, box, anchor))
        return float(coder.loss(*rows, np.array([[True]]))[0, 0])

    branch = branch_of(detections=DenseDetections(coder=coder))
    stages, truth = stages_of(branch), made_truth()
    sums, _ = losses_of(branch, stages, truth)
    expected = by_loop(stages, truth, loss)
    boxes = sum(one / positives for _, one, positives in expected)
    assert_allclose(sums["box_loss"], boxes, rtol=1e-4)


def test_an_image_that_fills_the_batch_and_crowds_do_not_count():
    branch = branch_of()
    stages = stages_of(branch)
    truth = made_truth(sample_weight=np.array([1, 0]))
    [(classes, boxes, positives), _] = by_loop(stages, truth, l1)
    sums, count = losses_of(branch, stages, truth)
    assert count == 1
    assert_allclose(sums["class_loss"], classes / positives, rtol=1e-4)
    assert_allclose(sums["box_loss"], boxes / positives, rtol=1e-4)
    crowd = np.array([[True, True, False], [True, False, False]])
    sums, count = losses_of(branch, stages, made_truth(is_crowd=crowd))
    assert (count, sums["box_loss"]) == (2, 0)
    assert np.isfinite(sums["class_loss"])


def test_without_objects_all_anchors_are_negative():
    branch = branch_of()
    stages = stages_of(branch)
    truth = truth_of(np.zeros((2, 1, 4)), [[-1], [-1]])
    sums, count = losses_of(branch, stages, truth)
    expected = sum(one for one, *_ in by_loop(stages, truth, l1))
    assert count == 2
    assert_allclose(sums["class_loss"], expected, rtol=1e-4)
    assert sums["box_loss"] == 0


def test_coarse_levels_start_from_the_pyramid_or_from_the_backbone():
    pyramid = {"P3": np.zeros((1, 4, 4, 2), "float32")}
    bottom_up = {"C3": np.ones((1, 4, 4, 5), "float32")}
    level = ConvolvedLevels(2)
    above = branch_of(coarse_level=level, coarse_source="bottom_up")
    assert np.abs(arrays(above.levels(pyramid, bottom_up)["P4"])).max() > 0
    assert level.convolutions["P4"].kernel.shape == (3, 3, 5, 2)
    levels = branch_of(coarse_level=ConvolvedLevels(2)).levels(pyramid, bottom_up)
    assert list(levels) == ["P3", "P4", "P5"]
    assert np.abs(arrays(levels["P4"])).max() == 0


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="received coarse_source='C5'"):
        branch_of(coarse_source="C5")
    with pytest.raises(ValueError, match=r"there are, 6; received num_anchors=9"):
        branch_of(dense_predictor=DensePredictor(K))


def test_its_columns_repeat_for_each_anchor():
    branch = branch_of()
    features = {"P3": np.zeros((1, 2, 2, 4), "float32")}
    branch.dense_predictor(features, features)
    [columns] = branch.class_columns()
    assert columns.layer is branch.dense_predictor.class_logits
    assert (columns.repeats, columns.width, columns.background) == (6, 1, False)
    assert columns.count(18) == 3
