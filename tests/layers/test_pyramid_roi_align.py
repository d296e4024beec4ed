import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import PyramidRoIAlign
from keras_fpn.layers.pyramid_roi_align import levels_of_boxes
from keras_fpn.ops import roi_align


def square(side, left=0.0, top=0.0):
    return [left, top, left + side, top + side]


def boxes(*values):
    return np.array([values], "float32")


def constant_pyramid(side, levels, dtype="float32"):
    """Maps that hold their own level, of an image of so many pixels per side."""
    return {
        f"P{level}": keras.ops.full(
            (1, side // 2**level, side // 2**level, 1), float(level), dtype
        )
        for level in levels
    }


def maps(batch, height, width, seed=0):
    generator = np.random.default_rng(seed)
    return {
        f"P{level}": generator.normal(
            size=(batch, height // 2**level, width // 2**level, 2)
        ).astype("float32")
        for level in (2, 3, 4)
    }


def test_keeps_what_a_layer_owes():
    many = boxes(square(20, 3, 4), square(130), square(60, 1, 1))
    few = boxes(square(17.5, 2), square(115, 0, 3))
    levels = ("P3", "P4")
    check_layer(
        PyramidRoIAlign,
        {"output_size": 2, "sampling_ratio": 3, "aligned": True, "levels": levels},
        (maps(2, 64, 48), np.repeat(many, 2, axis=0)),
        ({f"P{level}": (None, None, None, 2) for level in (2, 3, 4)}, (None, None, 4)),
        (maps(1, 32, 80), few),
    )


@pytest.mark.parametrize(
    ("side", "level"),
    [
        (447, 4),
        (448, 5),  # twice the canonical size
        (449, 5),
        (225, 4),
        (224, 4),
        (223.9999, 4),  # 224 but for rounding
        (223.99, 3),
        (223, 3),
        (113, 3),
        (112, 3),
        (111, 2),
        (56, 2),
        (1, 2),  # below the finest
        (5000, 5),  # above the coarsest
    ],
)
def test_level_is_four_at_224_pixels_and_one_more_per_doubling(side, level):
    assert int(levels_of_boxes(boxes(square(side)), 2, 5)[0, 0]) == level


@pytest.mark.parametrize("level", range(1, 9))
def test_sides_of_224_times_a_power_of_two_are_on_their_own_level(level):
    # In float32 the logarithm of 2^k may come out just below k.
    side = 224.0 * 2.0 ** (level - 4)
    assert int(levels_of_boxes(boxes(square(side)), 1, 8)[0, 0]) == level
    just_less = side * (1 - 1e-5)
    assert int(levels_of_boxes(boxes(square(just_less)), 0, 8)[0, 0]) == level - 1


def test_level_depends_on_the_area_alone():
    side, long, short = 300, 1200, 75
    same = boxes([0, 0, long, short], square(side), [5, 6, 5 + short, 6 + long])
    assert_array_equal(outputs_of(levels_of_boxes, same, 2, 5), [[4, 4, 4]])


def test_the_papers_numbers_are_the_default():
    # Lin et al. 2017, Sec. 4.2 (7 x 7 bins); the rest is torchvision's.
    layer = PyramidRoIAlign()
    assert (layer.output_size, layer.sampling_ratio) == (7, 2)
    assert layer.aligned is False
    assert layer.levels is None


def test_empty_boxes_are_on_the_finest_level():
    empty = boxes([0, 0, 0, 0], [7, 7, 7, 900], [3, 4, 500, 4])
    got = outputs_of(levels_of_boxes, empty, 2, 5)
    assert_array_equal(got, [[2, 2, 2]])
    assert got.dtype == np.int32


def test_each_box_reads_the_level_of_its_size():
    sides = [100, 112, 223, 224, 448, 30, 447, 600]
    rois = boxes(*[square(side) for side in sides])
    got = outputs_of(PyramidRoIAlign(1), constant_pyramid(640, (2, 3, 4, 5)), rois)
    assert_allclose(got.ravel(), [2, 3, 3, 4, 5, 2, 4, 5], rtol=1e-6)


def test_level_of_a_map_gives_its_scale():
    # Column numbers as values; x 16 to 48 is cells 4 to 12 on P2, centre 8.
    pyramid = {
        name: np.tile(np.arange(cells, dtype="float32")[:, None], (1, cells, 1, 1))
        for name, cells in (("P2", 32), ("P3", 16))
    }
    rois = boxes(square(32, 16, 16), square(96, 16, 16))
    got = outputs_of(PyramidRoIAlign(1, levels=("P2",)), pyramid, rois).ravel()
    assert_allclose(got, [8, 16], rtol=1e-6)  # (16 + 48) / 2 / 4, (16 + 112) / 2 / 4
    got = outputs_of(PyramidRoIAlign(1, levels=("P3",)), pyramid, rois).ravel()
    assert_allclose(got, [4, 8], rtol=1e-6)  # / 8


def test_only_the_chosen_levels_are_read():
    pyramid = constant_pyramid(640, (2, 3, 4, 5, 6))
    rois = boxes(square(30), square(640))
    all_levels = outputs_of(PyramidRoIAlign(1), pyramid, rois).ravel()
    assert_allclose(all_levels, [2, 5], rtol=1e-6)  # log2(640 / 224) + 4 = 5.5
    chosen = outputs_of(PyramidRoIAlign(1, levels=("P4", "P3")), pyramid, rois).ravel()
    assert_allclose(chosen, [3, 4], rtol=1e-6)


def test_two_maps_of_one_scale_may_be_told_apart_by_name():
    # torchvision's mobile detectors have two maps of stride 32 and read the first.
    pyramid = {
        "P5": np.full((1, 8, 8, 1), 5, "float32"),
        "P6": np.full((1, 8, 8, 1), 6, "float32"),
    }
    got = outputs_of(PyramidRoIAlign(1, levels=("P5",)), pyramid, boxes(square(250)))
    assert_allclose(got.ravel(), [5], rtol=1e-6)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2])
def test_options_reach_the_kernel(aligned, sampling_ratio):
    pyramid, rois = maps(1, 64, 64), boxes(square(21, 5.5, 7.25))
    layer = PyramidRoIAlign(3, sampling_ratio, aligned)
    expected = roi_align(
        [pyramid["P2"]], rois, [0.25], None, 3, sampling_ratio, aligned
    )
    assert_allclose(outputs_of(layer, pyramid, rois), arrays(expected), rtol=1e-5)


def test_boxes_are_not_rounded_under_mixed_precision():
    # 223.9 is 224 in bfloat16: it would read P4.
    layer = PyramidRoIAlign(1, dtype="mixed_bfloat16")
    pyramid = constant_pyramid(640, (3, 4), "bfloat16")
    got = outputs_of(layer, pyramid, boxes(square(223.9), square(224)))
    assert got.dtype.name == "bfloat16"
    assert_array_equal(got.astype("float32").ravel(), [3, 4])


def test_no_rois_give_no_features():
    rois = np.zeros((1, 0, 4), "float32")
    got = outputs_of(PyramidRoIAlign(7), constant_pyramid(64, (2, 3)), rois)
    assert got.shape == (1, 0, 7, 7, 1)


def test_an_absent_level_is_refused():
    layer = PyramidRoIAlign(levels=("P2", "P3", "P4", "P5"))
    shapes = {"P3": (None, 8, 8, 1), "P4": (None, 4, 4, 1)}
    message = r"received levels \['P3', 'P4'\], without \['P2', 'P5'\]"
    with pytest.raises(ValueError, match=message):
        layer.build(shapes, (None, 10, 4))


def test_levels_are_those_it_was_built_with():
    layer = PyramidRoIAlign(output_size=1)
    layer.build({f"P{level}": (None, None, None, 1) for level in (2, 3, 4, 5)}, (1, 1))
    # By Eq. 1 a box of 1000 px belongs on level 4 + log2(1000 / 224) = 6.2; the RPN's
    # P6 was not there.
    got = outputs_of(
        lambda pyramid: layer(pyramid, boxes(square(1000))),
        constant_pyramid(1024, (2, 3, 4, 5, 6)),
    )
    assert_array_equal(got.ravel(), [5.0])


def test_levels_are_detectron2s_but_for_rois_on_the_border_of_two():
    # detectron2: floor(4 + log2(side / 224 + 1e-8)), here in float64.
    border = np.array([112.0, 224.0, 448.0])[:, None]
    away = np.concatenate([-np.geomspace(5e-4, 40, 50), np.geomspace(5e-4, 40, 50)])
    sides = (border + away).ravel()
    boxes = np.zeros((len(sides), 4), "float32")
    boxes[:, 2:] = sides[:, None]
    expected = np.clip(np.floor(4 + np.log2(sides / 224 + 1e-8)), 2, 5)
    got = ops.convert_to_numpy(levels_of_boxes(boxes, 2, 5))
    np.testing.assert_array_equal(got, expected)
    [empty] = ops.convert_to_numpy(levels_of_boxes(np.zeros((1, 4), "float32"), 2, 5))
    assert empty == 2
