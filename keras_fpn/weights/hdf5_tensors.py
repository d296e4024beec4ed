"""Which tensors an HDF5 file declares: checked against its size, before any is read."""

import math
import struct
import zipfile
import zlib

import h5py

# What h5py, zipfile and Keras raise for damaged, foreign and hostile files.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,  # h5py and NumPy ask at once for all that a file claims
    ModuleNotFoundError,  # a layer of another package
    OSError,
    RuntimeError,
    SystemError,  # of h5py, where it loses an error
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_OPTIMIZER = "optimizer/"
_MOST_NODES = 100_000  # groups and tensors; a ResNet-101 has 1,000
_MOST_AXES = 32
_NUMERIC = "fiubV"  # kinds of dtype; bfloat16 is stored as opaque
_EXCERPT = 60  # characters


def declared_tensors(file: h5py.File, size: int):
    """Returns the shapes of a file's tensors, dict of tensor -> shape.

    Those of an optimizer are checked and left out. Attributes are not read: the HDF5
    library never ends with those of some damaged files.

    Args:
        file: `h5py.File`.
        size: its bytes.

    Raises:
        ValueError: it has links to elsewhere, tensors that are not of numbers, or
            claims more numbers than it has bytes for.
        UNREADABLE: it is damaged.
    """
    shapes, left, nodes = {}, size, 0

    def problem(name, link):  # h5py loses what is raised here; what is returned ends it
        nonlocal nodes
        nodes += 1
        if not isinstance(link, h5py.HardLink):
            return f"{name[:_EXCERPT]!r} is a link"
        if nodes > _MOST_NODES:
            return f"it has more than {_MOST_NODES} groups and tensors"
        return None

    def note(name, node):
        nonlocal left
        if not isinstance(node, h5py.Dataset):
            return
        left -= _checked_bytes(name, node)
        if left < 0:
            raise ValueError(
                f"its tensors up to {name[:_EXCERPT]!r} claim more than its {size} "
                "bytes"
            )
        if not name.startswith(_OPTIMIZER):
            shapes[name] = tuple(node.shape)

    found = file.visititems_links(problem)
    if found is not None:
        raise ValueError(found)
    file.visititems(note)
    return shapes


def _checked_bytes(name, node):
    """Returns the bytes that an HDF5 data set takes when it is read."""
    name, dtype, shape = name[:_EXCERPT], node.dtype, node.shape
    if dtype.kind not in _NUMERIC or shape is None or len(shape) > _MOST_AXES:
        raise ValueError(f"{name!r} is of dtype {str(dtype)[:_EXCERPT]}")
    if node.external or node.is_virtual:
        raise ValueError(f"{name!r} is stored in another file")
    return math.prod(shape) * dtype.itemsize
