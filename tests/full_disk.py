"""A disk that is full, as a process sees it."""

import contextlib
import resource


@contextlib.contextmanager
def largest_file(size):
    """Within it no file can grow beyond a size in bytes, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
