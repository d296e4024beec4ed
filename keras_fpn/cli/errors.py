"""How a command fails: one line on stderr and an exit code."""

import contextlib
import sys
from pathlib import Path

INTERRUPTED = 130  # exit code: what shells report after Ctrl-C


class CommandError(Exception):
    """Ends a command with a message for its user instead of a traceback.

    Args:
        message: what was wrong and what to do.
        code: the exit code: 2, the arguments were wrong; 1, the work failed.
    """

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code

    def report(self):
        """Prints the message in one line on stderr and returns the exit code."""
        print(f"keras-fpn: error: {one_line(self)}", file=sys.stderr)
        return self.code


@contextlib.contextmanager
def reported(*errors: type[Exception], code: int = 2, prefix: str = ""):
    """Turns exceptions of these types into a `CommandError` with the same message.

    Args:
        errors: the types.
        code: the exit code.
        prefix: what the message starts with.
    """
    try:
        yield
    except errors as error:
        raise CommandError(prefix + one_line(error), code) from error


def make_output(folder: Path):
    """Creates the folder that --output names.

    Raises:
        CommandError: it cannot be created, or is a file.
    """
    with reported(OSError, prefix="--output must be a folder: "):
        folder.mkdir(parents=True, exist_ok=True)


def one_line(error: BaseException):
    """Returns an exception's message, str, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
