"""Reads pickles of NumPy arrays, as detectron2 publishes its models, as data.

The unpickler admits arrays and plain containers only; see `inert_pickle`.
"""

import math
import os
import re
from pathlib import Path

import numpy as np

from keras_fpn.files import PathLike
from keras_fpn.weights.inert_pickle import (
    Described,
    ForbiddenGlobalError,
    plain_dict,
    read_pickle,
)
from keras_fpn.weights.reader import BoundedFile

_DTYPE = re.compile(r"[<>|=]?[fiub](1|2|4|8)")
_UNREADABLE = (ValueError, EOFError, OverflowError, OSError, MemoryError)


def read_pickled_arrays(path: PathLike) -> dict:
    """Reads the arrays in a pickle, such as a model of detectron2.

    Nothing in the file is run: it may contain only NumPy arrays of numbers and plain
    containers. If it is a dict with the weights under "model", as detectron2 saves it,
    these are read. Entries that are not arrays are ignored.

    Args:
        path: str or os.PathLike of a .pkl file.

    Returns:
        dict of str -> read-only array of the dtype stored, in the order of the file.

    Raises:
        ValueError: the file does not exist, is damaged, has no named arrays, or names
            something that is neither an array nor a plain container.
    """
    path = Path(os.fspath(path))
    if not path.is_file():
        raise ValueError(
            f"A checkpoint must be an existing file; received path={str(path)!r}. "
            "Check the spelling, or download it."
        )
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return _arrays_of(read_pickle(BoundedFile(file, size), _KNOWN))
        except ForbiddenGlobalError as error:
            raise ValueError(
                "A pickle of weights must contain only NumPy arrays and plain "
                f"containers; received path={str(path)!r}, which names "
                f"{error.name!r}. Nothing in it was run. If you trust the file, load "
                "it with pickle and pass the dict of arrays."
            ) from error
        except _UNREADABLE as error:
            reason = str(error) or type(error).__name__
            raise ValueError(
                "A pickle of weights must be a complete file with named arrays; "
                f"received path={str(path)!r}, {size} bytes: {reason}. Download or "
                "copy it again."
            ) from error


class _Dtype(Described):
    """A dtype of numbers; its state is only the order of bytes."""

    def __init__(self, name, align=False, copy=False):
        name = _text(name)
        if not _DTYPE.fullmatch(name):
            raise ValueError(f"an array of dtype {name[:20]!r}, which are not numbers")
        self.dtype = np.dtype(name)

    def set_state(self, state):
        _, order, *rest = state
        fields = rest[:3]
        if _text(order) not in "<>|=" or any(field is not None for field in fields):
            raise ValueError("a dtype with fields")
        self.dtype = self.dtype.newbyteorder(_text(order))


class _Array(Described):
    """An array, which is empty until its state is set."""

    def __init__(self, *_):
        self.array = None

    def set_state(self, state):
        _, shape, dtype, fortran, content = state
        self.array = _checked_array(content, dtype, shape, "F" if fortran else "C")


def _from_buffer(content, dtype, shape, order):
    """Replaces the function of NumPy by which protocol 5 describes arrays."""
    made = _Array()
    made.array = _checked_array(content, dtype, shape, order)
    return made


def _scalar(dtype, content=b""):
    return _checked_array(content, dtype, (), "C")[()]


def _checked_array(content, dtype, shape, order):
    if isinstance(content, str):  # bytes in a pickle of Python 2
        content = content.encode("latin1")
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
        raise ValueError("an array that is not of numbers")
    lengths = shape if type(shape) is tuple else (shape,)
    if not all(type(length) is int and length >= 0 for length in lengths):
        raise ValueError("an array whose shape is not of counts")
    if math.prod(lengths) * dtype.dtype.itemsize != len(content):
        raise ValueError(f"an array of shape {lengths} with {len(content)} bytes")
    array = np.frombuffer(bytes(content), dtype.dtype)
    return array.reshape(lengths, order="F" if _text(order) == "F" else "C")


def _encode(text, encoding="latin1"):
    """Replaces `_codecs.encode`, by which protocol 2 describes bytes."""
    if type(text) is not str or _text(encoding) not in ("latin1", "latin-1"):
        raise ValueError("bytes that are not encoded in latin1")
    return text.encode("latin1")


def _no_bytes():
    """Replaces the class of bytes, by which protocol 2 describes none."""
    return b""


def _text(value):
    if isinstance(value, bytes):
        return value.decode("latin1")
    if type(value) is not str:
        raise ValueError("a name that is not a text")
    return value


def _arrays_of(top):
    if type(top) is not dict:
        raise ValueError("it contains no dict")
    for candidate in (top.get("model"), top):
        if type(candidate) is dict:
            arrays = {
                name: value.array
                for name, value in candidate.items()
                if type(name) is str
                and isinstance(value, _Array)
                and value.array is not None
            }
            if arrays:
                return arrays
    raise ValueError(f"it contains no named arrays, but the entries {list(top)[:8]}")


# The class itself only stands as an argument of `_reconstruct`.
_KNOWN: dict[str, object] = {
    "collections.OrderedDict": plain_dict,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": "numpy.ndarray",
    "__builtin__.bytes": _no_bytes,
    "_codecs.encode": _encode,
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", _Array),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _from_buffer),
        )
    },
}
