import numpy as np
import pytest
from PIL import ImageFont
from skimage import data

from keras_fpn.visualize import boxes as visualize
from keras_fpn.visualize import (
    class_color,
    color_numbers,
    draw_detections,
    lettering,
)
from keras_fpn.visualize.colors import on_white

NAMES = ["person", "bicycle", "dining table"]
GREY = np.full((480, 640, 3), 128, np.uint8)
LINE = 3  # pixels, at 480x640: root of the area 554, font 554/36 = 15, line 15/6 -> 3


def drawn(photo=GREY, boxes=(), labels=(), scores=(), names=NAMES, title=None, **more):
    picture = draw_detections(photo, boxes, labels, scores, names, title, **more)
    return np.asarray(picture)


def has_color(pixels, label):
    return (pixels == class_color(label)).all(axis=2)


def test_a_box_is_outlined_in_its_class_color_and_nothing_else_changes():
    pixels = drawn(boxes=[[100, 200, 300, 400]], labels=[1], scores=[0.9])
    assert pixels.shape == GREY.shape
    middle = pixels[300]  # a row through both sides
    columns = np.flatnonzero(has_color(pixels, 1)[300])
    # x from 100 up to, not with, 300: the last pixel of the box is 299. Next to it
    # lies a thin rim, then the line, then another rim.
    np.testing.assert_array_equal(columns, [96, 97, 98, 301, 302, 303])
    assert (middle[100:300] == 128).all()
    assert (middle[:95] == 128).all()
    assert (middle[305:] == 128).all()
    assert set(middle[[95, 99, 300, 304]].ravel()) == {255}
    assert (pixels[410:] == 128).all()


@pytest.mark.parametrize(("side", "line"), [(4, 1), (16, 1), (17, 2), (32, 2), (33, 3)])
def test_lines_around_small_boxes_are_thin_and_hide_nothing_of_them(side, line):
    # At most a 16th of the shorter side, rounded up; the longer one does not matter.
    pixels = drawn(boxes=[[100, 200, 100 + side, 300]], labels=[1], scores=[0.9])
    columns = np.flatnonzero(has_color(pixels, 1)[250])
    left = np.arange(99 - line, 99)
    np.testing.assert_array_equal(columns, [*left, *(left + side + line + 2)])
    assert (pixels[200:300, 100 : 100 + side] == 128).all()


def test_no_detections_leave_the_photo_as_it_is():
    photo = data.coffee()
    np.testing.assert_array_equal(drawn(photo), photo)
    np.testing.assert_array_equal(drawn(photo, np.zeros((0, 4), np.float32)), photo)


def test_the_photo_itself_is_not_drawn_on():
    photo = GREY.copy()
    drawn(photo, [[10, 10, 50, 50]], [0], [0.5])
    np.testing.assert_array_equal(photo, GREY)


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 640, 480],
        [-50, -50, 700, 600],
        [600, 440, 640, 480],
        [0, 470, 30, 480],
        [630, 0, 640, 10],
        [-1e300, 100, 1e12, 1e300],  # places for its label are not tried as far
    ],
)
def test_boxes_and_labels_stay_inside_the_picture(box):
    pixels = drawn(boxes=[box], labels=[2], scores=[0.99])
    mask = has_color(pixels, 2)
    visible = np.clip(box, 0, [640, 480, 640, 480])
    x1, y1, x2, y2 = (int(side) for side in visible)
    beside = mask[(y1 + y2) // 2]  # a row through both sides
    assert beside[max(0, x1 - 4) : x1 + 4].any()
    assert beside[x2 - 4 : x2 + 4].any()
    below = mask[:, (x1 + x2) // 2]
    assert below[max(0, y1 - 4) : y1 + 4].any() or below[y2 - 4 : y2 + 4].any()
    # "dining table 0.99", 17 letters, whole: its ground is wider than 100 pixels.
    assert longest_run(mask) > 100 or x2 - x1 == 640


@pytest.mark.parametrize(
    "box",
    [
        [-60, 100, -20, 200],  # left of it
        [-60, 100, 0, 200],  # up to its border, which is no pixel of it
        [640, 100, 700, 200],
        [100, -60, 200, -20],
        [100, 480, 200, 500],
        [700, 500, 800, 600],
    ],
)
def test_a_box_wholly_outside_leaves_no_trace(box):
    np.testing.assert_array_equal(drawn(boxes=[box], labels=[2], scores=[0.9]), GREY)
    other = {"boxes": [[100, 200, 300, 400]], "labels": [1], "scores": [0.5]}
    both = drawn(boxes=[box, *other["boxes"]], labels=[2, 1], scores=[0.9, 0.5])
    np.testing.assert_array_equal(both, drawn(**other))


def test_a_box_with_one_column_of_pixels_in_the_photo_is_drawn():
    pixels = drawn(boxes=[[639, 100, 700, 200]], labels=[2], scores=[0.9])
    assert has_color(pixels, 2)[100:200, 637].all()
    # One without a width lies in the photo all the same.
    pixels = drawn(boxes=[[100, 100, 100, 200]], labels=[2], scores=[0.9])
    assert has_color(pixels, 2)[100:200, [98, 101]].all()


def test_a_label_does_not_hide_its_own_small_box():
    for box in ([0, 0, 12, 12], [628, 0, 640, 12], [628, 468, 640, 480]):
        pixels = drawn(boxes=[box], labels=[2], scores=[0.99])
        x1, y1, x2, y2 = box
        # At the border a line of 1 pixel and its rim of 1 lie inside.
        assert (pixels[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] == 128).all()


def longest_run(mask):
    """Length of the longest unbroken stretch within a row."""
    longest = 0
    for row in mask:
        ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        longest = max([longest, *(ends[1::2] - ends[::2])])
    return longest


def test_labels_of_equal_boxes_do_not_hide_each_other():
    # One class each: every label's ground must show as a whole somewhere.
    count = 12
    names = [f"class {i}" for i in range(count)]
    boxes = np.tile([[200, 100, 400, 300]], (count, 1))
    scores = np.linspace(0.9, 0.3, count)
    pixels = drawn(boxes=boxes, labels=range(count), scores=scores, names=names)
    for label in range(count):
        mask = has_color(pixels, label)
        rows = np.flatnonzero(mask.sum(axis=1) > 25)  # the ground beside its letters
        assert len(rows) >= 12, label


def test_the_better_score_lies_on_top():
    boxes = [[200, 100, 400, 300]] * 2
    for scores, top in (([0.9, 0.4], 0), ([0.4, 0.9], 1)):
        pixels = drawn(boxes=boxes, labels=[0, 1], scores=scores)
        np.testing.assert_array_equal(pixels[250, 197], class_color(top))


def test_the_best_label_is_whole_where_there_is_room_for_one_only():
    box = [300, 200, 320, 220]
    alone = has_color(drawn(boxes=[box], labels=[0], scores=[0.9]), 0)
    scores = np.linspace(0.1, 0.9, 60)
    labels = np.where(scores == 0.9, 0, 1)
    crowd = has_color(drawn(boxes=[box] * 60, labels=labels, scores=scores), 0)
    np.testing.assert_array_equal(crowd[:197], alone[:197])  # above the box: the label


def test_labels_in_a_crowd_hide_no_box():
    # Boxes of 20 pixels, 30 apart: "0.90", 35 wide, finds room at the edges only.
    corners = np.stack(np.meshgrid(*[100 + 30 * np.arange(9)] * 2), -1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 20], axis=1)
    pixels = drawn(boxes=boxes, labels=[0] * 81, scores=[0.9] * 81, names=["cell"])
    for x1, y1, x2, y2 in boxes:
        assert (pixels[y1:y2, x1:x2] != 128).any(axis=2).mean() <= 0.25, (x1, y1)
    assert has_color(pixels[:90], 0).sum() > 1000  # labels above the first row


@pytest.mark.parametrize(("width", "labelled"), [(20, False), (25, False), (60, True)])
def test_where_there_is_no_room_a_label_wider_than_its_box_is_left_out(width, labelled):
    corners = np.stack(np.meshgrid(*[12 * np.arange(40)] * 2), -1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 10], axis=1)
    boxes = np.concatenate([[[200, 200, 200 + width, 215]], boxes])
    scores, colors = np.full(len(boxes), 0.1), np.zeros(len(boxes), int)
    scores[0], colors[0] = 0.9, 1
    labels = [0] * len(boxes)
    pixels = drawn(
        boxes=boxes, labels=labels, scores=scores, names=["a"], colors=colors
    )
    # The line has 1 pixel, and is 2 * (60 + 15) + 12 long at most; the label is 35x18.
    assert (has_color(pixels, 1).sum() > 300) == labelled


def test_the_name_of_the_only_class_is_left_out():
    args = [[100, 200, 300, 400]], [0]
    pixels = drawn(GREY, *args, [0.9], ["nucleus"])
    np.testing.assert_array_equal(pixels, drawn(GREY, *args, [0.9], ["cell"]))
    label = np.argwhere((pixels[:190] != 128).any(axis=2))[:, 1]  # above the box
    assert 25 < np.ptp(label) < 50  # "0.90"
    truth = drawn(GREY, *args, None, ["nucleus"])
    assert (truth[:190] == 128).all()
    assert has_color(truth, 0)[300, 97]


def test_colors_may_be_those_of_objects():
    boxes = [[100, 200, 200, 300], [300, 200, 400, 300], [-9, 0, 0, 9]]
    pixels = drawn(boxes=boxes, labels=[2] * 3, scores=[0.5] * 3, colors=[4, 5, 6])
    assert has_color(pixels, 4)[250, 97]
    assert has_color(pixels, 5)[250, 297]
    assert not has_color(pixels, 2).any()
    for colors in ([4], [[4, 5, 6]], [4, 5, -1]):
        with pytest.raises(ValueError, match=r"one for each of 3 labels; received \["):
            drawn(boxes=boxes, labels=[2] * 3, scores=[0.5] * 3, colors=colors)


def test_objects_have_own_colors_where_there_is_one_class():
    np.testing.assert_array_equal(color_numbers([0, 0, 0], ["cell"]), [0, 1, 2])
    np.testing.assert_array_equal(color_numbers([1, 0, 1], ["a", "b"]), [1, 0, 1])
    assert color_numbers([], ["cell"]).shape == (0,)


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [
        (1, 1, 400),
        (48, 64, 8),  # 400 / root of 48 * 64 = 7.2
        (200, 200, 2),
        (400, 400, 1),
        (3, 2000, 2),  # limited: 3 times 2000 would be above 4096
        (30, 20000, 1),
        (1500, 2000, 1),
    ],
)
def test_small_photos_are_enlarged_by_a_whole_factor(height, width, factor):
    photo = np.full((height, width, 3), 50, np.uint8)
    box = [width / 4, height / 4, width / 2, height]
    pixels = drawn(photo, [box], [1], [0.7])
    assert pixels.shape == (height * factor, width * factor, 3)
    assert has_color(pixels, 1)[-1, round(width * factor / 2) - 1]  # the last corner


def test_boxes_are_enlarged_with_the_photo():
    photo = np.full((48, 64, 3), 50, np.uint8)
    pixels = drawn(photo, [[10, 20, 30, 40]], [1], [0.7])
    columns = np.flatnonzero(has_color(pixels, 1)[30 * 8])
    assert (columns[0], columns[-1]) == (10 * 8 - 1 - LINE, 30 * 8 + LINE)


def test_lines_and_letters_grow_with_the_photo():
    small, large = (np.full((48 * n, 64 * n, 3), 50, np.uint8) for n in (10, 50))
    one = has_color(drawn(small, [[100, 200, 300, 400]], [1], [0.7]), 1)
    five = has_color(drawn(large, [[500, 1000, 1500, 2000]], [1], [0.7]), 1)
    assert one[300, :150].sum() == LINE
    assert five[1500, :750].sum() == pytest.approx(5 * LINE, abs=2)
    assert five.sum() == pytest.approx(25 * one.sum(), rel=0.15)


def test_a_long_name_is_shortened_but_not_its_score():
    photo = np.full((400, 400, 3), 50, np.uint8)
    args = [[0, 100, 400, 300]], [0], [0.75]
    longer = drawn(photo, *args, names=["a very long name " * 9])
    longest = drawn(photo, *args, names=["a very long name " * 20])
    np.testing.assert_array_equal(longer, longest)  # cut to the same letters
    other_score = drawn(photo, args[0], [0], [0.76], names=["a very long name " * 9])
    assert (longer != other_score).any()


def test_line_breaks_in_names_are_spaces():
    args = [[100, 100, 300, 300]], [0], [0.5]
    broken = drawn(GREY, *args, names=["traffic\nlight "])
    np.testing.assert_array_equal(broken, drawn(GREY, *args, names=["traffic light"]))


def test_the_title_has_its_own_strip_above_the_photo():
    photo = data.coffee()
    pixels = drawn(photo, title="random weights")
    strip = len(pixels) - len(photo)
    assert 15 < strip < 60
    np.testing.assert_array_equal(pixels[strip:], photo)
    assert (pixels[:strip] == 255).all(axis=2).sum() > 100  # white letters


def test_a_title_too_long_for_a_line_is_broken_and_stays_whole():
    photo = np.full((900, 180, 3), 50, np.uint8)
    strips = [len(drawn(photo, title="W" * count)) - 900 for count in (1, 20, 40)]
    assert strips[0] < strips[1] < strips[2]  # 40 letters need more lines than 20


def test_classes_have_stable_and_distinct_colors():
    colors = [class_color(label) for label in range(90)]
    assert colors == [class_color(np.int32(label)) for label in range(90)]
    assert len(set(colors)) == 90
    distances = [
        np.abs(np.subtract(colors[i], colors[i + step])).sum()
        for step in (1, 2, 3)
        for i in range(90 - step)
    ]
    assert min(distances) > 90  # of 765


def luminance(color):
    c = np.array(color) / 255
    c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return c @ [0.2126, 0.7152, 0.0722]


def test_every_label_contrasts_with_its_ground():
    for label in range(90):
        ground = luminance(class_color(label))
        ink = luminance(visualize.ink(class_color(label)))
        low, high = sorted([ground, ink])
        assert (high + 0.05) / (low + 0.05) > 4.5, label  # WCAG 2, level AA


def test_colors_on_white_are_darkened_only_as_far_as_needed():
    for label in range(90):
        color = class_color(label)
        dark = on_white(color)
        contrast = 1.05 / (luminance(dark) + 0.05)
        assert contrast >= 3
        assert dark == color or contrast < 3.4
        shares = np.divide(dark, max(dark)), np.divide(color, max(color))
        np.testing.assert_allclose(*shares, atol=1 / max(dark))


def test_letters_that_pillow_lacks_are_taken_from_a_font_that_has_them(monkeypatch):
    own, other = ImageFont.load_default(20), ImageFont.load_default(21)
    monkeypatch.setattr(lettering.ImageFont, "load_default", lambda size: own)
    monkeypatch.setattr(lettering, "_lacking", lambda font, letters: font is own)
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", ("absent.ttf", "present.ttf"))

    def truetype(name, size):
        if name == "absent.ttf":
            raise OSError("cannot open resource")
        return other

    monkeypatch.setattr(lettering.ImageFont, "truetype", truetype)
    assert lettering.font_for(["кот"], 20) is other
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", ("absent.ttf",))
    assert lettering.font_for(["кот"], 20) is own


def test_unknown_letters_are_recognised_by_their_sign():
    font = ImageFont.load_default(20)
    assert lettering._lacking(font, set("abcXYZ 0.98…/-")) == 0
    assert lettering._lacking(font, set("aк")) == 1


@pytest.mark.parametrize(
    ("boxes", "labels", "scores", "message"),
    [
        ([[0, 0, 1, 1]], [0, 1], [0.5], r"shape \(1, 4\), labels \(2,\), scores \(1,"),
        ([[0, 0, 1, 1]], [0], [], r"labels \(1,\), scores \(0,\)"),
        ([], [0], [0.5], r"shape \(0, 4\), labels \(1,\)"),
        ([0, 0, 1, 1], [0] * 4, [0.5] * 4, r"boxes of shape \(4,\)"),
        ([[0, 0, np.nan, 1]], [0], [0.5], r"finite; received boxes=.*nan"),
        ([[0, 0, 1, 1]], [0], [np.inf], r"finite; .*scores=\[inf\]"),
        ([[0, 0, 1, 1]], [3], [0.5], r"Labels must be 0..2, .*received labels \[3\]"),
        ([[0, 0, 1, 1]], [-1], [0.5], r"labels \[-1\]. Remove the padding"),
    ],
)
def test_detections_that_do_not_fit_are_refused(boxes, labels, scores, message):
    with pytest.raises(ValueError, match=message):
        drawn(GREY, boxes, labels, scores)


def test_what_is_no_photo_is_refused():
    with pytest.raises(ValueError, match=r"Move its first axis to the end"):
        drawn(np.zeros((3, 20, 30), np.uint8))


def test_ground_truth_has_names_and_no_scores():
    box, ends = [[100, 200, 300, 400]], []
    for scores in (None, [1.0]):
        pixels = drawn(boxes=box, labels=[1], scores=scores)
        label = np.argwhere((pixels[:190] != GREY[:190]).any(axis=2))  # above the box
        ends.append(label[:, 1].max())
    assert 100 < ends[0] < ends[1]  # "bicycle" ends before "bicycle 1.00"
