"""Downloads checkpoints into a cache folder, and verifies them on every use."""

import contextlib
import http.client
import logging
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from pathlib import Path

import rich.console
import rich.progress

from keras_fpn.files import PathLike
from keras_fpn.weights.checkpoint import Checkpoint, Digest
from keras_fpn.weights.shipped import SHIPPED

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_ATTEMPTS = 4  # without new bytes, in a row, before a download fails
_PAUSE = 0.5  # seconds before the second attempt, doubled for each further one
_TIMEOUT = 30.0  # seconds without an answer
_CHUNK = 1 << 18  # bytes
_LOGGER = logging.getLogger(__name__)
_RETRIED_STATUS = {408, 429, 500, 502, 503, 504}


class _CutError(Exception):
    """The connection failed, or ended before the file did."""


def fetch(
    checkpoint: Checkpoint | str,
    sha256: str | None = None,
    cache_dir: PathLike | None = None,
) -> Path:
    """Returns the path of a verified checkpoint, downloaded unless cached.

    The file is hashed every time, which takes a fraction of a second, because a record
    of an earlier verification says nothing about later damage. An interrupted download
    resumes where it ended, in this call or the next one. If several processes need the
    same file, one downloads it and the others wait. A download is reported to Python's
    logger "keras_fpn" as information, on a terminal by a progress bar; unless that is
    asked for, nothing is shown.

    Args:
        checkpoint: `Checkpoint`, or str, an http or https URL.
        sha256: str, hexadecimal SHA-256 of the file, or at least its first 8 digits;
            required with a URL. By default the `Checkpoint`'s digest is used, which may
            be the start of an MD5.
        cache_dir: str or os.PathLike; by default `default_cache_dir()`.

    Returns:
        pathlib.Path of the file in the cache.

    Raises:
        ValueError: the URL or the hash is not valid, the checkpoint has no URL, or the
            file received has another hash; it is then deleted.
        ConnectionError: the file could not be downloaded; the message says where to
            put it manually.
    """
    url, digest = checkpoint, None
    if isinstance(checkpoint, Checkpoint):
        url, digest = _published_url(checkpoint), checkpoint.digest
    url = _checked_url(url)
    if digest is None or sha256 is not None:
        digest = _checked_hash(sha256)
    folder = default_cache_dir() if cache_dir is None else Path(cache_dir)
    path = folder / _file_name(url, digest)
    if digest.fits(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with _sole_downloader(path) as part:
        if not digest.fits(path):  # another process may have downloaded it
            if path.exists():
                warnings.warn(
                    f"{path} has another {digest} than {digest.digits}: "
                    "downloading again.",
                    stacklevel=2,
                )
            left_by_another_call = part.exists()
            _download(url, part, path)
            if left_by_another_call and not digest.fits(part):
                part.unlink()  # the old part may be the damaged one
                _download(url, part, path)
            _move_verified(part, path, url, digest)
    return path


def default_cache_dir() -> Path:
    """Returns the folder of downloaded checkpoints, a `pathlib.Path`.

    It is checkpoints/ in the folder in the environment variable KERAS_FPN_HOME, or else
    in keras_fpn/ of the cache folder of the user: XDG_CACHE_HOME, or ~/.cache.
    """
    home = os.environ.get("KERAS_FPN_HOME")
    if home:
        return Path(home).expanduser() / "checkpoints"
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # as the XDG specification requires
        cache = Path.home() / ".cache"
    return cache / "keras_fpn" / "checkpoints"


def _published_url(checkpoint):
    if checkpoint.url is not None:
        return checkpoint.url
    published = ", ".join(
        f"{metric} {value} on {data}"
        for data, metrics in checkpoint.metrics.items()
        for metric, value in metrics.items()
    )
    raise ValueError(
        "A checkpoint must have a URL and a hash to be downloaded; received name="
        f"{checkpoint.name!r}, whose weights ({published}) are published without a "
        f"hash by {checkpoint.source}. Build the model with load_weights=False, and "
        "fill it from a .pkl or .pth file of yours with "
        "keras_fpn.weights.load_detectron2(model, path); on the command line, name the "
        "file: --weights FILE."
    )


def _checked_url(url):
    parts = urllib.parse.urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            "A download needs a Checkpoint or a URL that begins with http:// or "
            f"https://; received {url!r}. A file on this machine is read by "
            "keras_fpn.weights.read_torch(path)."
        )
    return url


def _checked_hash(sha256):
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{8,64}", sha256):
        raise ValueError(
            "A download is verified by 8 to 64 hexadecimal digits of its SHA-256; "
            f"received sha256={sha256!r}. Its publisher states it, often in the file "
            "name."
        )
    return Digest("sha256", sha256.lower())


def _file_name(url, digest):
    """Returns the last part of a URL with the hash added: one name, one content."""
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
    name = re.sub(r"[^\w.+-]", "_", last).lstrip(".")
    digits = digest.digits[:8]
    if digits in name:
        return name
    stem, suffix = os.path.splitext(name)
    return f"{stem or 'checkpoint'}-{digits}{suffix}"


@contextlib.contextmanager
def _sole_downloader(path):
    """Yields the path of the unfinished file while no other process writes to it.

    The system releases the lock of a killed process. Without locks, each process has an
    unfinished file of its own, which is never resumed.
    """
    with open(path.with_name(f"{path.name}.lock"), "ab") as lock:
        if _is_locked(lock, path.name):
            yield path.with_name(f"{path.name}.part")
            return
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


def _is_locked(lock, name):
    """Waits for the lock; returns False on systems without locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _LOGGER.info(f"Waiting for another download of {name}")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return False
    return True


def _download(url, part, path):
    """Completes the unfinished file."""
    failures, furthest = 0, -1
    console = rich.console.Console(stderr=True)
    shown = console.is_interactive and _LOGGER.isEnabledFor(logging.INFO)
    if not shown:
        _LOGGER.info(f"Downloading {url} to {path}")
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, disable=not shown) as bar:
        task = bar.add_task(path.name, total=None)
        while True:
            try:
                _continue_download(url, part, lambda **at: bar.update(task, **at))
                return
            except _CutError as error:
                size = part.stat().st_size if part.exists() else 0
                failures = 1 if size > furthest else failures + 1
                furthest = max(size, furthest)
                if failures == _ATTEMPTS or not _may_pass(error):
                    raise _not_downloaded(url, path, error) from None
            time.sleep(_PAUSE * 2 ** (failures - 1))


def _may_pass(error):
    """Returns whether another attempt may succeed."""
    cause = error.__cause__
    if isinstance(cause, urllib.error.HTTPError):
        return cause.code in _RETRIED_STATUS
    return True


def _continue_download(url, part, report):
    """Requests the missing rest of the unfinished file once, and appends it.

    Raises:
        _CutError: the rest is incomplete.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "keras-fpn"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # nothing is missing: it is complete, or wrong
            return
        raise _CutError(f"the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(_reason(error)) from error
    with response:
        if response.status != 206:  # the server sends the whole file again
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            raise _CutError("the server sent another range than requested")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        with part.open("ab" if have else "wb") as file:
            report(completed=have, total=total)
            for chunk in _chunks(response):
                have += file.write(chunk)
                report(completed=have)
    if total is not None and have < total:
        raise _CutError(f"the connection ended after {have} of {total} bytes")


def _chunks(response):
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(_reason(error)) from error
        if not chunk:
            return
        yield chunk


def _reason(error):
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(error).__name__


def _not_downloaded(url, path, error):
    return ConnectionError(
        "The checkpoint must be downloaded once; received no complete file from "
        f"{url}: {error}. Run again with a network connection (what was received is "
        f"kept), or download that URL by other means and put the file at {path}. "
        f"Presets that come along need no network: {', '.join(SHIPPED)}."
    )


def _move_verified(part, path, url, digest):
    received = digest.of(part)
    if not received.startswith(digest.digits):
        size = part.stat().st_size
        part.unlink()
        raise ValueError(
            f"A download must have the published {digest}, here {digest.digits}; "
            f"received {received} ({size} bytes) from {url}. The file was deleted: try "
            "again, and if that fails again do not use that source."
        )
    os.replace(part, path)
