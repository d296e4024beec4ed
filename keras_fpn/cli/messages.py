"""Shows what the library reports of long work, such as a download."""

import contextlib
import logging
import sys

LOGGER = __name__.partition(".")[0]


@contextlib.contextmanager
def shown_messages():
    """Writes what the library logs as information to stderr, while the context lasts.

    Otherwise the library says nothing unless its user asks Python's `logging` for it.
    """
    logger, handler = logging.getLogger(LOGGER), logging.StreamHandler(sys.stderr)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # the root logger may show it again, in another form
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
