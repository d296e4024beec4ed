"""Tensors as torch describes them in a pickle, and their arrays."""

import math
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from keras_fpn.weights.inert_pickle import plain_dict, shown

_NESTED = ("model", "state_dict", "model_state_dict")  # where trainers put the weights
_MAX_COUNT = 2**62
_MOST_AXES = 64  # as of NumPy's arrays


@dataclass(frozen=True)
class StoredRow:
    """Consecutive elements in the file: a storage of torch, or a part of one.

    Attributes:
        key: str, name of the storage in the file.
        dtype: np.dtype of the elements, little-endian.
        count: int, elements.
        begin: int, elements of the whole storage before the first of these.
    """

    key: str
    dtype: np.dtype
    count: int
    begin: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """Where the elements of a tensor are; lengths are counted in elements.

    Attributes:
        row: `StoredRow`.
        dtype: np.dtype of the tensor, which may differ from that of an untyped storage.
        offset: int, from the start of the row to the first element.
        shape: tuple of int.
        strides: tuple of int, one per axis.
    """

    row: StoredRow
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def arrays_of(top, load, limit):
    """Returns the arrays of the state dict in a checkpoint; each row is read once.

    Args:
        top: content of the pickle of the checkpoint: a dict with the tensors, or one
            with such a dict under "model", "state_dict" or "model_state_dict".
        load: function of a `StoredRow` that returns the bytes of its storage.
        limit: int, bytes that no tensor exceeds: the size of the file.

    Returns:
        dict of str -> read-only array, in the order of the file.

    Raises:
        ValueError: there are no tensors, or one is not inside its row.
    """
    loaded: dict[str, bytes] = {}
    arrays = {}
    for name, tensor in _state_dict(top).items():
        key = tensor.row.key
        try:
            if key not in loaded:
                loaded[key] = load(tensor.row)
            arrays[name] = _array(tensor, loaded[key], limit)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"tensor {shown(name)}: {error}") from error
    return arrays


def _state_dict(top):
    if type(top) is not dict:
        raise ValueError("it contains no dict of tensors")
    for candidate in [*(top.get(name) for name in _NESTED), top]:
        if type(candidate) is dict:
            tensors = {
                name: value
                for name, value in candidate.items()
                if type(name) is str and type(value) is StoredTensor
            }
            if tensors:
                return tensors
    entries = ", ".join(map(shown, list(top)[:4]))
    raise ValueError(f"it contains no named tensors, but the entries [{entries}]")


def _array(tensor, content, limit):
    """Returns a view of the bytes of a row, after checking that it is inside."""
    row, dtype = tensor.row, tensor.dtype
    if len(content) < (row.begin + row.count) * row.dtype.itemsize:
        raise ValueError(
            f"its storage {shown(row.key)} claims {row.begin + row.count} elements of "
            f"{row.dtype} and has {len(content)} bytes"
        )
    count = math.prod(tensor.shape)
    if count == 0:
        return np.zeros(tensor.shape, dtype)
    # The stride of an axis with one element is never used.
    strides = [
        stride if length > 1 else 0
        for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    ]
    last = tensor.offset + sum(
        (length - 1) * stride
        for length, stride in zip(tensor.shape, strides, strict=True)
    )
    held = row.count * row.dtype.itemsize // dtype.itemsize
    if last >= held:
        raise ValueError(f"it reaches element {last} of a storage of {held}")
    if count * dtype.itemsize > limit:  # one element repeated by a stride of 0
        raise ValueError(f"its shape {tensor.shape[:8]} is larger than the file")
    elements = np.frombuffer(content, dtype, held, row.begin * row.dtype.itemsize)
    return np.lib.stride_tricks.as_strided(
        elements[tensor.offset :],
        tensor.shape,
        [stride * dtype.itemsize for stride in strides],
        writeable=False,
    )


# What the pickle of a checkpoint may name. The functions get arbitrary arguments from
# the file, so each checks them; they only describe.


def describe_storage(persistent_id):
    """Returns the `StoredRow` of a persistent id in the pickle of a checkpoint.

    Raises:
        ValueError: the id does not describe a storage.
    """
    if type(persistent_id) is not tuple or not 5 <= len(persistent_id) <= 6:
        raise ValueError("a malformed storage")
    kind, dtype, key, _, count, *view = persistent_id
    if (
        kind != "storage"
        or not isinstance(dtype, np.dtype)
        or type(key) is not str
        or not _is_count(count)
    ):
        raise ValueError("a malformed storage")
    if view in ([], [None]):
        return StoredRow(key, dtype, count)
    [(_, begin, count)] = view
    if not (_is_count(begin) and _is_count(count)):
        raise ValueError("a malformed view of a storage")
    return StoredRow(key, dtype, count, begin)


def _rebuild_tensor(row, offset, shape, strides, *rest):
    """Replaces the function of torch with this name, and its second version."""
    dtype = row.dtype if isinstance(row, StoredRow) else None
    return _described(row, dtype, offset, shape, strides, rest[2:])


def _rebuild_tensor_v3(row, offset, shape, strides, _grad, _hooks, dtype, *rest):
    return _described(row, dtype, offset, shape, strides, rest)


def _described(row, dtype, offset, shape, strides, metadata):
    if not isinstance(row, StoredRow) or not isinstance(dtype, np.dtype):
        raise ValueError("a malformed tensor")
    shape, strides = _size(shape), _size(strides)
    if not _is_count(offset) or len(shape) != len(strides):
        raise ValueError("a tensor whose offset, shape or strides are not counts")
    if any(metadata):
        raise ValueError("a tensor with a pending negation or conjugation")
    return StoredTensor(row, dtype, offset, shape, strides)


def _rebuild_parameter(tensor, *_):
    if not isinstance(tensor, StoredTensor):
        raise ValueError("a malformed parameter")
    return tensor


def _size(lengths):
    """Replaces torch.Size: returns a tuple of at most 64 counts."""
    if (
        type(lengths) not in (list, tuple)
        or len(lengths) > _MOST_AXES
        or not all(map(_is_count, lengths))
    ):
        raise ValueError(
            "a tensor whose offset, shape or strides are not counts, at most "
            f"{_MOST_AXES}"
        )
    return tuple(lengths)


def _is_count(value):
    return type(value) is int and 0 <= value < _MAX_COUNT


_STORAGES = {
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "BoolStorage": np.dtype("bool"),
    "ByteStorage": np.dtype("uint8"),
    "CharStorage": np.dtype("int8"),
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
    "ShortStorage": np.dtype("<i2"),
}
# Dtypes without a storage type of their own; their tensors are in untyped storages.
_NEWER_DTYPES = ("uint16", "uint32", "uint64")

KNOWN = {
    "argparse.Namespace": plain_dict,  # of a trainer's options
    "collections.Counter": plain_dict,  # of a learning rate schedule
    "collections.OrderedDict": plain_dict,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch.storage.UntypedStorage": np.dtype("uint8"),
    **{f"torch.{name}": dtype for name, dtype in _STORAGES.items()},
    **{f"torch.cuda.{name}": dtype for name, dtype in _STORAGES.items()},
    **{f"torch.{dtype.name}": dtype for dtype in _STORAGES.values()},
    **{f"torch.{name}": np.dtype(name).newbyteorder("<") for name in _NEWER_DTYPES},
}
