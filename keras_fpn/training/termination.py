"""What a training does when its process is asked to end: SIGTERM, as at preemption."""

import contextlib
import signal
import threading

EXIT_CODE = 128 + signal.SIGTERM  # what shells report


class Terminated(SystemExit):
    """The training was asked to end; its state is saved, and the process may exit.

    Without a handler the process ends with `EXIT_CODE`.
    """

    def __init__(self):
        super().__init__(int(EXIT_CODE))


@contextlib.contextmanager
def noted_termination(wanted: bool = True):
    """Within it the first SIGTERM is only noted; a second one ends the process.

    A handler that someone else has set stays. Only the main thread can set one.

    Args:
        wanted: bool; without it nothing is changed, and nothing noted.

    Yields:
        function that returns whether SIGTERM was noted, bool.
    """
    noted = threading.Event()

    def note(number, frame):
        noted.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    in_main = threading.current_thread() is threading.main_thread()
    free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not (wanted and in_main and free):
        yield noted.is_set
        return
    signal.signal(signal.SIGTERM, note)
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
