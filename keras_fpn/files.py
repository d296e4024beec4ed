"""Files that are complete or not there."""

import contextlib
import os


@contextlib.contextmanager
def replacing(path):
    """Yields the Path to write a file to; it becomes `path` only once it is complete.

    Folders above are made. If writing fails, or the process is killed, what was there
    before stays. The bytes are on the disk before the name changes: a machine that
    loses its power leaves no empty file either.

    Args:
        path: Path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, for writers that tell the format by it.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder):
    """Brings the names in a folder onto the disk."""
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
