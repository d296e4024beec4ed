import numpy as np
import pycocotools.mask
import pytest

from keras_fpn.data.masks import segment_mask
from keras_fpn.data.polygons import clip_polygon, outline_length


def clipped(points, low=(0, 0), high=(10, 10)):
    return clip_polygon(np.array(points, float).reshape(-1, 2), low, high)


def drawn(polygon, height, width):
    """The mask that pycocotools draws of the whole polygon."""
    runs = pycocotools.mask.frPyObjects([polygon], height, width)
    return pycocotools.mask.decode(runs)[:, :, 0].astype(bool)


def test_a_polygon_inside_comes_back_as_it_is():
    points = np.array([[0.0, 0], [10, 3], [2, 10]])  # the border is inside
    assert clip_polygon(points, (0, 0), (10, 10)) is points


def test_a_triangle_loses_the_corner_outside():
    # From (5, 5) to (15, 5): leaves at (10, 5). From (15, 5) to (5, 9): y falls by 4
    # over 10 columns, and is 5 + 4 / 2 at x = 10.
    np.testing.assert_allclose(
        clipped([5, 5, 15, 5, 5, 9]), [[5, 5], [10, 5], [10, 7], [5, 9]], rtol=1e-12
    )


def test_a_polygon_around_becomes_the_rectangle_and_one_beside_nothing():
    around = clipped([-5, -5, 20, -5, 20, 20, -5, 20])
    assert sorted(map(tuple, around.tolist())) == [(0, 0), (0, 10), (10, 0), (10, 10)]
    assert clipped([11, 0, 20, 0, 20, 9]).shape == (0, 2)
    assert clipped([-3, 14, 5, 11, 14, 14]).shape == (0, 2)


def test_a_line_keeps_its_part_inside():
    # Both ways of its two edges: from 5 to the border and back.
    line = clipped([5, 5, 5, 1e300])
    assert {tuple(point) for point in line.tolist()} == {(5, 5), (5, 10)}


def test_an_outline_is_as_long_as_its_steps():
    # 3 right, 4 down, and 4 steps back along both axes at once.
    assert outline_length(np.array([[0, 0], [3, 0], [3, 4]])) == 3 + 4 + 4
    assert outline_length(np.zeros((0, 2))) == 0


@pytest.mark.parametrize("seed", range(8))
def test_masks_of_polygons_near_the_photo_are_those_of_pycocotools(seed):
    generator = np.random.default_rng(seed)
    # A photo of 40 x 60: what is within 60 pixels of it is not even cut.
    points = generator.uniform((-60, -60), (120, 100), (generator.integers(3, 12), 2))
    polygon = points.ravel().tolist()
    np.testing.assert_array_equal(
        segment_mask([polygon], (40, 60)), drawn(polygon, 40, 60)
    )


@pytest.mark.parametrize("reach", [300, 20_000])
@pytest.mark.parametrize("seed", range(12))
def test_masks_of_polygons_that_are_cut_are_off_at_their_edges_alone(seed, reach):
    generator = np.random.default_rng(seed)
    middle, count = (30, 20), generator.integers(3, 12)
    points = generator.uniform(-reach, reach, (count, 2)) + middle
    points[0] = generator.uniform((0, 0), (60, 40))  # else most cover all or nothing
    polygon = points.ravel().tolist()
    mask, expected = segment_mask([polygon], (40, 60)), drawn(polygon, 40, 60)
    # Corners are drawn on a grid of 1/5 pixel, those where it was cut, too: 0.1 pixel
    # off at 60 from the photo at most. So only pixels at an edge can differ.
    wrong = mask != expected
    inner = expected[1:-1, 1:-1]
    same = [expected[1 + y : 39 + y, 1 + x : 59 + x] == inner
            for y in (-1, 0, 1) for x in (-1, 0, 1)]  # fmt: skip
    assert not wrong[1:-1, 1:-1][np.all(same, axis=0)].any()
    assert wrong.mean() < 0.01
