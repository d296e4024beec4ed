import numpy as np
import pytest

from keras_fpn.metrics.crops import SIZE, draw_mistake, window
from keras_fpn.metrics.mistakes import Mistake
from keras_fpn.visualize import class_color

LABELS = {3: 0, 17: 1}


def test_the_window_is_centred_with_half_a_side_around():
    # A box of 40 x 60: with context 80 x 120, and as wide to high as 4 to 3, 160 x 120.
    assert window([(300, 200, 340, 260)], (480, 640)) == (240, 170, 400, 290)


def test_the_window_holds_both_boxes():
    left, top, right, bottom = window([(10, 10, 20, 20), (90, 70, 99, 80)], (480, 640))
    assert left <= 10
    assert top <= 10
    assert right >= 99
    assert bottom >= 80


def test_the_window_of_a_tiny_object_shows_where_it_is():
    assert window([(300, 200, 302, 202)], (480, 640)) == (269, 177, 333, 225)


@pytest.mark.parametrize(
    "box", [(0, 0, 5, 5), (630, 470, 640, 480), (-9, -9, 700, 500), (700, 9, 710, 20)]
)
def test_the_window_stays_within_the_photo(box):
    left, top, right, bottom = window([box], (480, 640))
    assert 0 <= left < right <= 640
    assert 0 <= top < bottom <= 480


def test_the_window_of_a_photo_smaller_than_that_is_the_photo():
    assert window([(1, 1, 3, 3)], (5, 9)) == (0, 0, 9, 5)


def drawn(picture, color):
    """Pixels, bool (H, W), that have a colour."""
    return (np.asarray(picture) == color).all(axis=2)


def test_what_was_found_is_solid_and_what_is_there_dashed():
    photo = np.full((480, 640, 3), 77, np.uint8)
    wrong = Mistake(1, 3, (100, 100, 200, 200), 0.5, "", (300, 100, 400, 200), 17)
    missed = Mistake(
        1, 3, (100, 100, 200, 200), None, "", (300, 100, 400, 200), 17, 0.4
    )
    for mistake, solid, dashed in ((wrong, 3, 17), (missed, 17, 3)):
        picture = draw_mistake(mistake, photo, LABELS)
        assert picture.size == SIZE
        found = drawn(picture, class_color(LABELS[solid]))
        there = drawn(picture, class_color(LABELS[dashed]))
        # The boxes are equally large: the dashes are about half of the line.
        assert 0.35 < there.sum() / found.sum() < 0.65


def test_a_box_lies_where_the_object_is():
    photo = np.zeros((480, 640, 3), np.uint8)
    photo[200:260, 300:340] = 200
    picture = draw_mistake(Mistake(1, 3, (300, 200, 340, 260), 0.5, ""), photo, LABELS)
    outline = drawn(picture, class_color(0))
    # The window is 160 x 120, its corner at 240, 170: three times enlarged.
    ys, xs = np.nonzero(outline)
    np.testing.assert_allclose([xs.min(), xs.max()], [3 * 60, 3 * 100], atol=4)
    np.testing.assert_allclose([ys.min(), ys.max()], [3 * 30, 3 * 90], atol=4)
    assert np.asarray(picture)[3 * 60, 3 * 80].min() > 190


def test_photos_that_cannot_be_read_are_named(tmp_path):
    mistake = Mistake(1, 3, (0, 0, 4, 4), 0.5, "")
    with pytest.raises(ValueError, match=r"gone\.png"):
        draw_mistake(mistake, tmp_path / "gone.png", LABELS)
