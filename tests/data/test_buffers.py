"""Memory that is used again, but never while anyone still sees it."""

import gc

import numpy as np
import pytest

from keras_fpn.data.buffers import Buffers


def address(array):
    return array.ctypes.data


def test_memory_is_used_again_once_all_views_are_gone():
    buffers = Buffers()
    first = buffers.array((2, 3, 4), "float32")
    first[:] = 5
    place, view = address(first), first[1].T[::2]
    del first
    second = buffers.array((2, 3, 4), "float32")
    assert address(second) != place
    second[:] = 0
    assert (view == 5).all()
    del view
    gc.collect()
    assert address(buffers.array((3, 4), "int32")) == place  # smaller, and it fits


def test_a_larger_array_gets_new_memory():
    buffers = Buffers()
    place = address(buffers.array((10,), "uint8"))
    larger = buffers.array((1000,), "uint8")
    assert address(larger) != place
    larger[:] = 1  # all of it is there
    assert larger.sum() == 1000


def test_few_blocks_are_kept():
    buffers = Buffers()
    arrays = [buffers.array((100,), "uint8") for _ in range(20)]
    del arrays
    buffers.array((1,), "uint8")
    assert len(buffers._free) <= 4


@pytest.mark.parametrize("shape", [(1,), (3, 5, 7), (2, 0)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
def test_arrays_are_writable_and_begin_at_64_bytes(shape, dtype):
    array = Buffers().array(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert address(array) % 64 == 0
    array[...] = 3
    assert array.sum() == 3 * np.prod(shape)
    assert array.flags.c_contiguous
