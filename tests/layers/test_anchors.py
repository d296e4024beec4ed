import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_array_equal
from on_backend import outputs_of

from keras_fpn.anchors import cell_anchors
from keras_fpn.layers import MultiLevelAnchors, StridedAnchors

SIZES = {"P3": (32,), "P4": (64,)}


def zeros(*shape):
    return np.zeros(shape, "float32")


def test_keeps_what_a_layer_owes():
    check_layer(
        MultiLevelAnchors,
        {"sizes": {"P9": (8, 12), "P10": (16, 24)}, "ratios": (0.5, 3.0)},
        ({"P9": zeros(2, 6, 4, 1), "P10": zeros(2, 3, 2, 1)}, zeros(2, 24, 16, 3)),
        (dict.fromkeys(("P9", "P10"), (None, None, None, 1)), (None, None, None, 3)),
        ({"P9": zeros(1, 5, 7, 1), "P10": zeros(1, 4, 3, 1)}, zeros(1, 20, 21, 3)),
        half="float32",
    )


def test_every_level_has_its_own_size_and_spacing():
    layer = MultiLevelAnchors(SIZES, ratios=(1.0,))
    pyramid = {"P3": zeros(1, 2, 1, 4), "P4": zeros(1, 1, 2, 4)}
    got = outputs_of(layer, pyramid, zeros(1, 16, 40, 3))
    assert_array_equal(got["P3"], [[-16, -16, 16, 16], [-16, -8, 16, 24]])  # 16 // 2
    assert_array_equal(got["P4"], [[-32, -32, 32, 32], [-12, -32, 52, 32]])  # 40 // 2


def test_spacing_is_that_of_the_padded_image():
    # An image 800 high: P5 has 25 cells of 32, P6 13, and 800 // 13 is 61, not 64.
    layer = MultiLevelAnchors({"P5": (256,), "P6": (512,)})
    pyramid = {"P5": zeros(1, 25, 1, 1), "P6": zeros(1, 13, 1, 1)}
    got = outputs_of(layer, pyramid, zeros(1, 800, 32, 3))
    assert_array_equal(got["P5"][3] - got["P5"][0], [0, 32, 0, 32])
    assert_array_equal(got["P6"][3] - got["P6"][0], [0, 61, 0, 61])


def test_the_papers_ratios_are_the_default():
    layer = MultiLevelAnchors({"P2": (32,)})
    got = outputs_of(layer, {"P2": zeros(1, 1, 1, 1)}, zeros(1, 4, 4, 3))
    assert_array_equal(got["P2"], cell_anchors((32,), (0.5, 1.0, 2.0)))


@pytest.mark.parametrize(
    ("sizes", "ratios", "count"),
    [((8,), (1,), 1), ((8, 9, 10, 11, 12), (0.5, 1), 10)],
)
def test_anchors_per_cell_are_sizes_times_ratios(sizes, ratios, count):
    layer = MultiLevelAnchors({"P2": sizes, "P3": sizes}, ratios)
    assert layer.per_cell == count
    shapes = {"P2": (None, 4, 6, 8), "P3": (None, 2, 3, 8)}
    got = layer.compute_output_shape(shapes, (None, 16, 24, 3))
    assert got == {"P2": (24 * count, 4), "P3": (6 * count, 4)}


def test_anchors_are_whole_pixels_under_every_policy():
    # 1001 is not a bfloat16; neither maps nor images may round what is counted in them.
    layer = MultiLevelAnchors({"P1": (2,)}, (1.0,), dtype="mixed_bfloat16")
    pyramid = {"P1": keras.ops.zeros((1, 1, 1002, 1), "bfloat16")}
    got = outputs_of(layer, pyramid, zeros(1, 1, 1002, 3))["P1"]
    assert got.dtype == np.float32
    assert_array_equal(got[1001], [1000, -1, 1002, 1])


@pytest.mark.parametrize(
    ("shape", "places"),
    [
        ((None, 4, 6, None), 4 * 6 * 3),
        ((None, None, 6, 8), None),
        ((None, 4, None, 8), None),
    ],
)
def test_the_number_of_anchors_is_known_with_height_and_width(shape, places):
    layer = MultiLevelAnchors({"P2": (8,)})
    got = layer.compute_output_shape({"P2": shape}, (None, None, None, 3))
    assert got == {"P2": (places, 4)}


def test_only_sizes_are_read_from_the_maps():
    layer = MultiLevelAnchors({"P2": (8,)})
    shape = (2, 3, 4, 5)
    one = outputs_of(layer, {"P2": zeros(*shape)}, zeros(2, 12, 16, 3))
    other = outputs_of(
        layer, {"P2": zeros(*shape) + np.nan}, zeros(2, 12, 16, 3) + np.nan
    )
    assert_array_equal(one["P2"], other["P2"])


def test_levels_without_sizes_are_refused():
    layer = MultiLevelAnchors(SIZES)
    pyramid = {f"P{level}": (None, 4, 4, 1) for level in (3, 4, 5)}
    message = r"levels \['P3', 'P4', 'P5'\] and sizes for \['P3', 'P4'\]"
    with pytest.raises(ValueError, match=message):
        layer.build(pyramid, (None, 32, 32, 3))


def test_sizes_without_levels_are_refused():
    message = r"levels \['P4'\] and sizes for \['P3', 'P4'\]"
    with pytest.raises(ValueError, match=message):
        MultiLevelAnchors(SIZES).build({"P4": (None, 4, 4, 1)}, (None, 32, 32, 3))


def test_levels_with_different_numbers_of_sizes_are_refused():
    message = r"received sizes=.'P3': \(8,\), 'P4': \(8, 9\)"
    with pytest.raises(ValueError, match=message):
        MultiLevelAnchors({"P4": (8, 9), "P3": (8,)})


def test_sizes_with_a_gap_are_refused():
    with pytest.raises(ValueError, match=r"missing level \[4\]"):
        MultiLevelAnchors({"P3": (8,), "P5": (8,)})


def test_strided_anchors_keep_what_a_layer_owes():
    check_layer(
        StridedAnchors,
        {"sizes": {"P2": (8, 12), "P3": (16, 24)}, "ratios": (0.5, 3.0)},
        ({"P2": zeros(2, 6, 4, 1), "P3": zeros(2, 3, 2, 1)}, zeros(2, 24, 16, 3)),
        (dict.fromkeys(("P2", "P3"), (None, None, None, 1)), (None, None, None, 3)),
        ({"P2": zeros(1, 5, 7, 1), "P3": zeros(1, 4, 3, 1)}, zeros(1, 20, 21, 3)),
        half="float32",
    )


def test_strided_anchors_are_a_stride_apart_whatever_the_images_size():
    layer = StridedAnchors({"P5": (256.0,), "P6": (511.5,)}, ratios=(1.0,))
    pyramid = {"P5": zeros(1, 25, 2, 1), "P6": zeros(1, 13, 1, 1)}
    got = outputs_of(layer, pyramid, zeros(1, 800, 64, 3))
    assert_array_equal(got["P5"][0], [-128, -128, 128, 128])
    assert_array_equal(got["P5"][1], [-96, -128, 160, 128])  # the next column
    assert_array_equal(got["P5"][2], [-128, -96, 128, 160])  # the next row
    half = 255.75
    assert_array_equal(got["P6"][1], [-half, 64 - half, half, 64 + half])
