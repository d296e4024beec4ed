"""The console command `keras-fpn`.

Its modules import the rest of the package only when a command runs, after what can be
checked without it. `keras_fpn_command` starts it.
"""

import contextlib
import sys

from keras_fpn.cli import (
    convert,
    data,
    detect,
    evaluate,
    export,
    finetune,
    presets,
    serve,
    train,
)
from keras_fpn.cli.errors import exit_code_of
from keras_fpn.cli.library import load_library
from keras_fpn.cli.messages import shown_messages
from keras_fpn.cli.parser import Parser
from keras_fpn.version import __version__

_COMMANDS = (detect, evaluate, finetune, train, export, serve, convert, data, presets)


def main(argv: list[str] | None = None):
    """Runs one command.

    Args:
        argv: the command's arguments; None for those of this process.

    Returns:
        int, the exit code: 0 success, 1 some of the work failed, 2 the arguments were
        wrong, 130 interrupted, 141 nobody reads the output.

    Raises:
        SystemExit: from argparse, with code 2 if it rejects the arguments and with 0
            after --help or --version.
    """
    with _any_name_printable(sys.stdout):
        return _run(argv)


@contextlib.contextmanager
def _any_name_printable(stream):
    """Makes a stream escape letters that its encoding lacks, while the context lasts.

    Otherwise the name of a photo or a class could stop the work with an exception.
    """
    if not hasattr(stream, "reconfigure"):  # such as that of a notebook
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        # This also flushes. If the pipe was closed, Python reports it at exit.
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=before)


def _run(argv):
    parser = Parser(
        prog="keras-fpn",
        description="Detects objects in photos with Feature Pyramid Networks: trains, "
        "evaluates and exports detectors.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    arguments = parser.parse_args(argv)

    def work():
        if hasattr(arguments, "check"):
            arguments.check(arguments)
        load_library()
        with shown_messages():
            return arguments.run(arguments)

    return exit_code_of(work)
