import pathlib

import numpy as np
import pytest

from keras_fpn.data.box_order import ORDERS, check_order

PATH = pathlib.Path("a.jpg")
# x1, y1, x2, y2 in a photo 100 wide and 80 high, near its right and lower edges: then
# few of them make sense in any other order.
CORNERS = np.array([[80, 5, 95, 30], [60, 45, 99, 79], [85, 1, 90, 9]], np.float64)
STATED = {
    "x1, y1, x2, y2": CORNERS,
    "x, y, width, height": [[80, 5, 15, 25], [60, 45, 39, 34], [85, 1, 5, 8]],
    "center x, center y, width, height": [
        [87.5, 17.5, 15, 25],
        [79.5, 62, 39, 34],
        [87.5, 5, 5, 8],
    ],
    "x1, x2, y1, y2": [[80, 95, 5, 30], [60, 99, 45, 79], [85, 90, 1, 9]],
    "y1, x1, y2, x2": [[5, 80, 30, 95], [45, 60, 79, 99], [1, 85, 9, 90]],
}
SIDES = np.array([100, 80, 100, 80])


def refuse(boxes, order, fractions=False):
    check_order([(PATH, (80, 100), boxes)], order, fractions, "the set")


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_gives_the_same_corners(order):
    stated = np.array(STATED[order], np.float64)
    np.testing.assert_array_equal(ORDERS[order](stated), CORNERS)
    refuse(stated, order)


@pytest.mark.parametrize(
    ("order", "given"),
    [
        ("x, y, width, height", "x1, y1, x2, y2"),
        ("x1, y1, x2, y2", "x, y, width, height"),
        ("x1, y1, x2, y2", "x1, x2, y1, y2"),
        ("x1, y1, x2, y2", "y1, x1, y2, x2"),
    ],
)
def test_a_mix_up_is_named(order, given):
    boxes = np.array(STATED[given], np.float64)
    with pytest.raises(
        ValueError,
        match=f"stated as {order}, in pixels; received the set, with 3 of 3 .* in a "
        f"photo of 100x80. All of them fit if read as {given}, in pixels",
    ):
        refuse(boxes, order)


def test_fractions_instead_of_pixels_are_named():
    with pytest.raises(ValueError, match=r"in pixels; .*3 of 3.*in fractions of the p"):
        refuse(CORNERS / SIDES, "x1, y1, x2, y2")
    with pytest.raises(ValueError, match=r"in fractions of .*3 of 3.*, in pixels\."):
        refuse(CORNERS, "x1, y1, x2, y2", fractions=True)


@pytest.mark.parametrize(
    "boxes",
    [
        np.zeros((0, 4)),
        CORNERS[:2][:, [0, 2, 1, 3]],  # too few to tell
        np.concatenate([CORNERS, CORNERS[:, [0, 2, 1, 3]]]),  # only half of them
        CORNERS * [1, 1, -1, -1],  # no order makes sense of them
        [[np.nan] * 4] * 5,
    ],
)
def test_single_defects_are_no_mix_up(boxes):
    refuse(np.array(boxes), "x1, y1, x2, y2")


def test_no_photos_are_no_mix_up():
    check_order([], "x1, y1, x2, y2", False, "the set")
