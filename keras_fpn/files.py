"""Files: written complete or not at all, read if they are regular and not too large."""

import contextlib
import difflib
import errno
import io
import os
import pathlib
import shutil
import stat
import sys
import tempfile

PathLike = str | os.PathLike[str]
HUB = "hf://"  # how paths in the Hugging Face Hub begin for Keras


def check_regular(path: PathLike, most: int):
    """Raises for what must not be read whole: pipes, devices and enormous files.

    Args:
        path: str or os.PathLike.
        most: int, bytes that the file may have.

    Raises:
        OSError: as `os.stat`; or it is no regular file, or larger.
    """
    there = os.stat(path)
    name = os.fspath(path)
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(there.st_mode):
        raise OSError(errno.EINVAL, "It is no regular file, but a pipe or device", name)
    if there.st_size > most:
        reason = f"It has {there.st_size} bytes, and at most {most} are read"
        raise OSError(errno.EFBIG, reason, name)


def similar_path(path: PathLike):
    """Returns " Did you mean ...?" with a path of nearly the same name, or ""."""
    path = pathlib.Path(path)
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, 1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


@contextlib.contextmanager
def replacing(path, sync=True):
    """Yields the Path to write a file to; it becomes `path` only once it is complete.

    Parent folders are created. If writing fails, or the process is killed, the old file
    stays. The bytes are on the disk before the name changes, so that a loss of power
    leaves no empty file either.

    A link stays a link: its target is replaced, and keeps its permissions, also while
    it is written. A read-only file is replaced too, if its folder allows that.
    A device, a pipe or the output of this process, such as /dev/null or /dev/stdout, is
    never replaced: the bytes are written to it once they are complete.

    Args:
        path: Path.
        sync: bool, False to let the system decide when to write bytes to the disk.

    Raises:
        OSError: `path` is a folder, or cannot be written; the error names it.
    """
    try:
        there = os.stat(path)
    except FileNotFoundError:  # or a link to a missing file
        there = None
    if there is not None and stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(
            f"The path to write must be a file; received the folder {str(path)!r}. "
            "Name a file in it."
        )
    stream = None if there is None else _stream(there)
    if stream is not None or not (there is None or stat.S_ISREG(there.st_mode)):
        with _buffered(path, stream) as partial:
            yield partial
        return
    path = pathlib.Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, because some writers choose the format by it.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        _create(partial, there)
        yield partial
        with open(partial, "rb+") as file:
            # Only now that it is open, because it may become read-only.
            if there is not None:
                partial.chmod(there.st_mode & 0o777)
            if sync:
                os.fsync(file.fileno())
        partial.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        is_own = error.filename is None or str(error.filename) == str(partial)
        if is_own and error.errno is not None:  # another has a message of its own
            error.filename = str(path)  # the name that the user knows
        raise
    finally:
        partial.unlink(missing_ok=True)


def _create(partial, there):
    """Creates an empty file with the permissions of `path`, writable by its owner.

    Raises:
        OSError: it cannot be created.
    """
    mode = 0o666  # minus the umask, as for every new file
    if there is not None:
        mode = there.st_mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR
    partial.unlink(missing_ok=True)  # from a killed process with the same id
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))


def write_text(path: PathLike, text: str, sync: bool = True):
    """Writes a UTF-8 text file with `replacing`: complete or not at all.

    Args:
        path: str or Path; parent folders are created.
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


def write_image(image, path: PathLike, sync: bool = True, **encoding):
    """Writes an image file with `replacing`: complete or not at all.

    It is encoded in memory: where a disk is full, Pillow takes a file of which only the
    first bytes were written for a complete one.

    Args:
        image: PIL.Image.
        path: str or Path; parent folders are created.
        sync: bool, see `replacing`.
        encoding: "format" and other arguments of `PIL.Image.save`.

    Raises:
        OSError: the file cannot be written.
    """
    content = io.BytesIO()
    image.save(content, **encoding)
    with replacing(pathlib.Path(path), sync) as partial:
        partial.write_bytes(content.getvalue())


def printable(text):
    """Returns text without what is not Unicode, as names of files may contain.

    The byte 0xff in a name, for instance, becomes "\\udcff". In JSON that is an escape:
    reading it gives the same name again.
    """
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _stream(there):
    """Returns sys.stdout or sys.stderr if it is what `os.stat` found, else None."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if os.path.samestat(os.fstat(stream.fileno()), there):
                return stream
        except (AttributeError, OSError, ValueError):  # None, closed or not a file
            continue
    return None


@contextlib.contextmanager
def _buffered(path, stream):
    """Yields the Path of a file whose bytes are then copied to a stream or device."""
    with tempfile.TemporaryDirectory() as folder:
        partial = pathlib.Path(folder, f"partial{path.suffix}")
        yield partial
        if stream is not None:  # opening it again would overwrite what was printed
            stream.flush()
        target = path if stream is None else os.dup(stream.fileno())
        with open(partial, "rb") as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)


def _sync_folder(folder):
    """Writes the names in a folder to the disk."""
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
