"""Reads pickles of NumPy arrays in plain containers; nothing in them is run.

Source: the forms in which NumPy 1 and 2 pickle arrays, scalars and dtypes.
"""

import math
import mmap
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_fpn.files import PathLike
from keras_fpn.weights.inert_pickle import (
    MAX_OPERATIONS,
    Described,
    ForbiddenGlobalError,
    plain_dict,
    read_pickle,
    shown,
)

_NUMERIC = re.compile(r"[biufc]\d+")
# Objects of one operation take at most 64 bytes, so that they do not take more memory
# than the file has bytes.
_BYTES_PER_OPERATION = 64
_MOST_AXES = 64  # of an array of NumPy; products of more lengths could take for ever
_COPIES = 2  # of each byte: in protocol 2, a text and an array


def read_array_pickle(path: PathLike):
    """Reads a pickle that contains only NumPy arrays and plain Python data.

    Args:
        path: str or os.PathLike.

    Returns:
        what was pickled: dicts, lists, tuples, strings, numbers and arrays.

    Raises:
        ValueError: the file does not exist, is damaged, or names anything else, such as
            a function to call.
    """
    path = Path(os.fspath(path))
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # An empty file cannot be mapped. `read` never returns more than there is.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                most = max(MAX_OPERATIONS, size // _BYTES_PER_OPERATION)
                known = _known(_Budget(_COPIES * size))
                return read_pickle(content, known, max_operations=most)
    except ForbiddenGlobalError as error:
        raise ValueError(
            "A pickle must contain only NumPy arrays and plain containers; received "
            f"path={str(path)!r}, which names {error.name!r}. Nothing in it was run. "
            "If you trust the file, load it and write its arrays with pickle.dump."
        ) from error
    except (ValueError, OSError, OverflowError, RecursionError) as error:
        raise ValueError(
            "A pickle must be a complete file of NumPy arrays and plain containers; "
            f"received path={str(path)!r}: {error}."
        ) from error


def _known(budget):
    """Returns what a pickle of arrays may name, dict of full name -> value."""
    known = {
        "numpy.dtype": _Dtype,
        "numpy.ndarray": None,  # only an argument of `_reconstruct`
        "_codecs.encode": budget.encoded,  # bytes of protocol 2, and
        "__builtin__.bytes": lambda: b"",  # those without any
        "collections.OrderedDict": plain_dict,
    }
    for package in ("numpy.core", "numpy._core"):  # of NumPy 1 and 2
        known[f"{package}.multiarray._reconstruct"] = partial(_Array, budget)
        known[f"{package}.multiarray.scalar"] = budget.scalar
        known[f"{package}.numeric._frombuffer"] = budget.array
    return known


class _Dtype(Described):
    """Stands for a dtype, which the pickle completes by its byte order."""

    def __init__(self, code, *_):
        if type(code) is not str or not _NUMERIC.fullmatch(code):
            raise ValueError(
                f"an array of dtype {shown(code)}, which is not of numbers"
            )
        self.dtype = np.dtype(code)

    def set_state(self, state):
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"a dtype with the byte order {shown(order)}")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(Described, np.ndarray):
    """An array that is empty until the pickle gives its content."""

    budget: Any = None

    def __new__(cls, budget, *_):
        array = super().__new__(cls, 0, "b")
        array.budget = budget
        return array

    def set_state(self, state):
        _, shape, dtype, is_fortran, content = state
        if type(content) is str:  # of Python 2
            content = content.encode("latin1")
        content = self.budget.checked(content, dtype, shape)
        checked: Any = (1, shape, dtype.dtype, bool(is_fortran), content)
        self.__setstate__(checked)


class _Budget:
    """Makes arrays as long as the file has bytes for them.

    A pickle may use the same bytes many times, and so fill the memory.

    Args:
        left: int, bytes that may still be used.
    """

    def __init__(self, left):
        self.left = left

    def scalar(self, dtype, content):
        return np.frombuffer(self.checked(content, dtype, ()), dtype.dtype)[0]

    def array(self, content, dtype, shape, order):
        if order not in ("C", "F"):
            raise ValueError(f"an array of order {shown(order)}")
        content = self.checked(content, dtype, shape)
        return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)

    def encoded(self, text, encoding):
        if type(text) is not str or encoding != "latin1":
            raise ValueError(f"bytes in the encoding {shown(encoding)}")
        self._use(len(text))
        return text.encode("latin1")

    def checked(self, content, dtype, shape):
        """Returns the bytes of an array, which must be as many as its shape needs."""
        sides = shape if type(shape) is tuple and len(shape) <= _MOST_AXES else (-1,)
        if type(dtype) is not _Dtype or any(type(n) is not int or n < 0 for n in sides):
            raise ValueError(f"an array whose shape is not at most {_MOST_AXES} counts")
        if type(content) not in (bytes, bytearray):
            raise ValueError("an array without its content")
        if len(content) != math.prod(sides) * dtype.dtype.itemsize:
            raise ValueError(f"an array of shape {shape} with {len(content)} bytes")
        self._use(len(content))
        return bytes(content)

    def _use(self, count):
        self.left -= count
        if self.left < 0:
            raise ValueError("arrays of more bytes than the file has")
