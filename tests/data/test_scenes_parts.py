import numpy as np
import pytest

from keras_fpn.data.scenes import CLASS_NAMES
from keras_fpn.data.scenes.clutter import CLUTTER
from keras_fpn.data.scenes.colors import brightness, color_unlike, dulled, quarters
from keras_fpn.data.scenes.random_stream import RandomStream
from keras_fpn.data.scenes.shapes import SHAPES
from keras_fpn.data.scenes.stamp import Stamp, draw_stamp
from keras_fpn.data.scenes.textures import TEXTURES
from keras_fpn.data.scenes.visibility import Visibility

BY_NAME = {shape.name: shape for shape in SHAPES}

# --- chance --------------------------------------------------------------------------


def test_numbers_are_made_of_the_generators_raw_words():
    words = np.random.PCG64(np.random.SeedSequence((7, 1))).random_raw(3)
    random = RandomStream(7, 1)
    assert random.unit() == (int(words[0]) >> 11) / 2**53
    np.testing.assert_array_equal(
        random.units(2, 1), np.float32((words[1:] >> 40) / 2**24).reshape(2, 1)
    )


def test_chance_stays_in_its_bounds():
    random = RandomStream(0)
    assert {random.whole(2, 4) for _ in range(100)} == {2, 3, 4}
    assert {random.sign() for _ in range(50)} == {-1, 1}
    assert all(-3 <= random.between(-3, 5) < 5 for _ in range(100))
    assert sum(random.happens(0.3) for _ in range(2000)) == pytest.approx(600, abs=80)
    units = random.units(100, 100)
    assert units.min() >= 0
    assert units.max() < 1
    assert units.mean() == pytest.approx(0.5, abs=0.02)
    noise = random.grain(51, 33)
    assert noise.shape == (51, 33, 3)
    assert abs(noise).max() <= 1
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx((1 / 6) ** 0.5, abs=0.02)  # of a triangle


def test_turns_have_length_one_and_go_all_around():
    random = RandomStream(0)
    cosine, sine = np.array([random.turn() for _ in range(2000)]).T
    np.testing.assert_allclose(cosine**2 + sine**2, 1, rtol=1e-12)
    angles = np.degrees(np.arctan2(sine, cosine))
    counts, _ = np.histogram(angles, np.arange(-180, 181, 30))
    assert counts.min() > 120  # of 2000 / 12 = 167
    limited = np.array([random.turn(0.24) for _ in range(500)])
    angles = np.degrees(np.arctan2(limited[:, 1], limited[:, 0]))
    assert 25 < abs(angles).max() < 27  # 2 atan(0.24) = 27.0


# --- the classes ---------------------------------------------------------------------


def grid(count=401):
    """u and v of a fine grid over the circle of radius 1, float32."""
    steps = np.linspace(-1, 1, count, dtype=np.float32)
    return steps[None], steps[:, None]


def test_there_are_four_pairs_of_classes():
    assert CLASS_NAMES == (
        *("disk", "striped disk", "ring", "open ring"),
        *("6-tooth gear", "12-tooth gear", "arrow up", "arrow down"),
    )


@pytest.mark.parametrize("shape", [*SHAPES, *CLUTTER], ids=lambda shape: shape.name)
def test_every_shape_fits_into_its_circle_and_fills_some_of_it(shape):
    u, v = grid()
    inside = shape.inside(u, v)
    circle = u * u + v * v <= 1.0001
    assert not (inside & ~circle).any()
    assert inside[circle].mean() > 0.1
    for part in filter(None, [shape.pattern, shape.tell]):
        assert 0 < part(u, v)[circle].mean() < 0.5


@pytest.mark.parametrize("teeth", [6, 12])
def test_gears_have_as_many_teeth_as_they_say(teeth):
    angles = np.linspace(0, 2 * np.pi, 3600, endpoint=False, dtype=np.float32)
    inside = BY_NAME[f"{teeth}-tooth gear"].inside
    around = inside(0.85 * np.cos(angles), 0.85 * np.sin(angles))
    assert np.count_nonzero(around != np.roll(around, 1)) == 2 * teeth
    assert around.mean() == pytest.approx(0.5, abs=0.01)
    assert not inside(np.float32(0.1), np.float32(0.2)).any()  # the hole
    assert inside(0.5 * np.cos(angles), 0.5 * np.sin(angles)).all()  # the body


def test_an_open_ring_is_a_ring_but_for_its_gap():
    u, v = grid(501)  # 250 steps for a radius
    ring, open_ring = BY_NAME["ring"], BY_NAME["open ring"]
    gap = ring.inside(u, v) & ~open_ring.inside(u, v)
    np.testing.assert_array_equal(gap, open_ring.tell(u, v))
    column = gap[:, 250 + 200]  # through the stroke, at u = 0.8
    assert column.sum() == pytest.approx(0.6 * 250, abs=1)
    assert gap[:, :250].sum() == 0  # to the right only


def test_a_striped_disk_is_a_disk_with_two_bands_of_another_colour():
    u, v = grid()
    plain, striped = BY_NAME["disk"], BY_NAME["striped disk"]
    np.testing.assert_array_equal(plain.inside(u, v), striped.inside(u, v))
    row = striped.pattern(u, np.float32(0))[0]
    assert np.count_nonzero(row[1:] != row[:-1]) == 4
    assert row.mean() == pytest.approx(2 / 5, abs=0.01)


def test_arrows_are_each_other_upside_down():
    u, v = grid()
    up = BY_NAME["arrow up"].inside(u, v)
    np.testing.assert_array_equal(up[::-1], BY_NAME["arrow down"].inside(u, v))
    assert up[130].sum() > up[300].sum()  # the head is above
    assert (up != up[::-1]).mean() > 0.1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_picture_flipped_sideways_shows_the_same_classes(shape):
    # Training flips pictures: no class may be another one's mirror image.
    u, v = grid()
    inside = shape.inside(u, v)
    mirrored = inside[:, ::-1]
    half_turned = inside[::-1, ::-1] if shape.tilt is None else inside
    assert (mirrored == inside).mean() > 0.999 or (mirrored == half_turned).all()


# --- one shape on pixels -------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 12.5, 47, 100, 200])
def test_a_stamp_is_as_large_as_asked(size):
    for key in range(5):
        mark = draw_stamp(RandomStream(key), BY_NAME["disk"], size)
        # An ellipse whose longer axis is the size: how long it is by its moments.
        rows, columns = np.nonzero(mark.mask)
        spread = np.cov(np.stack([rows, columns])) * 4
        longer = 2 * np.linalg.eigvalsh(spread)[1] ** 0.5
        assert longer == pytest.approx(size, abs=0.6)
        squash = 4 * mark.coverage.sum() / (np.pi * size**2)
        assert 0.76 < squash < 1.02
        assert mark.coverage.dtype == np.float32


@pytest.mark.parametrize("shape", [*SHAPES, *CLUTTER], ids=lambda shape: shape.name)
def test_stamps_are_made_of_shares_of_pixels(shape):
    for size in (6, 30, 60, 150):
        mark = draw_stamp(RandomStream(1), shape, size)
        assert mark.mask.any()
        np.testing.assert_array_equal(mark.mask, mark.coverage >= 0.5)
        assert ((mark.coverage >= 0) & (mark.coverage <= 1)).all()
        assert (mark.pattern is None) == (shape.pattern is None)
        if mark.pattern is not None:
            assert mark.pattern[mark.mask].mean() == pytest.approx(0.5, abs=0.15)
        if shape.tell is not None:
            share = (mark.tell & mark.mask).sum() / mark.tell.sum()
            # The gap is beside the ring but for pixels on its edges, the head inside.
            assert share < 0.5 if shape.name == "open ring" else share > 0.6


# --- who hides whom ------------------------------------------------------------------


def square_stamp(side, tell=None):
    mask = np.ones((side, side), bool)
    return Stamp(mask.astype(np.float32), mask, None, tell)


def put(visibility, mark, top, left, least=0.5, is_object=True):
    side = len(mark.mask)
    here = slice(top, top + side), slice(left, left + side)
    part = slice(0, side), slice(0, side)
    return visibility.put(mark, here, part, least, is_object)


def test_an_object_is_hidden_as_far_as_allowed_and_no_further():
    visibility = Visibility((20, 20), 0.75)
    assert put(visibility, square_stamp(10), 0, 0)  # of 100 pixels 50 must stay
    assert put(visibility, square_stamp(6), 0, 0)  # 64 stay
    assert not put(visibility, square_stamp(4), 6, 0)  # 48 would
    assert put(visibility, square_stamp(4), 6, 8, is_object=False)  # 2 x 4: 56
    assert put(visibility, square_stamp(6), 4, 10)  # beside, on the clutter's right
    assert not put(visibility, square_stamp(3), 7, 0)  # 47
    owner = visibility.owner
    assert [(owner == row).sum() for row in range(3)] == [56, 36, 36]
    assert (owner[6:10, 8:10] == -1).all()  # clutter is nobody's
    assert owner.dtype == np.int16


def test_the_border_hides_too():
    visibility = Visibility((20, 20), 0.75)
    mark, rows = square_stamp(10), slice(0, 10)
    for outside, fits in ((4, True), (5, True), (6, False)):
        part = rows, slice(outside, 10)
        here = rows, slice(0, 10 - outside)
        assert Visibility((20, 20), 0.75).put(mark, here, part, 0.5, True) == fits
    assert (visibility.owner == -1).all()


def test_a_tell_must_stay_visible_even_where_it_is_not_part_of_its_object():
    tell = np.zeros((10, 10), bool)
    tell[0] = True  # 10 pixels, 8 of which must stay (0.75, rounded up)
    mark = square_stamp(10, tell)
    mark.mask[0] = False
    visibility = Visibility((20, 20), 0.75)
    assert put(visibility, mark, 5, 5)
    assert put(visibility, square_stamp(2), 4, 5, least=0.1)  # 2 of the tell
    assert not put(visibility, square_stamp(1), 5, 10, least=0.1)
    assert put(visibility, square_stamp(1), 6, 10, least=0.1)  # below it
    part = slice(0, 10), slice(3, 10)  # 7 pixels of the tell inside the scene
    fresh = Visibility((20, 20), 0.75)
    assert not fresh.put(mark, (slice(0, 10), slice(0, 7)), part, 0.1, True)


def test_nothing_is_put_where_it_is_refused():
    visibility = Visibility((8, 8), 0.75)
    put(visibility, square_stamp(8), 0, 0, least=0.9)
    before = visibility.owner.copy()
    assert not put(visibility, square_stamp(4), 0, 0)
    np.testing.assert_array_equal(visibility.owner, before)


# --- grounds and colours -------------------------------------------------------------


@pytest.mark.parametrize("texture", TEXTURES, ids=lambda texture: texture.__name__)
def test_textures_vary_between_zero_and_one(texture):
    for key in range(4):
        field = texture(RandomStream(key), 120, 90)
        assert field.shape == (120, 90)
        assert field.dtype == np.float32
        assert field.min() >= 0
        assert field.max() <= 1
        assert field.std() > 0.04


def test_colours_differ_in_brightness_from_what_is_beneath():
    random = RandomStream(3)
    for grey in (0, 80, 128, 200, 255):
        beneath = [[grey] * 3, [grey + 5] * 3]
        colors = [color_unlike(random, beneath) for _ in range(50)]
        steps = [abs(brightness(color) - grey) for color in colors]
        assert np.mean(np.array(steps) > 50) > 0.9
        hues = np.argmax(colors, axis=1)
        assert set(hues) == {0, 1, 2}


def test_white_is_brightest_and_dulling_keeps_the_brightness():
    assert brightness([255, 255, 255]) == pytest.approx(255)
    assert brightness([0, 255, 0]) > brightness([255, 0, 0]) > brightness([0, 0, 255])
    grey = dulled([10, 200, 40], 1.0)
    assert grey == pytest.approx([brightness([10, 200, 40])] * 3)
    assert dulled([10, 200, 40], 0.0) == [10, 200, 40]


def test_quarters_are_the_average_colours_of_a_places_corners():
    pixels = np.zeros((40, 20, 3), np.float32)
    pixels[:20, 10:] = [10, 20, 30]
    pixels[20:, :10] = [200, 0, 7]
    expected = [[0, 0, 0], [10, 20, 30], [200, 0, 7], [0, 0, 0]]
    assert quarters(pixels) == expected
    assert quarters(pixels[:1, :1]) == [[0, 0, 0]]
