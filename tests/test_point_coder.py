import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import gradient, outputs_of

from keras_fpn.point_coder import PointCoder, centerness, side_distances

CODER = PointCoder()
ANCHOR = [4, 12, 12, 20]  # center (8, 16), side 8
BOX = [0, 4, 40, 24]
DISTANCES = [1.0, 1.5, 4.0, 1.0]  # 8, 12, 32 and 8 pixels


def floats(values):
    return np.array(values, "float32")


def test_distances_by_hand_are_in_sides_of_the_anchor():
    assert_array_equal(CODER.encode(floats(BOX), floats(ANCHOR)), DISTANCES)
    assert_array_equal(CODER.decode(floats(DISTANCES), floats(ANCHOR)), BOX)
    assert_array_equal(side_distances(floats(ANCHOR), floats(BOX)), [8, 12, 32, 8])


def test_a_point_outside_has_negative_distances():
    assert_array_equal(CODER.encode(floats([10, 4, 40, 24]), floats(ANCHOR))[0], -0.25)


def test_decoding_inverts_encoding():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 50, (7, 2, 2))
    boxes = floats(np.concatenate([corners.min(1), corners.max(1) + 1], axis=1))
    anchors = floats(np.concatenate([corners[:, 0] - 8, corners[:, 0] + 8], axis=1))
    again = CODER.decode(CODER.encode(boxes, anchors), anchors)
    assert_allclose(again, boxes, atol=1e-4)


def test_the_loss_compares_boxes_of_positives():
    boxes, anchors = floats([[BOX, [0] * 4, BOX]]), floats([[ANCHOR] * 3])
    distances = floats([[DISTANCES, DISTANCES, [1.0, 1.5, 4.0, 0.0]]])
    positive = np.array([[True, False, True]])
    loss = CODER.loss(distances, boxes, anchors, positive)
    # Of 20 rows the last box has 12, all within: IoU 0.6, nothing uncovered.
    assert_allclose(loss, [[0, 0, 0.4]], atol=1e-6)
    slope = gradient(lambda x: CODER.loss(x, boxes, anchors, positive), distances * 0)
    assert np.isfinite(slope).all()


def test_centerness_by_hand():
    distances = floats([[2, 3, 2, 3], [1, 3, 4, 3], [1, 1, 4, 9], [0, 3, 4, 3]])
    got = outputs_of(centerness, distances)
    assert_allclose(got, [1, 0.5, 1 / 6, 0], rtol=1e-6)


def test_centerness_outside_and_of_empty_boxes_is_zero():
    distances = floats([[-1, 3, 5, 3], [0, 0, 0, 0], [-2, 3, -1, 3]])
    assert_array_equal(outputs_of(centerness, distances), [0, 0, 0])
