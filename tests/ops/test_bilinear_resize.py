import importlib

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import compiled, gradient, graph_of_all_sizes

from keras_fpn.ops.bilinear_resize import bilinear_resize

MODULE = importlib.import_module("keras_fpn.ops.bilinear_resize")
TENSORFLOW = keras.backend.backend() == "tensorflow"
SIZES = pytest.mark.parametrize(
    ("old", "new"),
    [((3, 4), (6, 8)), ((4, 3), (7, 5)), ((2, 5), (2, 5)), ((5, 7), (3, 1))],
)


@pytest.fixture(
    params=["chosen", "portable"] if TENSORFLOW else ["chosen"], autouse=True
)
def form(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(MODULE, "native_kernels_run", lambda: False)


def shares_by_loop(cells, size):
    """The share of each cell in each new one, (size, cells)."""
    shares = np.zeros((size, cells))
    for new in range(size):
        center = min(max((new + 0.5) * cells / size - 0.5, 0), cells - 1)
        for cell in range(cells):
            shares[new, cell] = max(1 - abs(center - cell), 0)
    return shares


def a_map(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@SIZES
def test_cells_are_weighed_by_their_distance(old, new):
    inputs = a_map(2, *old, 3)
    rows, columns = (shares_by_loop(*pair) for pair in zip(old, new, strict=True))
    expected = np.einsum("Hh,Ww,bhwc->bHWc", rows, columns, inputs)
    got = compiled(lambda x: bilinear_resize(x, *new), inputs)
    assert_allclose(got, expected, atol=1e-5)


@SIZES
def test_gradients_go_back_by_the_same_weights(old, new):
    upstream = a_map(2, *new, 3)
    rows, columns = (shares_by_loop(*pair) for pair in zip(old, new, strict=True))
    expected = np.einsum("Hh,Ww,bHWc->bhwc", rows, columns, upstream)
    got = gradient(lambda x: bilinear_resize(x, *new) * upstream, a_map(2, *old, 3))
    assert_allclose(got, expected, atol=1e-5)


def test_a_row_of_two_cells_becomes_four():
    row = np.array([4, 8], "float32").reshape(1, 1, 2, 1)
    assert_array_equal(np.ravel(bilinear_resize(row, 1, 4)), [4, 5, 7, 8])


def test_half_precision_stays():
    half = keras.ops.cast(a_map(1, 2, 2, 1), "bfloat16")
    got = bilinear_resize(half, 4, 4)
    assert keras.backend.standardize_dtype(got.dtype) == "bfloat16"


def test_one_graph_takes_all_sizes():
    def doubled(x):
        height, width = keras.ops.shape(x)[1:3]
        return bilinear_resize(x, 2 * height, 2 * width)

    run = graph_of_all_sizes(doubled, [(None, None, None, 2)])
    for size in ((3, 4), (1, 2)):
        inputs = a_map(1, *size, 2)
        rows, columns = (shares_by_loop(side, 2 * side) for side in size)
        expected = np.einsum("Hh,Ww,bhwc->bHWc", rows, columns, inputs)
        assert_allclose(run(inputs), expected, atol=1e-5)
