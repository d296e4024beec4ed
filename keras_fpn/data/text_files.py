"""What the text files of data sets have in common."""

import csv
import errno
import os
import pathlib
from collections.abc import Sequence

from keras_fpn.files import PathLike, check_regular

MOST_BYTES = 2**31  # of a file of annotations; those of COCO and LVIS have 2^30
_START = 4096  # bytes
ClassNames = Sequence[str] | PathLike | None  # names, or a file of them


def read_text(path: PathLike) -> str:
    """Returns the content of a UTF-8 text file, with or without a byte order mark.

    Raises:
        ValueError: as `read_bytes`; or it is not UTF-8.
    """
    content = read_bytes(path)
    try:
        # Line ends as Python's text files have them.
        text = content.decode("utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"An annotation file must be UTF-8 text; received path={str(path)!r}, "
            f"which is invalid at byte {error.start}. Save it as UTF-8."
        ) from error


def read_bytes(path: PathLike) -> bytes:
    """Returns the content of an annotation file.

    Raises:
        ValueError: there is no such file; it is a pipe, a device or too large; or it
            begins with the zeros of a file that was never written.
    """
    path = pathlib.Path(path)
    try:
        check_regular(path, MOST_BYTES)
        with open(path, "rb") as file:
            start = file.read(_START)
            if len(start) == _START and not start.strip(b"\0"):
                raise OSError(errno.EINVAL, "It holds zeros, and no text")
            return start + file.read()
    except OSError as error:
        raise ValueError(
            "An annotation file must exist and be readable; received "
            f"path={str(path)!r}: {error.strerror}."
        ) from error


def class_list(class_names: ClassNames) -> tuple[str, ...] | None:
    """Returns the names of classes in order, tuple of str; None for None.

    Args:
        class_names: list of str; or the path of a file with one name per line, or with
            lines "name,number", which are sorted by number; or None.

    Raises:
        ValueError: there is no name, a name is repeated, or a number is not an integer.
    """
    if class_names is None:
        return None
    received = class_names
    if isinstance(class_names, (str, os.PathLike)):
        rows = [row for row in csv.reader(read_text(class_names).splitlines()) if row]
        if rows and all(len(row) == 2 for row in rows):
            rows = _by_number(rows, class_names)
        class_names = [row[0].strip() for row in rows]
    names = tuple(str(name) for name in class_names)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            "`class_names` must be one or more different names; received "
            f"{received!r}, read as {list(names)}."
        )
    return names


def _by_number(rows, path):
    try:
        return sorted(rows, key=lambda row: int(row[1]))
    except ValueError as error:
        raise ValueError(
            'A file of class names must have lines "name" or "name,number"; received '
            f"path={str(path)!r}: {error}."
        ) from error


def shortest_float(number) -> float:
    """Returns a float32 as the float with the fewest digits: 204.86, not 204.860001.

    Args:
        number: np.float32.
    """
    return float(str(number))


def shortest_text(number, shift: int = 0) -> str:
    """Returns a float32 plus an integer as the shortest text, "12" for 12.0.

    Args:
        number: np.float32.
        shift: int, added to the number.
    """
    decimal = round(shortest_float(number) + shift, 12)
    return str(int(decimal)) if decimal.is_integer() else repr(decimal)
