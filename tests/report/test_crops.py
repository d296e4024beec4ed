import numpy as np
import pytest

from keras_fpn.report.crops import SIZE, draw_mistake, window
from keras_fpn.report.mistakes import Mistake
from keras_fpn.visualize import class_color

LABELS = {3: 0, 17: 1}


def test_the_window_is_centered_with_half_a_side_around():
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


def test_the_window_is_as_large_as_both_boxes_together_need():
    # From (90, 10) to (140, 150): 50 x 140, with context 100 x 280, and as wide to high
    # as 4 to 3, 373.3 x 280 around (115, 80), moved into the photo.
    boxes = [(100, 10, 140, 50), (90, 60, 130, 150)]
    assert window(boxes, (480, 640)) == (0, 0, 374, 280)
    moved = [(x1 + 400, y1 + 300, x2 + 400, y2 + 300) for x1, y1, x2, y2 in boxes]
    assert window(moved, (480, 640)) == (266, 200, 640, 480)


def test_the_window_has_the_pixels_that_it_covers_in_part():
    # 30.5 x 20.5 pixels around (115.75, 110.25): 61 x 41 with context, at least 64 x
    # 48, from (83.75, 86.25) to (147.75, 134.25).
    box = (100.5, 100, 131, 120.5)
    assert window([box], (480, 640)) == (83, 86, 148, 135)


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
    """Pixels, bool (H, W), that have a color."""
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


def test_the_object_that_a_box_is_matched_with_is_dotted():
    photo = np.full((480, 640, 3), 77, np.uint8)
    boxes = (20, 20, 120, 120), (220, 20, 320, 120), (420, 20, 520, 120)
    plain = Mistake(1, 3, boxes[0], None, "", boxes[1], 17, 0.4)
    shared = Mistake(1, 3, boxes[0], None, "", boxes[1], 17, 0.4, boxes[2])
    alone = drawn(draw_mistake(plain, photo, LABELS), class_color(1))
    picture = draw_mistake(shared, photo, LABELS)
    # The photo's middle 640 x 480 is shown at 3/4: boxes of 75 pixels.
    both = drawn(picture, class_color(1))
    assert both[:, 300:].any()
    line = both[round(20 * 0.75), 310:395]
    marks = np.flatnonzero(np.diff(line.astype(int)) == 1)
    assert len(marks) == pytest.approx(75 / 10, abs=1)  # dots of 5, 5 apart
    assert not alone[:, 300:].any()


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


@pytest.mark.parametrize(
    ("shape", "size"), [((1000, 1), (1, 360)), ((1, 1000), (480, 1))]
)
def test_the_picture_of_a_line_of_pixels_is_a_line_of_pixels(shape, size):
    photo = np.zeros((*shape, 3), np.uint8)
    picture = draw_mistake(Mistake(1, 3, (0, 0, 900, 900), 0.5, ""), photo, LABELS)
    assert picture.size == size


def inks(line, color):
    """What a line of pixels (n, 3) is drawn with: "c" color, "k" rim, "." photo."""
    line = np.asarray(line)
    names = np.full(len(line), ".")
    names[(line == color).all(axis=1)] = "c"
    names[(line == 0).all(axis=1)] = "k"
    return "".join(names)


def boxed(x1, y1, x2, y2, score=0.5):
    """The picture of a box, array (360, 480, 3), in which a pixel is the photo's."""
    photo = np.full((360, 480, 3), 77, np.uint8)
    # The other box makes the window as large as the photo.
    mistake = Mistake(1, 3, (x1, y1, x2, y2), score, "", (0, 0, 480, 360), 17)
    return np.asarray(draw_mistake(mistake, photo, LABELS))


def test_lines_are_four_pixels_wide_with_a_dark_rim_of_one():
    picture, color = boxed(100, 80, 300, 200), class_color(0)
    across = {
        "left": picture[140, 90:110],
        "right": picture[140, 290:310],
        "top": picture[70:90, 200],
        "bottom": picture[190:210, 200],
    }
    for side, line in across.items():
        drawn_with = inks(line, color)
        assert drawn_with.strip(".") == "kcccck", side
        # The line's middle lies on the box's side, at pixel 10 of these 20.
        assert abs(drawn_with.index("c") + 2 - 10) <= 1, side


def test_lines_on_the_photos_border_stay_whole():
    photo = np.full((360, 480, 3), 77, np.uint8)
    mistake = Mistake(1, 3, (0, 0, 480, 360), 0.5, "")
    picture = np.asarray(draw_mistake(mistake, photo, LABELS))
    color = class_color(0)
    for line in (
        picture[100, :20],
        picture[100, ::-1][:20],
        picture[:20, 100],
        picture[::-1, 100][:20],
    ):
        assert inks(line, color).strip(".") == "kcccck"
        assert inks(line, color).index("k") <= 1


@pytest.mark.parametrize(
    ("length", "dashes"),
    [(120, 6), (30, 2), (18, 2), (17, 1), (200, 9)],
)
def test_dashed_lines_begin_and_end_with_a_dash_of_about_12_pixels(length, dashes):
    # 120 pixels: 10 pieces of 12, or 11 with a dash at both ends, 6 dashes and 5 gaps.
    picture, color = boxed(100, 80, 100 + length, 320, None), class_color(0)
    row = inks(picture[80, 95 : 106 + length], color)
    # Without the upright sides' own ink at both ends.
    found = [run for run in row.replace("k", ".").split(".") if run]
    assert len(found) == dashes


def test_photos_that_cannot_be_read_are_named(tmp_path):
    mistake = Mistake(1, 3, (0, 0, 4, 4), 0.5, "")
    with pytest.raises(ValueError, match=r"gone\.png"):
        draw_mistake(mistake, tmp_path / "gone.png", LABELS)
