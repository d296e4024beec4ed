"""Proposals as the results of a detector."""

import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

from keras_fpn.layers import ProposalDetections

ROIS = np.array(
    [[[0, 0, 10, 10], [5, 5, 9, 9], [1, 2, 3, 4], [0, 0, 0, 0]], [[0] * 4] * 4],
    "float32",
)
SCORES = np.array([[0.9, 0.5, 0.2, 0.0], [0.0] * 4], "float32")


def detected(layer=None, **limits):
    layer = layer or ProposalDetections()
    return outputs_of(lambda *x: layer(*x, **limits), ROIS, SCORES)


def sorted_scores(batch, count, seed):
    generator = np.random.default_rng(seed)
    rois = generator.uniform(0, 90, (batch, count, 4)).astype("float32")
    scores = -np.sort(-generator.uniform(0, 1, (batch, count)), axis=1)
    return rois, scores.astype("float32")


def test_keeps_what_a_layer_owes():
    check_layer(
        ProposalDetections,
        {"score_threshold": 0.4, "max_detections": 3},
        sorted_scores(2, 5, seed=0),
        ((None, 5, 4), (None, 5)),
        sorted_scores(1, 5, seed=1),
        half="float32",
    )


def test_proposals_are_detections_of_class_0_and_padding_is_none():
    found = detected()
    assert_array_equal(found["num_detections"], [3, 0])
    assert_array_equal(found["labels"], [[0, 0, 0, -1], [-1] * 4])
    assert_array_equal(found["boxes"], ROIS)
    assert_allclose(found["scores"], SCORES)


@pytest.mark.parametrize(
    ("own", "asked", "count"),
    [
        ({"score_threshold": 0.5}, {}, 1),  # above it, not at it
        ({"max_detections": 2}, {}, 2),
        ({"score_threshold": 0.95, "max_detections": 1}, {"score_threshold": 0.1}, 1),
        ({"max_detections": 1}, {"max_detections": 300}, 3),
        ({}, {"score_threshold": 0.3}, 2),
    ],
)
def test_limits_leave_out_the_last(own, asked, count):
    found = detected(ProposalDetections(**own), **asked)
    assert found["num_detections"][0] == count
    assert_array_equal(found["boxes"][0, :count], ROIS[0, :count])
    assert not found["boxes"][0, count:].any()
    assert (found["labels"][0, count:] == -1).all()
