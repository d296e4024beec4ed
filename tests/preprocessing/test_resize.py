import numpy as np
import pytest

from keras_fpn.preprocessing import (
    Preprocessing,
    boxes_to_photo,
    read_photo,
    resize,
    resized_size,
)


def test_the_shorter_side_becomes_min_size_unless_the_longer_would_be_too_long():
    assert resized_size((480, 640), 800, 1333) == (800, 1066)  # 640 * 800/480 = 1066.7
    assert resized_size((640, 480), 800, 1333) == (1066, 800)
    assert resized_size((500, 1000), 800, 1333) == (666, 1333)  # 1.333 * 500 = 666.5
    assert resized_size((480, 640), 320, 640) == (320, 426)  # 640 * 320/480 = 426.7


def test_odd_but_valid_photos_have_a_resized_size():
    assert resized_size((1, 1), 800, 1333) == (800, 800)
    assert resized_size((20000, 30), 800, 1333) == (1333, 1)  # 30 * 0.06665 = 1.9995
    assert resized_size((3, 1000), 800, 1333) == (3, 1333)


def test_sizes_are_rounded_down_in_float64_as_the_reference_does():
    sizes = {side: resized_size((side, side), 800, 1333) for side in range(100, 1400)}
    short = [side for side, size in sizes.items() if size != (800, 800)]
    assert len(short) == 64  # counted with torchvision 0.27.1
    assert {335, 369, 390, 539, 578, 607, 770} < set(short)
    assert {sizes[side] for side in short} == {(799, 799)}


def test_a_photo_too_oblong_to_resize_is_refused():
    message = r"at least 1 pixel; received size=\(20000, 10\).*make \(1333, 0\)"
    with pytest.raises(ValueError, match=message):
        resized_size((20000, 10), 800, 1333)


@pytest.mark.parametrize("bad", [0, -1, 800.0, True, None])
def test_sizes_that_are_no_number_of_pixels_are_refused(bad):
    with pytest.raises(ValueError, match=rf"min_size must .*min_size={bad}"):
        resized_size((4, 4), bad, 1333)
    with pytest.raises(ValueError, match=rf"max_size must .*max_size={bad}"):
        Preprocessing(max_size=bad)


def test_a_photo_without_pixels_has_no_resized_size():
    with pytest.raises(ValueError, match=r"must have pixels; received size=\(0, 5\)"):
        resized_size((0, 5), 800, 1333)


def test_resizing_two_pixels_to_four_blends_at_quarter_distances():
    row = np.repeat(np.array([[[0], [100]]], np.uint8), 3, axis=2)
    # Centres 0.5 and 1.5; the new ones, 0.25 0.75 1.25 1.75, minus half a pixel.
    resized = resize(row, (1, 4))
    assert resized.dtype == np.float32
    np.testing.assert_array_equal(resized[0, :, 1], [0, 25, 75, 100])


def test_halving_four_pixels_takes_two_of_them_and_is_not_antialiased():
    column = np.repeat(np.array([0, 10, 90, 200], np.uint8), 3).reshape(4, 1, 3)
    # Centres 1 and 3 lie between pixels 0, 1 and 2, 3: (0 + 10) / 2, (90 + 200) / 2.
    np.testing.assert_array_equal(resize(column, (2, 1))[:, 0, 0], [5, 145])
    # Centre 2 lies between pixels 1 and 2; antialiasing would blend all four.
    np.testing.assert_array_equal(resize(column, (1, 1))[0, 0], [50, 50, 50])


def naive_resize(image, size):
    """One output pixel at a time, in float64."""
    height, width = image.shape[:2]
    resized = np.zeros((*size, 3))
    for row in range(size[0]):
        for column in range(size[1]):
            y = max(0.0, (row + 0.5) * height / size[0] - 0.5)
            x = max(0.0, (column + 0.5) * width / size[1] - 0.5)
            top, left = int(y), int(x)
            for r, row_share in ((top, 1 - (y - top)), (top + 1, y - top)):
                for c, column_share in ((left, 1 - (x - left)), (left + 1, x - left)):
                    pixel = image[min(r, height - 1), min(c, width - 1)].astype(float)
                    resized[row, column] += row_share * column_share * pixel
    return resized


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((7, 5), (23, 16)),
        ((23, 40), (7, 13)),
        ((1, 1), (9, 9)),
        ((90, 1), (130, 1)),  # more rows than are resized at once
        ((9, 9), (9, 9)),
        ((50, 2), (3, 70)),
    ],
)
def test_resizing_equals_the_naive_loop(shape, size):
    image = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    resized = resize(image, size)
    assert resized.shape == (*size, 3)
    # In float32, positions are exact to 1e-5 here, and pixels differ by up to 255.
    np.testing.assert_allclose(resized, naive_resize(image, size), atol=2e-3)
    np.testing.assert_array_equal(resize(image.astype(np.float32), size), resized)


def test_positions_are_rounded_as_in_the_reference():
    ramp = np.zeros((1, 640, 3), np.uint8)
    ramp[0, 1::2] = 255  # neighbours as different as can be: positions show
    # What torch 2.12.1 computes; exact positions give 16.50563 and 249.49812.
    expected = [16.497803, 249.50592]
    resized = resize(ramp, (1, 1066))[0, [893, 1008], 0]
    np.testing.assert_allclose(resized, expected, atol=1e-4)


def test_an_identical_size_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (70, 31, 3), np.uint8)
    np.testing.assert_array_equal(resize(image, (70, 31)), image)


def test_views_resize_like_their_copies():
    image = np.random.default_rng(0).integers(0, 256, (12, 9, 4), np.uint8)
    view = read_photo(image)[::-1]
    np.testing.assert_array_equal(resize(view, (5, 7)), resize(view.copy(), (5, 7)))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (0, 4, 3)])
def test_images_of_another_shape_are_not_resized(shape):
    with pytest.raises(ValueError, match=r"\(H, W, 3\) with pixels; .*read_photo"):
        resize(np.zeros(shape), (2, 2))


def test_boxes_are_scaled_by_axis_and_not_clipped():
    boxes = boxes_to_photo([[8.0, 2.0, 90.0, 30.0]], (20, 80), (40, 40))
    assert boxes.dtype == np.float32
    # x by 40/80, y by 40/20; the photo is 40 wide and high.
    np.testing.assert_array_equal(boxes, [[4, 4, 45, 60]])


def test_no_boxes_stay_no_boxes():
    assert boxes_to_photo(np.zeros((0, 4)), (20, 80), (40, 40)).shape == (0, 4)


def test_a_whole_resized_photo_is_the_whole_photo():
    size = resized_size((607, 901), 800, 1333)
    box = boxes_to_photo([0, 0, size[1], size[0]], size, (607, 901))
    np.testing.assert_allclose(box, [0, 0, 901, 607], rtol=1e-6)
