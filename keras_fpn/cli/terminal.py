"""What a command shows while it works through photos."""

import contextlib
import signal
import warnings

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

_ENDING = signal.SIGINT, signal.SIGTERM


@contextlib.contextmanager
def photo_progress():
    """Yields a `rich.progress.Progress` on stderr, hidden unless that is a terminal.

    Pillow's warnings are hidden meanwhile. Its UserWarnings are about damaged metadata,
    while damaged pixels raise; its RuntimeWarning, about too many pixels, comes before
    our own error, which says the same.
    """
    console = Console(stderr=True)
    columns = *Progress.get_default_columns(), MofNCompleteColumn()
    with (
        warnings.catch_warnings(),
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        for category in (UserWarning, RuntimeWarning):
            warnings.filterwarnings("ignore", category=category, module=r"PIL\.")
        yield bar


@contextlib.contextmanager
def stoppable():
    """Yields a function that returns whether Ctrl-C or SIGTERM asked for the end.

    So that what is being written can be completed, the first one only asks. The second
    one ends the work as Ctrl-C does elsewhere.
    """
    asked = False

    def ask(*_):
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {each: signal.signal(each, ask) for each in _ENDING}
    try:
        yield lambda: asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def ended_by_sigterm():
    """Lets SIGTERM end the work as Ctrl-C does: what was begun is cleaned up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
