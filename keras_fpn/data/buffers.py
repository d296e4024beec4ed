"""Memory for images that is used again: the system clears new memory, which costs."""

import collections
import ctypes
import threading
import weakref

import numpy as np

_ALIGNMENT = 64  # bytes; TensorFlow and JAX copy arrays that begin elsewhere
_KEPT = 4  # free blocks; the others go back to the system


class Buffers:
    """Makes arrays in memory that earlier ones have left.

    A block is free once its array and all views of it are gone, wherever they went: to
    a queue, a tensor or another thread.
    """

    def __init__(self):
        self._free = []
        # Arrays may end at any moment, in any thread: then no more is done than append.
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
        # Views of an array keep its owner alone alive: so the owner is this loan.
        loan = (ctypes.c_char * size).from_address(start)
        weakref.finalize(loan, self._returned.append, block).atexit = False
        return np.frombuffer(loan, dtype).reshape(shape)

    def _block(self, size):
        """Returns uint8 (at least size,): the smallest free block that fits, or new."""
        with self._lock:
            while self._returned:
                self._free.append(self._returned.popleft())
            self._free.sort(key=len)
            place = next((i for i, b in enumerate(self._free) if len(b) >= size), None)
            block = np.empty(size, np.uint8) if place is None else self._free.pop(place)
            self._free = self._free[-_KEPT:]
            return block
