"""Torch files made by hand, such as torch itself would never write."""

import pickle
import struct
import zipfile

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def plain(value):
    """Operations that push plain data."""
    return pickle.dumps(value, protocol=2)[2:-1]


def called(name, *arguments):
    """Operations that call `name` ("module name") with the results of others."""
    module, function = name.rsplit(" ", 1)
    return f"c{module}\n{function}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def storage(key="0", kind="torch FloatStorage", count=4, view=b""):
    """Operations that push a storage; `view` is the last part of a legacy one."""
    module, name = kind.split(" ")
    return b"".join(
        [
            b"(" + plain("storage") + f"c{module}\n{name}\n".encode(),
            *(plain(part) for part in (key, "cpu", count)),
            view + b"tQ",
        ]
    )


def tensor(row=None, offset=0, shape=(2, 2), strides=(2, 1), metadata=()):
    """Operations that push a tensor, by default all 4 floats of storage "0"."""
    return called(
        "torch._utils _rebuild_tensor_v2",
        storage() if row is None else row,
        *(plain(part) for part in (offset, shape, strides, False, {}, *metadata)),
    )


def named(**values):
    """A whole pickle of a dict, of the operations that push each value."""
    items = (plain(name) + value + b"s" for name, value in values.items())
    return b"\x80\x02}" + b"".join(items) + b"."


def write_zip(path, pickled, rows, byteorder=b"little", **options):
    """Writes the zip format; `rows` is a dict of storage key -> bytes."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", byteorder)
        for key, content in rows.items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def write_legacy(path, pickled, rows, little_endian=True, itemsize=4):
    """Writes the format before the zip one."""
    system = {"protocol_version": 1001, "little_endian": little_endian}
    parts = [pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, system)]
    parts += [pickled, pickle.dumps(list(rows), 2)]
    for content in rows.values():
        parts += [struct.pack("<q", len(content) // itemsize), content]
    path.write_bytes(b"".join(parts))
    return path
