import keras
import numpy as np
import pytest
from layer_checks import check_layer
from on_backend import outputs_of

from keras_fpn.layers import TopDownMerge


def a_map(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def upsampled_row(coarse, cells):
    """Columns of a row 0, 1, 2, ... of `coarse` cells, upsampled to `cells` cells."""
    row = np.arange(coarse, dtype="float32")[None, None, :, None]
    return outputs_of(
        TopDownMerge(), np.zeros((1, 1, cells, 1), "float32"), row
    ).ravel()


def test_keeps_what_a_layer_owes():
    check_layer(
        TopDownMerge,
        {"fuse": "average"},
        (a_map(0, 2, 5, 7, 3), a_map(1, 2, 3, 4, 3)),
        ((None, None, None, 3), (None, None, None, 3)),
        (a_map(2, 1, 4, 6, 3), a_map(3, 1, 2, 3, 3)),
    )


def test_sum_of_the_lateral_and_twice_as_large_coarser_cells():
    lateral = np.full((1, 4, 4, 1), 10.0, "float32")
    coarser = np.array([[1, 2], [3, 4]], "float32").reshape(1, 2, 2, 1)
    got = outputs_of(TopDownMerge(), lateral, coarser)[0, :, :, 0]
    expected = [[11, 11, 12, 12], [11, 11, 12, 12], [13, 13, 14, 14], [13, 13, 14, 14]]
    np.testing.assert_array_equal(got, expected)


def test_average_is_half_the_sum():
    lateral, coarser = a_map(0, 2, 4, 6, 3), a_map(1, 2, 2, 3, 3)
    summed = outputs_of(TopDownMerge(), lateral, coarser)
    averaged = outputs_of(TopDownMerge("average"), lateral, coarser)
    np.testing.assert_allclose(averaged, summed / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("coarse", "fine", "nearest"),
    [
        (3, 5, [0, 0, 1, 1, 2]),  # floor(i * 3 / 5)
        (4, 7, [0, 0, 1, 1, 2, 2, 3]),
        (1, 3, [0, 0, 0]),
        (2, 2, [0, 1]),
        (4, 2, [0, 2]),  # a lateral smaller than the coarser map
        (13, 25, [i * 13 // 25 for i in range(25)]),
    ],
)
def test_upsampling_takes_the_nearest_cell_for_any_two_sizes(coarse, fine, nearest):
    np.testing.assert_array_equal(upsampled_row(coarse, fine), nearest)


def test_rows_and_columns_are_upsampled_each_by_its_own_sizes():
    coarser = np.array([[1, 2, 3]], "float32").reshape(1, 1, 3, 1)
    got = outputs_of(TopDownMerge(), np.zeros((1, 2, 5, 1), "float32"), coarser)
    np.testing.assert_array_equal(got[0, :, :, 0], [[1, 1, 2, 2, 3]] * 2)


def test_halves_stay_halves_in_a_graph_of_half_precision():
    merge = TopDownMerge(dtype="mixed_bfloat16")
    lateral = keras.Input((None, None, 2), dtype="bfloat16")
    coarser = keras.Input((None, None, 2), dtype="bfloat16")
    assert merge(lateral, coarser).dtype == "bfloat16"


@pytest.mark.parametrize("fuse", ["mean", None, "SUM"])
def test_another_fuse_is_refused(fuse):
    with pytest.raises(ValueError, match=f"'sum' or 'average'; received fuse={fuse!r}"):
        TopDownMerge(fuse)
