import time

import numpy as np
import pytest
from PIL import Image
from skimage import data

from keras_fpn.data.segments import mask_segment
from keras_fpn.visualize import (
    class_color,
    draw_detections,
    draw_keypoints,
    draw_masks,
)

GREY = np.full((300, 400, 3), 128, np.uint8)
CONTOUR = 1  # pixels: root of 300 * 400 is 346, 346 / 300 = 1.2
RADIUS = 3  # 346 / 130 = 2.7, and a rim of 1


def mask_of(x1, y1, x2, y2, size=(300, 400)):
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def masked(masks, labels, photo=GREY):
    return np.asarray(draw_masks(photo, masks, labels))


def pointed(keypoints, labels, photo=GREY, **choices):
    return np.asarray(draw_keypoints(photo, keypoints, labels, **choices))


def is_color(pixels, label):
    return (pixels == class_color(label)).all(axis=-1)


# --- masks ---------------------------------------------------------------------------


def test_a_mask_is_tinted_inside_a_contour_of_its_class_color():
    pixels = masked([mask_of(50, 60, 150, 100)], [1])
    row = pixels[80]
    np.testing.assert_array_equal(row[50], class_color(1))
    np.testing.assert_array_equal(row[149], class_color(1))
    tint = np.rint(0.6 * 128 + 0.4 * np.array(class_color(1)))
    np.testing.assert_array_equal(row[51:149], np.tile(tint, (98, 1)))
    assert set(row[49]) == set(row[150])  # the rim: black or white
    assert set(row[49]) < {0, 255}
    assert (row[:49] == 128).all()
    assert (row[151:] == 128).all()
    assert (pixels[:59] == 128).all()
    assert (pixels[101:] == 128).all()


def test_run_lengths_are_drawn_like_their_pixels():
    masks = [mask_of(50, 60, 150, 100), mask_of(100, 80, 200, 280)]
    runs = [mask_segment(mask) for mask in masks]
    np.testing.assert_array_equal(masked(runs, [1, 0]), masked(masks, [1, 0]))
    with pytest.raises(ValueError, match=r"dtype=run lengths, shape=\(1, \(5, 5\)\)"):
        masked([mask_segment(np.ones((5, 5)))], [0])
    with pytest.raises(ValueError, match=r"shape=\(2, \(300, 400\)\), labels \(1,\)"):
        masked(runs, [0])


def test_the_photo_shows_through_a_mask():
    photo = data.coffee()
    size = photo.shape[:2]
    pixels = masked([mask_of(100, 100, 400, 300, size)], [0], photo)
    inside = slice(110, 290), slice(110, 390)
    expected = 0.6 * photo[inside] + 0.4 * np.array(class_color(0))
    assert abs(pixels[inside] - expected).max() <= 0.5
    np.testing.assert_array_equal(pixels[:95], photo[:95])


def test_neighbors_of_one_class_are_told_apart():
    masks = [mask_of(50, 60, 100, 100), mask_of(100, 60, 150, 100)]
    row = masked(masks, [1, 1])[80]
    changes = np.flatnonzero((row[1:] != row[:-1]).any(axis=1))
    assert set(changes) & set(range(97, 103))
    assert (row[51:98] == row[60]).all()
    assert (row[103:149] == row[60]).all()


def test_the_first_of_overlapping_masks_lies_on_top():
    masks = [mask_of(50, 60, 100, 100), mask_of(50, 60, 100, 100)]
    for labels in ([0, 1], [1, 0]):
        assert is_color(masked(masks, labels)[80, 50], labels[0])


def test_contours_grow_with_the_photo():
    photo = np.full((2400, 3200, 3), 128, np.uint8)  # 8 times as large
    mask = mask_of(400, 480, 1200, 800, photo.shape[:2])
    row = masked([mask], [1], photo)[640]
    assert is_color(row, 1).sum() == 2 * 9  # root of the area 2771, 2771 / 300 = 9.2


def test_masks_reach_the_border_without_a_contour_there():
    pixels = masked([mask_of(0, 0, 400, 300)], [1])
    assert not is_color(pixels, 1).any()  # the object goes on outside
    assert (pixels == pixels[0, 0]).all()
    assert (pixels != 128).any()


def test_the_smallest_mask_is_its_contour():
    pixels = masked([mask_of(399, 299, 400, 300)], [2])
    assert is_color(pixels[299, 399], 2)
    assert is_color(pixels, 2).sum() == 1


def test_empty_masks_and_none_leave_the_photo_as_it_is():
    nothing = np.zeros((1, 300, 400), bool)
    np.testing.assert_array_equal(masked(nothing, [3]), GREY)
    np.testing.assert_array_equal(masked(nothing[:0], []), GREY)
    np.testing.assert_array_equal(masked([], []), GREY)


def test_the_photo_itself_is_not_drawn_on():
    photo = GREY.copy()
    masked([mask_of(50, 60, 150, 100)], [1], photo)
    pointed([[[20, 30, 2]]], [1], photo)
    np.testing.assert_array_equal(photo, GREY)


def test_what_is_drawn_is_a_photo_for_the_next_to_draw_on():
    photo = np.full((480, 640, 3), 128, np.uint8)
    picture = draw_masks(photo, [mask_of(50, 60, 150, 100, (480, 640))], [1])
    picture = draw_keypoints(picture, [[[100, 80, 2]]], [0])
    assert isinstance(picture, Image.Image)
    assert picture.size == (640, 480)
    names = ["a", "b"]
    pixels = np.asarray(
        draw_detections(picture, [[40, 50, 160, 110]], [1], [0.9], names)
    )
    assert is_color(pixels[80, 37], 1)  # the box,
    assert is_color(pixels[80, 50], 1)  # the mask's contour
    assert is_color(pixels[80, 100], 0)  # and the point in the middle


@pytest.mark.parametrize(
    ("masks", "labels", "message"),
    [
        (
            np.zeros((1, 300, 400), np.uint8),
            [0],
            r"bool \('n', 300, 400\), .*received masks of dtype=uint8",
        ),
        (np.zeros((1, 400, 300), bool), [0], r"shape=\(1, 400, 300\), labels \(1,\)"),
        (np.zeros((2, 300, 400), bool), [0], r"shape=\(2, 300, 400\), labels \(1,\)"),
        (np.zeros((300, 400), bool), [0], r"shape=\(300, 400\), labels \(1,\)"),
        ([], [0], r"shape=\(0,\), labels \(1,\)"),
        (np.ones((1, 300, 400), bool), [-1], r"labels \[-1\]. Remove the padding"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, labels, message):
    with pytest.raises(ValueError, match=message):
        masked(masks, labels)


# --- keypoints -----------------------------------------------------------------------


def test_a_visible_keypoint_is_a_disc_around_its_place():
    pixels = pointed([[[100.5, 50.5, 2]]], [0])  # the middle of pixel 100, 50
    disc = is_color(pixels, 0)
    rows, columns = np.nonzero(disc)
    assert (columns.min(), columns.max()) == (100 - RADIUS, 100 + RADIUS)
    assert (rows.min(), rows.max()) == (50 - RADIUS, 50 + RADIUS)
    assert disc[50, 100]
    changed = (pixels != 128).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == (96, 104)  # with its rim
    assert (rows.min(), rows.max()) == (46, 54)


def test_a_hidden_keypoint_has_a_hole_and_an_unannotated_one_is_not_drawn():
    points = [[100.5, 50.5, 1], [200.5, 50.5, 0], [0, 0, 0]]
    pixels = pointed([points], [0])
    assert not is_color(pixels[50, 100], 0)
    assert is_color(pixels[50, 100 - RADIUS], 0)
    assert (pixels[:, 150:] == 128).all()
    assert (pixels[:20, :20] == 128).all()


def test_lines_join_keypoints_that_are_both_there():
    points = [[50, 100, 2], [150, 100, 1], [250, 100, 2], [350, 100, 0]]
    pixels = pointed([points], [1], skeleton=[(0, 1), (2, 3)])
    on_line = is_color(pixels[99:101], 1).any(axis=0)
    assert on_line[60:140].all()
    assert not on_line[160:240].any()  # no line asked for
    assert not on_line[260:].any()  # its other end is not annotated


def test_the_first_objects_keypoints_lie_on_top():
    points = [[[100, 50, 2]], [[100, 50, 2]]]
    for labels in ([0, 1], [1, 0]):
        assert is_color(pointed(points, labels)[50, 100], labels[0])


def test_keypoints_grow_with_the_photo_and_stay_visible_on_small_ones():
    for scale, radius in ((1 / 8, 2), (8, 21)):  # 2771 / 130 = 21.3
        photo = np.full((int(300 * scale), int(400 * scale), 3), 128, np.uint8)
        x, y = int(100 * scale), int(50 * scale)
        pixels = pointed([[[x + 0.5, y + 0.5, 2]]], [0], photo)
        assert is_color(pixels[y], 0).sum() == 2 * radius + 1


def test_keypoints_outside_are_cut_off():
    pixels = pointed([[[0, 0, 2], [400, 300, 2], [-50, 900, 2]]], [0])
    assert is_color(pixels[0, 0], 0)
    assert is_color(pixels[299, 399], 0)


@pytest.mark.parametrize("far", [1e12, 1e300])
def test_a_line_to_a_far_keypoint_is_as_one_that_leaves_the_photo(far):
    def drawn(x):
        return pointed([[[20, 20, 2], [x, 20, 2]]], [0], skeleton=[(0, 1)])

    start = time.perf_counter()
    pixels = drawn(far)
    assert time.perf_counter() - start < 5  # Pillow goes along all of it in 9 seconds
    assert is_color(pixels, 0)[19:21, 30:].any(axis=0).all()
    np.testing.assert_array_equal(pixels, drawn(700))


def test_no_keypoints_leave_the_photo_as_it_is():
    for keypoints in ([], np.zeros((0, 17, 3))):
        np.testing.assert_array_equal(pointed(keypoints, []), GREY)
    np.testing.assert_array_equal(pointed(np.zeros((2, 17, 3)), [0, 0]), GREY)


@pytest.mark.parametrize(
    ("keypoints", "labels", "skeleton", "message"),
    [
        ([[[0, 0, 2]]], [0, 1], (), r"shape \(1, 1, 3\), labels \(2,\)"),
        ([[0, 0, 2]], [0], (), r"\(n, J, 3\), .*shape \(1, 3\), labels \(1,\)"),
        ([[[0, 0]]], [0], (), r"shape \(1, 1, 2\)"),
        ([[[0, np.nan, 2]]], [0], (), r"finite; received keypoints=.*nan"),
        ([[[0, 0, 2]]], [-1], (), r"labels \[-1\]. Remove the padding"),
        ([[[0, 0, 2]]], [0], [(0, 1)], r"keypoints 0..0; received .*with \[0, 1\]"),
        ([[[0, 0, 2]]], [0], [(-1, 0)], r"received skeleton with \[-1, 0\]"),
    ],
)
def test_keypoints_that_do_not_fit_are_refused(keypoints, labels, skeleton, message):
    with pytest.raises(ValueError, match=message):
        pointed(keypoints, labels, skeleton=skeleton)
