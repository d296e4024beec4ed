import math

import numpy as np
import pytest
from keras import ops
from on_backend import gradient

from keras_fpn.box_coder import (
    MAX_LOG_SCALE,
    BoxCoder,
    GIoUCoder,
    decode_boxes,
    encode_boxes,
)

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def floats(values):
    return np.array(values, "float32")


def decoded(deltas, anchors, *weights):
    return ops.convert_to_numpy(decode_boxes(floats(deltas), floats(anchors), *weights))


def encoded(boxes, anchors, *weights):
    return ops.convert_to_numpy(encode_boxes(floats(boxes), floats(anchors), *weights))


def random_boxes(generator, *shape):
    corner = generator.uniform(-20, 60, (*shape, 2))
    sides = generator.uniform(1, 40, (*shape, 2))
    return floats(np.concatenate([corner, corner + sides], axis=-1))


ANCHOR = [0, 0, 10, 20]  # centre (5, 10), 10 wide, 20 high
BOX = [0, 5, 20, 25]  # centre (10, 15), 20 wide, 20 high
DELTAS = [0.5, 0.25, math.log(2), 0.0]  # 5 of 10, 5 of 20, 20 / 10, 20 / 20


def test_encoding_by_hand():
    np.testing.assert_allclose(encoded([BOX], [ANCHOR]), [DELTAS], atol=1e-6)


def test_decoding_moves_then_scales():
    np.testing.assert_allclose(decoded([DELTAS], [ANCHOR]), [BOX], atol=1e-5)


def test_weights_multiply_when_encoding_and_divide_when_decoding():
    weighted = [5.0, 2.5, 5 * math.log(2), 0.0]  # DELTAS times 10, 10, 5, 5
    np.testing.assert_allclose(encoded([BOX], [ANCHOR], WEIGHTS), [weighted], atol=1e-5)
    np.testing.assert_allclose(decoded([weighted], [ANCHOR], WEIGHTS), [BOX], atol=1e-5)


def test_each_weight_belongs_to_its_delta():
    weights = (2.0, 3.0, 5.0, 7.0)
    plain = encoded([[1, 2, 9, 30]], [ANCHOR])
    np.testing.assert_allclose(
        encoded([[1, 2, 9, 30]], [ANCHOR], weights), plain * weights, rtol=1e-5
    )


def test_decoding_inverts_encoding():
    generator = np.random.default_rng(0)
    boxes, anchors = random_boxes(generator, 3, 20), random_boxes(generator, 3, 20)
    for weights in ((1.0, 1.0, 1.0, 1.0), WEIGHTS, (2.0, 3.0, 5.0, 7.0)):
        deltas = encoded(boxes, anchors, weights)
        np.testing.assert_allclose(decoded(deltas, anchors, weights), boxes, atol=1e-3)


def test_no_deltas_leave_the_anchor():
    anchors = random_boxes(np.random.default_rng(1), 9)
    np.testing.assert_allclose(decoded(np.zeros((9, 4)), anchors), anchors, atol=1e-4)


def test_deltas_do_not_depend_on_place_or_scale():
    generator = np.random.default_rng(2)
    boxes, anchors = random_boxes(generator, 20), random_boxes(generator, 20)
    moved = [3 * b + floats([5, -7, 5, -7]) for b in (boxes, anchors)]
    np.testing.assert_allclose(
        encoded(*moved), encoded(boxes, anchors), rtol=1e-3, atol=1e-4
    )


def test_growth_is_limited_to_1000_px_from_16():
    assert math.isclose(math.exp(MAX_LOG_SCALE), 62.5)
    # 62.5 times 10 wide about x = 5, 62.5 times 20 high about y = 10.
    limit = [[5 - 312.5, 10 - 625, 5 + 312.5, 10 + 625]]
    for far in (MAX_LOG_SCALE, 5.0, 1e4):
        got = decoded([[0, 0, far, far]], [ANCHOR])
        np.testing.assert_allclose(got, limit, rtol=1e-5)
    # Limited after dividing by the weight: 10 / 5 is within it.
    got = decoded([[0, 0, 10, 0]], [ANCHOR], WEIGHTS)
    half = 5 * math.exp(2)
    np.testing.assert_allclose(got, [[5 - half, 0, 5 + half, 20]], rtol=1e-5)


def test_shrinking_is_not_limited():
    got = decoded([[0, 0, -20, -20]], [ANCHOR])  # exp(-20) of a side is nothing
    np.testing.assert_allclose(got, [[5, 10, 5, 10]], atol=1e-5)


def test_one_anchor_serves_several_classes():
    generator = np.random.default_rng(3)
    deltas = floats(generator.normal(size=(2, 5, 3, 4)))
    anchors = random_boxes(generator, 2, 5)
    together = decoded(deltas, anchors[:, :, None])
    assert together.shape == (2, 5, 3, 4)
    for label in range(3):
        np.testing.assert_allclose(
            together[:, :, label], decoded(deltas[:, :, label], anchors), rtol=1e-6
        )


def test_an_empty_anchor_stays_empty():
    got = decoded([[3, -2, 9, 9]], [[0, 0, 0, 0]])
    np.testing.assert_array_equal(got, [[0, 0, 0, 0]])


def test_no_boxes_are_fine():
    none = np.zeros((0, 4))
    assert encoded(none, none).shape == decoded(none, none).shape == (0, 4)


def test_a_coder_has_its_weights_and_the_end_of_the_parabola():
    coder = BoxCoder((2, 3, 5, 7), beta=0.5)
    assert coder.weights == (2.0, 3.0, 5.0, 7.0)
    boxes, anchors = floats([[1, 2, 9, 30]]), floats([ANCHOR])
    deltas = coder.encode(boxes, anchors)
    np.testing.assert_allclose(deltas, encoded(boxes, anchors, coder.weights))
    np.testing.assert_allclose(coder.decode(deltas, anchors), boxes, atol=1e-4)
    off = deltas + floats([[0.25, 0, 0, 2]])  # below and above beta
    loss = coder.loss(off[None], boxes[None], anchors[None], np.array([[True]]))
    np.testing.assert_allclose(loss, [[0.5 * 0.25**2 / 0.5 + 2 - 0.25]], rtol=1e-4)


def test_boxes_that_are_not_positive_have_no_loss_even_if_empty():
    coder = BoxCoder()
    none = ops.zeros((1, 2, 4))  # their logarithms are not numbers
    loss = coder.loss(none + 9, none, none, np.array([[False, False]]))
    np.testing.assert_array_equal(ops.convert_to_numpy(loss), [[0, 0]])


@pytest.mark.parametrize(
    ("weights", "beta"), [((1, 1, 1), 0.1), ((1, 1, 1, 0), 0.1), ((1, 1, 1, 1), -0.1)]
)
def test_weights_must_be_above_0_and_beta_not_below(weights, beta):
    with pytest.raises(ValueError, match=r"received weights=\(1.0, .*beta="):
        BoxCoder(weights, beta)


def test_a_beta_of_0_is_the_l1_loss():
    coder = BoxCoder(beta=0.0)
    anchors = floats([[ANCHOR]])
    deltas = coder.encode(anchors, anchors) + floats([[[0.25, 0, -0.5, 2]]])
    loss = coder.loss(deltas, anchors, anchors, np.array([[True]]))
    np.testing.assert_allclose(loss, [[2.75]], rtol=1e-5)


def test_a_coder_can_compare_the_decoded_boxes():
    coder = GIoUCoder(WEIGHTS)
    anchors = floats([[[0, 0, 4, 2]] * 3])
    # Without deltas boxes are their anchors: 1 - 1, 1 - 1/3 and 1 + 1/3, as in
    # test_boxes.py.
    boxes = floats([[[0, 0, 4, 2], [2, 0, 6, 2], [8, 0, 12, 2]]])
    positive = np.array([[True, True, True]])
    loss = coder.loss(np.zeros((1, 3, 4)), boxes, anchors, positive)
    np.testing.assert_allclose(loss, [[0, 2 / 3, 4 / 3]], atol=1e-6)
    loss = coder.loss(coder.encode(boxes, anchors), boxes, anchors, positive)
    np.testing.assert_allclose(loss, np.zeros((1, 3)), atol=1e-5)


def test_a_gradient_of_decoded_boxes_is_finite_beside_empty_ones():
    coder, none = GIoUCoder(), np.zeros((1, 2, 4), "float32")
    anchors, positive = floats([[ANCHOR, [0, 0, 0, 0]]]), np.array([[True, False]])
    boxes = floats([[BOX, [0, 0, 0, 0]]])
    got = gradient(lambda x: coder.loss(x, boxes, anchors, positive), none)
    assert np.isfinite(got).all()
    assert np.abs(got[0, 0]).max() > 0
    np.testing.assert_array_equal(got[0, 1], 0)
