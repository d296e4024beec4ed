"""How a command fails: one line on stderr and an exit code."""

import sys

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


def one_line(error: BaseException):
    """Returns an exception's message, str, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
