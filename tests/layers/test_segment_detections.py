"""The best windows, and their masks as results."""

import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

from keras_fpn.layers import SegmentDetections, TopSegments

# Centers at x = 0, 8, 16, 24 on P3 and 0 on P4; y = 0.
WINDOWS = {
    "P3": np.array([[x - 5, -5, x + 5, 5] for x in (0, 8, 16, 24)], "float32"),
    "P4": np.array([[-10, -10, 10, 10]], "float32"),
}
SIZES = np.array([[32, 32], [32, 24]], "float32")
LOGITS = np.array([[0, 2, 1, 3, -1], [0, 2, 1, 3, -1]], "float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float32(x)))


def top(layer=None, **limits):
    layer = layer or TopSegments()
    return outputs_of(lambda *x: layer(*x, **limits), LOGITS, WINDOWS, SIZES)


def windows_and_more(batch, count, seed):
    draw = np.random.default_rng(seed)
    corners = draw.uniform(0, 50, (count, 2))
    windows = np.concatenate([corners, corners + 8], axis=1).astype("float32")
    logits = draw.normal(size=(batch, count + 2)).astype("float32")
    sizes = np.full((batch, 2), 60, "float32")
    return logits, {"P3": windows, "P4": windows[:2]}, sizes


WINDOW_SHAPES = {"P3": (None, 4), "P4": (2, 4)}


def test_the_choice_keeps_what_a_layer_owes():
    check_layer(
        TopSegments,
        {"score_threshold": 0.4, "max_detections": 3},
        windows_and_more(2, 5, seed=0),
        ((None, None), WINDOW_SHAPES, (None, 2)),
        windows_and_more(1, 4, seed=1),
        half="float32",
    )


def test_the_best_windows_centered_in_the_image_are_chosen():
    indices, scores = top(TopSegments(max_detections=4))
    # The second image is 24 wide: window 3 is centered at 24, in its padding.
    assert_array_equal(indices, [[3, 1, 2, 0], [1, 2, 0, 4]])
    expected = sigmoid([[3, 2, 1, 0], [2, 1, 0, -1]])
    assert_allclose(scores, expected, rtol=1e-6)
    assert indices.dtype == np.int32


def test_more_slots_than_windows_are_padded():
    indices, scores = top(TopSegments(max_detections=7))
    assert_array_equal(scores > 0, [[True] * 5 + [False] * 2, [True] * 4 + [False] * 3])
    assert indices.max() <= 4


@pytest.mark.parametrize(
    ("own", "asked", "count"),
    [
        ({"score_threshold": 0.5}, {}, 3),  # above it, not at it
        ({"max_detections": 2}, {}, 2),
        ({"score_threshold": 0.99, "max_detections": 1}, {"score_threshold": 0.1}, 1),
        ({"max_detections": 1}, {"max_detections": 300}, 5),
        ({}, {"score_threshold": 0.8}, 2),
    ],
)
def test_limits_leave_out_the_last(own, asked, count):
    _, scores = top(TopSegments(**own), **asked)
    assert (scores[0] > 0).sum() == count
    assert (scores[0, :count] > 0).all()


def detection_inputs(batch, count, seed):
    draw = np.random.default_rng(seed)
    _, windows, sizes = windows_and_more(batch, count, seed)
    indices = draw.integers(0, count + 2, (batch, 3)).astype("float32")
    scores = -np.sort(-draw.uniform(0, 1, (batch, 3)), axis=1).astype("float32")
    predictions = draw.normal(size=(batch, 3, 10)).astype("float32")
    return indices, scores, predictions, windows, sizes


def test_the_results_keep_what_a_layer_owes():
    check_layer(
        SegmentDetections,
        {"mask_threshold": 0.3},
        detection_inputs(2, 5, seed=0),
        ((None, 3), (None, 3), (None, 3, 10), WINDOW_SHAPES, (None, 2)),
        detection_inputs(1, 4, seed=1),
        half="float32",
    )


def detected(masks, indices, scores, **arguments):
    """The results of one image of 32 x 24 pixels, for logits of masks (n, m, m)."""
    masks = np.array(masks, "float32")
    flat = masks.reshape(1, len(masks), -1)
    predictions = np.concatenate([flat[..., :1] * 0, flat], axis=-1)
    found = outputs_of(
        SegmentDetections(**arguments),
        np.array([indices]),
        np.array([scores], "float32"),
        predictions,
        WINDOWS,
        SIZES[1:],
    )
    return {name: value[0] for name, value in found.items()}


def test_boxes_are_around_the_covered_cells_within_the_image():
    masks = np.full((4, 5, 5), -3.0)
    masks[0, 3, 1:3] = 2  # one row, two columns
    masks[1, 0, 0] = masks[1, 4, 2] = 0  # exactly the threshold
    masks[3] = 3
    found = detected(masks, [2, 1, 4, 0], [0.9, 0.8, 0.7, 0.0])
    # Window 2 is x 11..21, y -5..5, in cells of 2: columns 13..17, row 1..3.
    assert_allclose(found["boxes"][0], [13, 1, 17, 3])
    # Window 1 is x 3..13, y -5..5: columns 3..9, all rows, clipped to the image.
    assert_allclose(found["boxes"][1], [3, 0, 9, 5])
    # Without a covered cell it is the window: x -10..10, y -10..10.
    assert_allclose(found["boxes"][2], [0, 0, 10, 10])
    assert_array_equal(found["boxes"][3], [0] * 4)  # padding
    assert_array_equal(found["labels"], [0, 0, 0, -1])
    assert found["num_detections"] == 3
    assert_allclose(found["masks"][:3], sigmoid(masks[:3]), rtol=1e-5)
    assert not found["masks"][3].any()
    assert_array_equal(
        found["mask_windows"],
        [[11, -5, 21, 5], [3, -5, 13, 5], [-10] * 2 + [10] * 2, [0] * 4],
    )


def test_the_threshold_decides_which_cells_are_covered():
    masks = np.full((1, 2, 2), -3.0)
    masks[0, 0, 0], masks[0, 1, 1] = 3, -0.5  # 0.95 and 0.38
    strict = detected(masks, [2], [0.9])
    loose = detected(masks, [2], [0.9], mask_threshold=0.3)
    assert_allclose(strict["boxes"], [[11, 0, 16, 0]])  # its upper half is outside
    assert_allclose(loose["boxes"], [[11, 0, 21, 5]])
