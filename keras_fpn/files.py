"""Files that are complete or not there."""

import contextlib
import os
import pathlib
import shutil
import stat
import sys
import tempfile


@contextlib.contextmanager
def replacing(path, sync=True):
    """Yields the Path to write a file to; it becomes `path` only once it is complete.

    Folders above are made. If writing fails, or the process is killed, what was there
    before stays. The bytes are on the disk before the name changes: a machine that
    loses its power leaves no empty file either.

    A link stays one: the file that it leads to is replaced, and keeps its permissions:
    nobody else may read it while it is written either. One that is read-only is
    replaced too, for that is up to the folder.
    What is no file but a device, a pipe or this process's output, such as /dev/null or
    /dev/stdout, is never replaced: it gets the bytes, once they are complete.

    Args:
        path: Path.
        sync: bool, False to leave it to the system when bytes come to the disk.

    Raises:
        OSError: it is a folder, or cannot be written.
    """
    try:
        there = os.stat(path)
    except FileNotFoundError:  # or a link to what is not there yet
        there = None
    if there is not None and stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(
            f"What is written must be a file; received the folder {str(path)!r}. Name "
            "a file in it."
        )
    stream = None if there is None else _stream(there)
    if stream is not None or not (there is None or stat.S_ISREG(there.st_mode)):
        with _buffered(path, stream) as partial:
            yield partial
        return
    path = pathlib.Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, for writers that tell the format by it.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        _create(partial, path, there)
        yield partial
        with open(partial, "rb+") as file:
            if there is not None:  # now that it is open: it may become read-only
                partial.chmod(there.st_mode & 0o777)
            if sync:
                os.fsync(file.fileno())
        partial.replace(path)
        if sync:
            _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _create(partial, path, there):
    """Creates an empty file that only its owner may have more rights to than `path`.

    Raises:
        OSError: it cannot be created; the file it names is `path`.
    """
    mode = 0o666  # less the umask, as every new file
    if there is not None:
        mode = there.st_mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR
    try:
        partial.unlink(missing_ok=True)  # of a killed process that had this number
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    except OSError as error:
        error.filename = str(path)  # what the user knows
        raise


def write_text(path, text: str, sync: bool = True):
    """Writes a UTF-8 text file with `replacing`: complete or not at all.

    Args:
        path: str or Path; folders above it are made.
        text: str.
        sync: bool, see `replacing`.

    Raises:
        OSError: the file cannot be written.
        ValueError: the text contains what is not Unicode, such as the name of a photo
            that is not UTF-8; `printable` escapes it where the format allows that.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 30) : error.end + 30]
        raise ValueError(
            f"A text file must contain only Unicode; received path={str(path)!r} and "
            f"the text {around!r}. Rename that photo or class."
        ) from error
    with replacing(pathlib.Path(path), sync) as partial:
        partial.write_text(text, encoding="utf-8")


def printable(text):
    """Returns text that every file can hold: names of files may be no Unicode.

    What is none, such as the byte 0xff in a name, becomes "\\udcff". In JSON that
    stands for the very name, and reading it gives it back.
    """
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _stream(there):
    """Returns sys.stdout or sys.stderr if it is what `os.stat` found, else None."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if os.path.samestat(os.fstat(stream.fileno()), there):
                return stream
        except (AttributeError, OSError, ValueError):  # it is none, closed or no file
            continue
    return None


@contextlib.contextmanager
def _buffered(path, stream):
    """Yields the Path of a file whose bytes then go to a stream or device."""
    with tempfile.TemporaryDirectory() as folder:
        partial = pathlib.Path(folder, f"partial{path.suffix}")
        yield partial
        if stream is not None:  # to open it anew would overwrite what it has printed
            stream.flush()
        target = path if stream is None else os.dup(stream.fileno())
        with open(partial, "rb") as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)


def _sync_folder(folder):
    """Brings the names in a folder onto the disk."""
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
