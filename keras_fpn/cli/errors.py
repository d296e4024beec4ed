"""How a command gives up: one line on stderr and an exit code."""

import sys

INTERRUPTED = 130  # exit code: what shells report after Ctrl-C


class CommandError(Exception):
    """Ends a command with a message for its user, where a traceback would tell less.

    Args:
        message: str, what was wrong and what to do.
        code: int, the exit code: 2, called wrongly; 1, the work failed.
    """

    def __init__(self, message, code=2):
        super().__init__(message)
        self.code = code

    def report(self):
        """Writes the message in one line to stderr and returns the exit code."""
        print(f"keras-fpn: error: {one_line(self)}", file=sys.stderr)
        return self.code


def one_line(error):
    """Returns an exception's message, str, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
