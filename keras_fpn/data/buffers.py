"""Reuses the memory of images, because the system clears new memory, which is slow."""

import collections
import ctypes
import threading
import weakref

import numpy as np

_ALIGNMENT = 64  # bytes; TensorFlow and JAX copy arrays that are aligned otherwise
_KEPT = 4  # free blocks; others are returned to the system


class Buffers:
    """Makes arrays in the memory of deleted ones.

    A block is free once its array and all views of it are deleted, wherever they were
    passed to: a queue, a tensor or another thread.
    """

    def __init__(self):
        self._free = []
        # An array may be deleted at any time, in any thread: then only append is safe.
        self._returned = collections.deque()
        self._lock = threading.Lock()

    def array(self, shape, dtype):
        """Returns an array of arbitrary values.

        Args:
            shape: tuple of ints.
            dtype: name of a NumPy dtype.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        block = self._block(size + _ALIGNMENT)
        start = block.ctypes.data + -block.ctypes.data % _ALIGNMENT
        # A view keeps only the owner of the memory alive, so the owner is this object.
        loan = (ctypes.c_char * size).from_address(start)
        weakref.finalize(loan, self._returned.append, block).atexit = False
        return np.frombuffer(loan, dtype).reshape(shape)

    def _block(self, size):
        """Returns uint8 (>= size,): the smallest free block that fits, or a new one."""
        with self._lock:
            while self._returned:
                self._free.append(self._returned.popleft())
            self._free.sort(key=len)
            index = next((i for i, b in enumerate(self._free) if len(b) >= size), None)
            block = np.empty(size, np.uint8) if index is None else self._free.pop(index)
            self._free = self._free[-_KEPT:]
            return block
