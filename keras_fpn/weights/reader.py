"""Reads torch checkpoints without torch, and without running anything in them.

The pickle in a checkpoint only describes its tensors: the storage of each one, and
where its elements are in it. It is read as such a description and checked against the
size of the file; only then the storages of the required tensors are read.

Source: the formats of `torch.save`, the zip archive (torch 1.6 and later) and the
sequence of pickles before it, as torch 2.12 reads them.
"""

import io
import os
import struct
import zipfile
from pathlib import Path

from keras_fpn.files import PathLike
from keras_fpn.weights.inert_pickle import ForbiddenGlobalError, read_pickle, shown
from keras_fpn.weights.stored_tensors import (
    KNOWN,
    StoredRow,
    arrays_of,
    describe_storage,
)

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_EXCERPT = 200  # characters of a reason
# What zipfile, struct and NumPy raise for damaged and for hostile files.
_UNREADABLE = (
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)


def read_torch(path: PathLike) -> dict:
    """Reads the tensors of a torch checkpoint.

    Both formats of `torch.save` are supported, and nothing in the file is run: it may
    contain only tensors and plain containers. If it is a dict with the weights under
    "model", "state_dict" or "model_state_dict", as trainers save it, these are read.
    Entries that are not tensors are ignored.

    Args:
        path: str or os.PathLike of a .pth or .pt file.

    Returns:
        dict of str -> array of the dtype stored (bfloat16 as that of `ml_dtypes`), in
        the order of the file. The arrays are read-only; tensors that share a storage
        share its memory.

    Raises:
        ValueError: the file does not exist, is damaged or not made by `torch.save`, or
            names something that is neither a tensor nor a plain container.
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
            head = file.read(4)
            file.seek(0)
            read = _read_zip if head == b"PK\x03\x04" else _read_legacy
            return read(file, size)
        except ForbiddenGlobalError as error:
            raise ValueError(
                "A checkpoint must contain only tensors and plain containers; received "
                f"path={str(path)!r}, which names {error.name!r}. Nothing in it was "
                "run. If you trust the file, save only its weights with torch: "
                "torch.save(model.state_dict(), path)."
            ) from error
        except _UNREADABLE as error:
            reason = str(error)[:_EXCERPT] or type(error).__name__
            if isinstance(error, zipfile.BadZipFile):
                reason = f"it is a zip archive, truncated or damaged ({reason})"
            raise ValueError(
                "A checkpoint must be a complete file made by torch.save; received "
                f"path={str(path)!r}, {size} bytes: {reason}. Download or copy it "
                "again, or save it again: torch.save(model.state_dict(), path)."
            ) from error


def _read_zip(file, size):
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        _check_sizes(entries.values(), size)
        pickles = [name for name in entries if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise ValueError(f"a zip file with {len(pickles)} entries FOLDER/data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in entries:
            _check_byteorder(archive.read(f"{folder}byteorder") == b"little")
        top = read_pickle(io.BytesIO(archive.read(pickles[0])), KNOWN, describe_storage)

        def load(storage):
            name = f"{folder}data/{storage.key}"
            if name not in entries:
                raise ValueError(f"its entry {shown(name)} is missing")
            return archive.read(name)

        return arrays_of(top, load, size)


def _check_sizes(entries, size):
    """Raises for archives that are larger when unpacked."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its entry {shown(entry.filename)} is compressed")
    total = sum(max(entry.file_size, entry.compress_size) for entry in entries)
    if total > size:
        raise ValueError(f"its entries claim {total} bytes")


def _check_byteorder(little):
    if not little:
        raise ValueError("its numbers are big-endian")


def _read_legacy(file, size):
    bounded = BoundedFile(file, size)
    try:
        magic = read_pickle(bounded, KNOWN)
    except ForbiddenGlobalError:
        raise
    except ValueError:
        magic = None
    if magic != _LEGACY_MAGIC:
        file.seek(0)
        raise ValueError(f"it begins with {file.read(16)!r} and is not a torch file")
    protocol = read_pickle(bounded, KNOWN)
    if protocol != _LEGACY_PROTOCOL:
        raise ValueError(f"its protocol is not {_LEGACY_PROTOCOL}")
    system = read_pickle(bounded, KNOWN)
    _check_byteorder(type(system) is dict and system.get("little_endian") is True)
    declared: dict[str, StoredRow] = {}

    def declare(persistent_id):
        storage = describe_storage(persistent_id)
        declared.setdefault(storage.key, storage)
        return storage

    top = read_pickle(bounded, KNOWN, declare)
    keys = read_pickle(bounded, KNOWN)
    places = _legacy_positions(bounded, keys, declared)

    def load(storage):
        if storage.key not in places:
            raise ValueError(f"its storage {shown(storage.key)} is missing")
        position, length = places[storage.key]
        file.seek(position)
        return file.read(length)

    return arrays_of(top, load, size)


def _legacy_positions(file, keys, declared):
    """Returns dict of key -> (position, bytes) of the storages, which end the file."""
    places = {}
    for key in keys if type(keys) is list else []:
        if type(key) is not str or key not in declared:
            raise ValueError("it has a storage that no tensor uses")
        (count,) = struct.unpack("<q", file.read(8))
        length = count * declared[key].dtype.itemsize
        position = file.tell()
        if not 0 <= length <= file.size - position:
            raise ValueError(
                f"its storage {shown(key)} claims {length} bytes at byte {position}"
            )
        places[key] = position, length
        file.seek(position + length)
    return places


class BoundedFile:
    """A file whose `read` never allocates more memory than it has bytes."""

    def __init__(self, file, size):
        self.size = size
        self.seek = file.seek
        self.tell = file.tell
        self.readline = file.readline
        self._read = file.read

    def read(self, count):
        return self._read(min(count, self.size - self.tell()))
