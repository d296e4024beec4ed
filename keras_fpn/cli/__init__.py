"""The console command `keras-fpn`.

Keras, and what needs it, is imported by the commands when they run: asking for help or
giving a wrong path gets its answer at once.
"""

import argparse
import contextlib
import sys

from keras_fpn.cli import data, detect, evaluate, export, finetune, presets, train
from keras_fpn.cli.errors import CommandError


def main(argv=None):
    """Runs one command.

    Args:
        argv: list of str, the command's arguments; None for those of this process.

    Returns:
        int, the exit code: 0 all went well, 1 part of the work failed, 2 the command
        was called wrongly (argparse leaves by SystemExit(2) itself), 130 interrupted.
    """
    with _any_name_printable(sys.stdout):
        return _run(argv)


@contextlib.contextmanager
def _any_name_printable(stream):
    """Whatever the terminal's encoding, no name of a photo or a class ends the work.

    A program that calls `main` has its stream back as it was.
    """
    if not hasattr(stream, "reconfigure"):  # such as a notebook's
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        # It is flushed, too: a pipe that was closed is Python's to report, at its end.
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=before)


def _run(argv):
    parser = argparse.ArgumentParser(
        prog="keras-fpn", description="Detects objects with Feature Pyramid Networks."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (detect, evaluate, finetune, train, export, data, presets):
        command.add_parser(commands).set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except CommandError as error:
        return error.report()
