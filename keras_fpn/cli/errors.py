"""How a command fails: one line on stderr and an exit code."""

import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

INTERRUPTED = 130  # exit code: what shells report after Ctrl-C
CLOSED_PIPE = 141  # what they report of a process that SIGPIPE ended
# The options of arguments that the library's messages name, in backticks.
OPTIONS = {"class_names": "--classes", "images": "--images", "split": "--split"}
_NAMED = re.compile(r"`(\w+)`")


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
def reported(
    *errors: type[Exception],
    code: int = 2,
    prefix: str = "",
    options: dict[str, str] | None = None,
):
    """Turns exceptions of these types into a `CommandError` with the same message.

    But arguments that the message names have the names of their options.

    Args:
        errors: the types.
        code: the exit code.
        prefix: what the message starts with.
        options: names of arguments -> options, other than those of `OPTIONS`.
    """
    try:
        yield
    except errors as error:
        message = with_options(one_line(error), OPTIONS | (options or {}))
        raise CommandError(prefix + message, code) from error


def exit_code_of(command: Callable[[], int]):
    """Runs a command; ends its failures of these types in a line, not a traceback.

    Returns:
        int, the exit code of the command; that of a `CommandError`; `CLOSED_PIPE`, if
        who reads the output has had enough, as `| head`; 1 for what cannot be read or
        written, such as a name that is too long or a full disk; `INTERRUPTED`.
    """
    try:
        code = command()
        sys.stdout.flush()  # here, because at its exit Python would only warn
        return code
    except CommandError as error:
        return error.report()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _flush_or_discard()
        return CLOSED_PIPE
    except OSError as error:
        _flush_or_discard()
        return CommandError(one_line(error), 1).report()


def _flush_or_discard():
    """Prints what is still to be printed, or leads it nowhere if that is impossible.

    Otherwise Python would try it again at its exit, and print a traceback.
    """
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def make_output(folder: Path):
    """Creates the folder that --output names.

    Raises:
        CommandError: it cannot be created, or is a file.
    """
    with reported(OSError, prefix="--output must be a folder: "):
        folder.mkdir(parents=True, exist_ok=True)


def with_options(message: str, options: dict[str, str]):
    """Returns a message with options for the arguments that it names in backticks."""
    return _NAMED.sub(lambda found: options.get(found[1], found[0]), message)


def one_line(error: BaseException | str):
    """Returns a message, or an exception's, without line breaks, str.

    Letters that cannot be printed are escaped: in the name of a file they could give
    orders to the terminal.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
