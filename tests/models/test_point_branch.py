"""The losses of FCOS, against plain NumPy."""

import numpy as np
from models.test_dense_branch import IMAGE, K, losses_of, made_truth
from models.truths import floats, truth_of
from numpy.testing import assert_allclose
from on_backend import arrays

from keras_fpn.layers import (
    DenseHead,
    MultiLevelAnchors,
    PointDetections,
    PointPredictor,
    SubsampledLevel,
)
from keras_fpn.matcher import IGNORED, POSITIVE
from keras_fpn.models import PointBranch, PointMatch

STRIDES = {"P3": (8,), "P4": (16,)}


def branch_of():
    return PointBranch(
        SubsampledLevel(),
        MultiLevelAnchors(STRIDES, ratios=(1.0,)),
        DenseHead(num_convs=1),
        PointPredictor(K),
        PointDetections(),
    )


def stages_of(branch, batch=2):
    draw = np.random.default_rng(0)
    maps = {f"P{level}": np.zeros((1, 64 >> level, 96 >> level, 1)) for level in (3, 4)}
    anchors = arrays(branch.anchors(maps, np.zeros((1, *IMAGE, 3))))

    def drawn(*shape):
        return {
            name: floats(draw.normal(0, 2, (batch, len(rows), *shape)))
            for name, rows in anchors.items()
        }

    deltas = {name: np.abs(rows) for name, rows in drawn(4).items()}
    stages = {"anchors": anchors, "logits": drawn(K), "deltas": deltas}
    return {**stages, "centerness": drawn()}


def giou_by_loop(box, other):
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    inner = [
        max(min(box[axis + 2], other[axis + 2]) - max(box[axis], other[axis]), 0)
        for axis in (0, 1)
    ]
    outer = [
        max(box[axis + 2], other[axis + 2]) - min(box[axis], other[axis])
        for axis in (0, 1)
    ]
    union = sum(areas) - inner[0] * inner[1]
    around = outer[0] * outer[1]
    return inner[0] * inner[1] / union - (around - union) / around


def by_loop(stages, truth):
    """Returns the sums of the three losses and the number of positives."""
    names = sorted(stages["anchors"])
    labels, matches = arrays(PointMatch()(stages["anchors"], truth))
    anchors = np.concatenate([stages["anchors"][name] for name in names])
    sums, positives = np.zeros(3), 0
    for image, weight in enumerate(arrays(truth.weights)):
        logits, deltas, central = (
            np.concatenate([stages[stage][name][image] for name in names])
            for stage in ("logits", "deltas", "centerness")
        )
        for row, label in enumerate(labels[image]):
            if label == IGNORED or weight == 0:
                continue
            match = matches[image, row]
            own = arrays(truth.labels)[image, match] if label == POSITIVE else -1
            for k in range(K):
                p = 1 / (1 + np.exp(-float(logits[row, k])))
                if k == own:
                    sums[0] += -0.25 * (1 - p) ** 2 * np.log(p)
                else:
                    sums[0] += -0.75 * p**2 * np.log(1 - p)
            if label != POSITIVE:
                continue
            positives += 1
            x, y = (anchors[row, :2] + anchors[row, 2:]) / 2
            stride = anchors[row, 2] - anchors[row, 0]
            x1, y1, x2, y2 = box = arrays(truth.boxes)[image, match]
            left, top, right, bottom = deltas[row] * stride
            predicted = [x - left, y - top, x + right, y + bottom]
            sums[1] += 1 - giou_by_loop(predicted, box)
            target = min(x - x1, x2 - x) / max(x - x1, x2 - x)
            target *= min(y - y1, y2 - y) / max(y - y1, y2 - y)
            target, p = np.sqrt(target), 1 / (1 + np.exp(-central[row]))
            sums[2] += -target * np.log(p) - (1 - target) * np.log(1 - p)
    return sums, positives


def test_losses_equal_a_plain_loop_over_points_and_classes():
    branch = branch_of()
    stages = stages_of(branch)
    for more in ({}, {"sample_weight": np.array([1, 0])}):
        truth = made_truth(**more)
        sums, count = losses_of(branch, stages, truth)
        expected, positives = by_loop(stages, truth)
        assert count == positives > 2
        assert_allclose([sums[n] for n in branch.loss_names], expected, rtol=1e-4)
        assert len(sums) == 3


def test_without_objects_all_points_are_negative():
    branch = branch_of()
    stages = stages_of(branch)
    truth = truth_of(np.zeros((2, 1, 4)), [[-1], [-1]])
    sums, count = losses_of(branch, stages, truth)
    expected, _ = by_loop(stages, truth)
    assert count == 0  # the detector divides by 1
    got = [sums[name] for name in branch.loss_names]
    assert_allclose(got, [expected[0], 0, 0], rtol=1e-4)
