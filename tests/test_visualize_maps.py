import numpy as np
import pytest

from keras_fpn.visualize import class_color, draw_panoptic, draw_semantic

SIZE = 450, 600  # large enough not to be enlarged
GREY = np.full((*SIZE, 3), 100, np.uint8)
NAMES = ("cat", "dog")


def tinted(label):
    """The grey below 40 % of the color of a class."""
    return np.rint(0.6 * 100 + 0.4 * np.array(class_color(label))).astype(int)


def halves(left, right):
    labels = np.full(SIZE, right)
    labels[:, :300] = left
    return labels


def differing(one, other):
    return (np.asarray(one, int) != np.asarray(other, int)).any(axis=2)


def segment(number, label, isthing=True):
    return {"id": number, "label": label, "isthing": isthing}


def test_classes_are_tinted_and_outlined_in_their_colors():
    pixels = np.asarray(draw_semantic(GREY, halves(0, 1).astype(np.uint8), ["", ""]))
    assert (abs(pixels[:, :290].astype(int) - tinted(0)) <= 1).all()
    assert (abs(pixels[:, 310:].astype(int) - tinted(1)) <= 1).all()
    np.testing.assert_array_equal(pixels[0, 299], class_color(0))
    np.testing.assert_array_equal(pixels[0, 300], class_color(1))


def test_what_is_ignored_stays_as_it_was():
    picture = draw_semantic(GREY, halves(255, 1), NAMES)
    np.testing.assert_array_equal(np.asarray(picture)[:, :300], GREY[:, :300])
    nothing = draw_semantic(GREY, np.full(SIZE, 255, np.uint8), NAMES)
    np.testing.assert_array_equal(np.asarray(nothing), GREY)


def test_names_stand_in_their_segments():
    labels = halves(0, 1)
    unnamed = draw_semantic(GREY, labels, ["", ""])
    for place, names in enumerate((["cat", ""], ["", "dog"])):
        letters = differing(draw_semantic(GREY, labels, names), unnamed)
        assert letters.any()
        assert letters[labels == 1 - place].sum() == 0
    # No room: a segment narrower than its name has none.
    thin = np.zeros(SIZE, int)
    thin[:, 50:60] = 1
    assert not differing(
        draw_semantic(GREY, thin, ["", "zebra"]), draw_semantic(GREY, thin, ["", ""])
    ).any()


def test_things_have_the_colors_of_boxes_and_stuff_others():
    numbers = halves(7, 300)
    segments = [segment(7, 1), segment(300, 0, isthing=False)]
    pixels = np.asarray(draw_panoptic(GREY, numbers, segments, ["", ""], [""]))
    assert (abs(pixels[:, :290].astype(int) - tinted(1)) <= 1).all()
    assert (abs(pixels[:, 310:].astype(int) - tinted(2)) <= 1).all()


def test_neighbors_of_one_class_are_told_apart():
    segments = [segment(1, 0), segment(2, 0)]
    two = draw_panoptic(GREY, halves(1, 2), segments, ["", ""], [])
    one = draw_panoptic(GREY, halves(1, 1), segments[:1], ["", ""], [])
    assert differing(two, one)[:, 299:301].all()
    assert not differing(two, one)[:, :290].any()


def test_small_photos_are_enlarged_and_titles_stand_above():
    small = np.full((30, 40, 3), 100, np.uint8)
    labels = np.zeros((30, 40), np.uint8)
    labels[:, :20] = 1
    picture = draw_semantic(small, labels, ["", ""])
    assert picture.size == (40 * 12, 30 * 12)  # the root of 1200 is 34.6; 400 / 34.6
    pixels = np.asarray(picture).astype(int)
    assert (abs(pixels[:, : 20 * 12 - 10] - tinted(1)) <= 1).all()
    titled = draw_semantic(small, labels, ["", ""], "a title")
    assert titled.width == picture.width
    strip = titled.height - picture.height
    assert strip > 10
    np.testing.assert_array_equal(np.asarray(titled)[strip:], np.asarray(picture))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: draw_semantic(GREY, np.zeros((3, 4), int), NAMES),
            r"\(450, 600\); received semantic_map of shape \(3, 4\)",
        ),
        (lambda: draw_semantic(GREY, halves(0, 2), NAMES), r"0\.\.1.*labels \[2\]"),
        (
            lambda: draw_panoptic(GREY, halves(1, 2), [segment(1, 0)], NAMES, ()),
            r"received \[2\] and segments \[1\]",
        ),
        (
            lambda: draw_panoptic(
                GREY, halves(1, 1), [segment(1, 0, isthing=False)], NAMES, ()
            ),
            r"received labels \[0\]",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
