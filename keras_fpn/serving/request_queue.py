"""The bounds of requests: how many at once, how large and how long."""

import contextlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from keras_fpn.serving.request_error import RequestError

# A detector needs half a gigabyte per photo, and uses all cores for a single one.
_RUNNING = 2


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
        request_bytes: the largest request, bytes.
        requests: how many are read, wait or run at the same time; more are refused.
        seconds: from the first byte of a request to its answer.
    """

    request_bytes: int = 32 << 20
    requests: int = 32
    seconds: float = 60.0


class RequestQueue:
    """Runs the requests of all connections, two at a time.

    Args:
        limits: `Limits`.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self._places = threading.BoundedSemaphore(limits.requests)
        self._pool = ThreadPoolExecutor(_RUNNING, "keras_fpn_predict")

    @contextlib.contextmanager
    def place(self):
        """Yields a `Place` for one request.

        It is free again at the end of the context; but once the request has begun to
        run, when that ends, because TensorFlow cannot be interrupted.

        Raises:
            RequestError: all places are taken.
        """
        if not self._places.acquire(blocking=False):
            raise RequestError(
                "UNAVAILABLE",
                f"The server has {self.limits.requests} requests already, its limit. "
                "Try again later.",
            )
        place = Place(self._pool, self.limits.seconds, self._places.release)
        try:
            yield place
        finally:
            if not place.runs:
                self._places.release()

    def stop(self):
        """Drops the requests that wait; those that run end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Place:
    """The right of one request to run once.

    Attributes:
        runs: bool, whether the request was handed over to run.
    """

    def __init__(self, pool, seconds, release):
        self._pool, self._release = pool, release
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.runs = False

    def seconds_left(self):
        """Returns how long the client still waits, 0 or more."""
        return max(self._end - time.monotonic(), 0.0)

    def run(self, work, *arguments) -> Future:
        """Returns the future result of `work(*arguments)`, in a thread of the queue."""
        future = self._pool.submit(self._in_time, work, arguments)
        self.runs = True
        future.add_done_callback(lambda _: self._release())
        return future

    def too_late(self):
        """Returns the RequestError for a request that took too long."""
        return RequestError(
            "DEADLINE_EXCEEDED",
            f"The request took longer than {self._seconds:g} s, the server's limit.",
        )

    def _in_time(self, work, arguments):
        if not self.seconds_left():  # its client has been told so
            raise self.too_late()
        return work(*arguments)
