"""Folders of versions, which appear only when complete: TensorFlow Serving watches."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

_PARTIAL = re.compile(r"\.\d+\.\d+\.partial")  # version and process
_ABANDONED = 3600  # seconds without a change; no export takes that long


def check_version(directory: str | os.PathLike, version: int | None = None):
    """Returns the number that a new version would get; writes nothing.

    Args:
        directory: the model's folder.
        version: number of at least 1; None, one above the highest that exists.

    Raises:
        ValueError: the directory is a file; the version is not such a number, or exists
            already.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(
            f"The directory must be a folder; received directory={str(directory)!r}."
        )
    if version is None:
        version = max(_versions(directory), default=0) + 1
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(
            f"version must be an int of at least 1; received version={version!r}."
        )
    if version in _versions(directory):
        raise ValueError(
            "A version must be new, because servers may have loaded the old one; "
            f"received version={version}, which exists in {str(directory)!r}. Leave "
            "version out to get the next number."
        )
    return version


@contextlib.contextmanager
def new_version(directory: str | os.PathLike, version: int | None = None):
    """Yields a folder to write into, which becomes `directory/version` at the end.

    A server loads any folder whose name is a number at once, so the folder has another
    name while it is written. If writing fails, it is removed. If the process is killed,
    a later export removes it after an hour.

    Args:
        directory: the model's folder, created if needed.
        version: number of at least 1; None, one above the highest that exists.

    Yields:
        pathlib.Path to write into, and pathlib.Path that it will have.

    Raises:
        ValueError: as `check_version`.
    """
    directory = Path(directory)
    version = check_version(directory, version)
    final = directory / str(version)
    partial = directory / f".{version}.{os.getpid()}.partial"
    absent = [path for path in (directory, *directory.parents) if not path.exists()]
    _remove_abandoned(directory)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial, final
        _sync(partial)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process may have written into it
            for path in absent:
                path.rmdir()
        raise


def _versions(directory):
    """Returns the version numbers in a folder, as a server reads them."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return [int(name) for name in names if name.isascii() and name.isdigit()]


def _remove_abandoned(directory):
    """Removes unfinished versions that killed processes left."""
    for folder in directory.glob(".*.partial"):
        if not _PARTIAL.fullmatch(folder.name):
            continue
        with contextlib.suppress(OSError):  # a process may still be writing it
            changed = [path.stat().st_mtime for path in (folder, *folder.rglob("*"))]
            if time.time() - max(changed) > _ABANDONED:
                shutil.rmtree(folder)


def _sync(folder):
    """Flushes the files in a folder to disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
