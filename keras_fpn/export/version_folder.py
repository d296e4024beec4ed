"""Folders of versions as TensorFlow Serving watches them: complete, or not there."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

_PARTIAL = re.compile(r"\.\d+\.\d+\.partial")  # version and process
_ABANDONED = 3600  # seconds without a change: no export takes as long


def check_version(directory, version=None):
    """Returns the number that a new version would have; makes nothing.

    Args:
        directory: path of the model's folder.
        version: int, at least 1; None, one above the highest there.

    Raises:
        ValueError: the directory is a file; the version is no such number, or is there
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
            "version must be a whole number of at least 1; received "
            f"version={version!r}."
        )
    if version in _versions(directory):
        raise ValueError(
            f"A version must be new, for servers may hold the old one; received "
            f"version={version}, which is in {str(directory)!r}. Leave version out to "
            "take the next number."
        )
    return version


@contextlib.contextmanager
def new_version(directory, version=None):
    """Yields a folder to write into; it becomes `directory/version` once complete.

    A server takes any folder whose name is a number at once, so the folder has another
    name until then. If writing fails, nothing of it remains; what a killed process
    left, the next one removes after an hour.

    Args:
        directory: path of the model's folder, made if it is absent.
        version: int, at least 1; None, one above the highest there.

    Yields:
        pathlib.Path to write to, and pathlib.Path of the version.

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
        with contextlib.suppress(OSError):  # where another process has written into it
            for path in absent:
                path.rmdir()
        raise


def _versions(directory):
    """Returns the numbers among the names in a folder, as a server reads them."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return [int(name) for name in names if name.isascii() and name.isdigit()]


def _remove_abandoned(directory):
    """Removes what processes that were killed have left of their versions."""
    for folder in directory.glob(".*.partial"):
        if not _PARTIAL.fullmatch(folder.name):
            continue
        with contextlib.suppress(OSError):  # its process may be at work in it
            changed = [path.stat().st_mtime for path in (folder, *folder.rglob("*"))]
            if time.time() - max(changed) > _ABANDONED:
                shutil.rmtree(folder)


def _sync(folder):
    """Brings the files in a folder onto the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
