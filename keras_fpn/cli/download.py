"""Downloads a photo or video, of bounded size and in bounded time."""

import http.client
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

MOST_BYTES = 256 << 20
MOST_SECONDS = 120.0
_LOGGER = logging.getLogger(__name__)
_SILENCE = 20.0  # seconds without a byte after which a server is given up
_CHUNK = 1 << 16  # bytes
_SAFE = "%/:=&?~#+!$,;'@()*[]"  # characters of an address that keep their meaning
_LONGEST_NAME = 100  # letters


def is_url(text):
    """Returns whether a str begins as an address of the web; False for a Path."""
    return isinstance(text, str) and text.lower().startswith(("http://", "https://"))


def file_name(url: str):
    """Returns the last part of an address as the name of a file."""
    path = urllib.parse.unquote(url.partition("?")[0].partition("#")[0])
    last = path.partition("://")[2].partition("/")[2].rstrip("/").rpartition("/")[2]
    name = re.sub(r"[^\w.+-]", "_", last).lstrip(".")
    return name[-_LONGEST_NAME:] or "photo"


def download(
    url: str,
    path: Path,
    most_bytes: int = MOST_BYTES,
    most_seconds: float = MOST_SECONDS,
):
    """Writes what an address names into a file, which is absent after an error.

    Raises:
        OSError: it cannot be downloaded, or is larger or slower than allowed.
    """
    deadline = time.monotonic() + most_seconds
    _LOGGER.info(f"Downloading {url}")
    try:
        request = urllib.request.Request(
            urllib.parse.quote(url, safe=_SAFE), headers={"User-Agent": "keras-fpn"}
        )
        with (
            urllib.request.urlopen(request, timeout=_SILENCE) as response,
            path.open("wb") as file,
        ):
            for chunk in _chunks(response, deadline, most_bytes, most_seconds):
                file.write(chunk)
    except (OSError, http.client.HTTPException, ValueError) as error:
        path.unlink(missing_ok=True)
        raise OSError(f"it could not be downloaded: {_reason(error)}") from error


def _chunks(response, deadline, most_bytes, most_seconds):
    """Yields the bytes of a response as they come, within the limits."""
    length = response.headers.get("Content-Length", "")
    announced = int(length) if length.isdecimal() else None
    too_large = f"a file must have at most {most_bytes >> 20} MiB"
    if announced is not None and announced > most_bytes:
        raise OSError(f"{too_large}; received one of {announced / 2**20:.1f} MiB")
    received = 0
    while chunk := response.read1(_CHUNK):  # does not wait for a whole chunk
        received += len(chunk)
        if received > most_bytes:
            raise OSError(f"{too_large}; received more")
        if time.monotonic() > deadline:
            raise OSError(
                f"it must come within {most_seconds:.0f} s; received {received} bytes"
            )
        yield chunk
    if announced is not None and received < announced:
        raise OSError(f"the connection ended after {received} of {announced} bytes")


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error) or type(error).__name__
