import numpy as np
import pytest
from keras import ops
from plain_loops import iou_by_loop

from keras_fpn.boxes import (
    box_areas,
    box_sides,
    clip_boxes,
    generalized_iou,
    intersections,
    iou_of_areas,
    split_boxes,
    take_rows,
)


def floats(values):
    return np.array(values, "float32")


def iou(boxes, others):
    """The IoU of each pair of boxes, an array; leading axes broadcast."""
    shared = intersections(boxes, others)
    areas = box_areas(boxes), box_areas(others)
    return ops.convert_to_numpy(iou_of_areas(shared, *areas))


def pairwise_iou(boxes, others):
    return iou(boxes[..., :, None, :], others[..., None, :, :])


def random_boxes(generator, *shape):
    corner = generator.uniform(-20, 60, (*shape, 2))
    sides = generator.uniform(0, 40, (*shape, 2))
    return floats(np.concatenate([corner, corner + sides], axis=-1))


def test_sides_and_area_count_no_extra_pixel():
    box = floats([[10, 20, 13, 24]])
    assert [float(side[0]) for side in split_boxes(box)] == [10, 20, 13, 24]
    width, height = box_sides(box)
    assert (float(width[0]), float(height[0])) == (3, 4)  # 13 - 10, 24 - 20
    assert float(box_areas(box)[0]) == 12


def test_clipping_moves_corners_onto_the_border_of_each_image():
    boxes = floats([[[-5, -6, 50, 60]], [[-5, -6, 50, 60]]])
    sizes = floats([[40, 30], [100, 45]])  # height, width
    clipped = ops.convert_to_numpy(clip_boxes(boxes, sizes))
    np.testing.assert_array_equal(clipped, [[[0, 0, 30, 40]], [[0, 0, 45, 60]]])


def test_clipping_empties_a_box_that_lies_outside():
    boxes = floats([[[40, 50, 60, 70], [-9, -8, -2, -1]]])
    clipped = ops.convert_to_numpy(clip_boxes(boxes, floats([[20, 30]])))
    np.testing.assert_array_equal(clipped, [[[30, 20, 30, 20], [0, 0, 0, 0]]])


def test_clipping_takes_any_number_of_axes_between():
    boxes = random_boxes(np.random.default_rng(0), 2, 3, 5)
    sizes = floats([[10, 40], [35, 20]])
    deep = ops.convert_to_numpy(clip_boxes(boxes, sizes))
    flat = ops.convert_to_numpy(clip_boxes(boxes.reshape(2, 15, 4), sizes))
    np.testing.assert_array_equal(deep, flat.reshape(2, 3, 5, 4))
    one_each = ops.convert_to_numpy(clip_boxes(boxes[:, 0, 0], sizes))
    np.testing.assert_array_equal(one_each, deep[:, 0, 0])


def test_clipping_twice_changes_nothing_more():
    boxes, sizes = random_boxes(np.random.default_rng(1), 1, 50), floats([[30, 40]])
    once = ops.convert_to_numpy(clip_boxes(boxes, sizes))
    assert not np.array_equal(once, boxes)
    np.testing.assert_array_equal(ops.convert_to_numpy(clip_boxes(once, sizes)), once)


def test_iou_by_hand():
    box = floats([0, 0, 4, 4])
    others = floats(
        [
            [2, 1, 6, 4],  # shared 2 x 3 = 6, union 16 + 12 - 6 = 22
            [1, 1, 3, 3],  # inside: 4 of 16
            [4, 0, 8, 4],  # they touch
            [5, 5, 6, 6],  # apart on both axes: not -1 x -1 = 1 shared
            [0, 0, 4, 4],
        ]
    )
    shared = ops.convert_to_numpy(intersections(box, others))
    np.testing.assert_array_equal(shared, [6, 4, 0, 0, 16])
    got = iou(box, others)
    np.testing.assert_allclose(got, [6 / 22, 4 / 16, 0, 0, 1], rtol=1e-6)


def test_iou_with_an_empty_box_is_zero():
    boxes = floats([[3, 3, 3, 3], [3, 3, 3, 3], [0, 5, 9, 5], [0, 0, 9, 9]])
    others = floats([[3, 3, 3, 3], [0, 0, 9, 9], [0, 5, 9, 5], [4, 4, 4, 4]])
    np.testing.assert_array_equal(iou(boxes, others), 0.0)


def test_iou_of_pairs_equals_a_loop():
    generator = np.random.default_rng(2)
    boxes, others = random_boxes(generator, 2, 7), random_boxes(generator, 2, 5)
    got = pairwise_iou(boxes, others)
    expected = [
        [[iou_by_loop(box, other) for other in theirs] for box in ours]
        for ours, theirs in zip(boxes, others, strict=True)
    ]
    assert 0 < np.count_nonzero(expected) < np.size(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_iou_is_symmetric_and_one_with_itself():
    boxes = random_boxes(np.random.default_rng(3), 6)
    found = pairwise_iou(boxes, boxes)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-6)


def test_iou_stays_when_boxes_move_and_grow_together():
    boxes = random_boxes(np.random.default_rng(4), 20)
    moved = 3 * boxes + floats([7, -2, 7, -2])
    before = pairwise_iou(boxes, boxes)
    after = pairwise_iou(moved, moved)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_no_boxes_give_no_ious():
    none, some = np.zeros((0, 4), "float32"), floats([[0, 0, 1, 1]] * 3)
    assert pairwise_iou(none, some).shape == (0, 3)
    assert pairwise_iou(some, none).shape == (3, 0)
    assert tuple(clip_boxes(none[None], floats([[5, 5]])).shape) == (1, 0, 4)


def test_rows_are_taken_from_their_own_image():
    rows = np.arange(2 * 3 * 2, dtype="float32").reshape(2, 3, 2)
    got = ops.convert_to_numpy(take_rows(rows, np.array([[2, 0, 2, 1], [1, 1, 0, 2]])))
    np.testing.assert_array_equal(got[0], [[4, 5], [0, 1], [4, 5], [2, 3]])
    np.testing.assert_array_equal(got[1], [[8, 9], [8, 9], [6, 7], [10, 11]])


def test_a_box_of_less_than_a_square_pixel_has_an_iou():
    tiny = floats([0, 0, 0.5, 0.5])
    assert iou(tiny, tiny) == 1


def test_generalized_iou_by_hand():
    box = [0, 0, 4, 2]
    others = [
        [0, 0, 4, 2],  # the same: 1
        [2, 0, 6, 2],  # 4 of 12 shared, nothing uncovered: 1/3
        [8, 0, 12, 2],  # around both 24, covered 16: -8/24
        [4, 2, 6, 4],  # around both 24, covered 12: -12/24
        [0, 0, 4, 4],  # half of it: 1/2
    ]
    got = ops.convert_to_numpy(generalized_iou(floats(box), floats(others)))
    np.testing.assert_allclose(got, [1, 1 / 3, -1 / 3, -1 / 2, 1 / 2], rtol=1e-6)


def test_generalized_iou_of_empty_boxes_is_a_number():
    point = floats([3, 3, 3, 3])
    assert float(generalized_iou(point, point)) == 0
    assert float(generalized_iou(point, floats([3, 3, 7, 5]))) == 0  # around is the box
    assert float(generalized_iou(point, floats([4, 3, 8, 5]))) == pytest.approx(-0.2)
