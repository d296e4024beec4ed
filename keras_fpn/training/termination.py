"""What a training does when its process is asked to end: SIGTERM, or Ctrl-C."""

import contextlib
import logging
import signal
import threading
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM  # what shells report
_LOGGER = logging.getLogger(__name__)


class Terminated(SystemExit):
    """The training was asked to end; its state is saved, and the process may exit.

    Without a handler the process ends with `EXIT_CODE`.
    """

    def __init__(self):
        super().__init__(int(EXIT_CODE))


# Signal -> the handler that a process has if nobody sets another, and what ends it.
_NOTED: dict[int, tuple[Any, type[BaseException]]] = {
    signal.SIGTERM: (signal.SIG_DFL, Terminated),
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
}


@contextlib.contextmanager
def noted_termination(wanted: bool = True):
    """Within it the first SIGTERM or Ctrl-C is only noted; a second one ends the work.

    A handler that someone else has set stays. Only the main thread can set one.

    Args:
        wanted: bool; without it nothing is changed, and nothing noted.

    Yields:
        function that returns what to raise once the state is saved, `Terminated` or
        `KeyboardInterrupt`; None if no signal was noted.
    """
    noted: list[type[BaseException]] = []

    def note(number, frame):
        usual, ending = _NOTED[number]
        noted.append(ending)
        signal.signal(number, usual)
        _LOGGER.info(
            "Ending after this step, or after the evaluation, to save the training. "
            "Once more ends it at once."
        )

    mine = []
    if wanted and threading.current_thread() is threading.main_thread():
        mine = [one for one in _NOTED if signal.getsignal(one) is _NOTED[one][0]]
    for one in mine:
        signal.signal(one, note)
    try:
        yield lambda: noted[0] if noted else None
    finally:
        for one in mine:
            signal.signal(one, _NOTED[one][0])
