"""Folders of versions as TensorFlow Serving watches them: complete, or not there."""

import contextlib
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def new_version(directory, version=None):
    """Yields a folder to write into; it becomes `directory/version` once complete.

    A server takes any folder whose name is a number at once, so the folder has another
    name until then. If writing fails, nothing of it remains.

    Args:
        directory: path of the model's folder, made if it is absent.
        version: int, at least 1; None, one above the highest there.

    Yields:
        pathlib.Path to write to, and pathlib.Path of the version.

    Raises:
        ValueError: the version is no such number, or is there already.
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
    final = directory / str(version)
    partial = directory / f".{version}.{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial, final
        _sync(partial)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _versions(directory):
    """Returns the numbers among the names in a folder, as a server reads them."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return [int(name) for name in names if name.isascii() and name.isdigit()]


def _sync(folder):
    """Brings the files in a folder onto the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
