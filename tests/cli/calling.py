"""Calls a command in this process."""

import contextlib
import io
import pathlib
import runpy
import sys
from unittest import mock

from keras_fpn import cli

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


def called(*argv):
    """The command's exit code, and what it wrote to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([*map(str, argv)])
        except SystemExit as left:  # of argparse
            code = left.code
    return code, out.getvalue(), err.getvalue()


def script_called(name, *argv):
    """The same of a file in scripts/, run as `python scripts/NAME ARGV` runs it."""
    path, out, err = str(SCRIPTS / name), io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", [path, *map(str, argv)]),
    ):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as left:
            return left.code, out.getvalue(), err.getvalue()
    raise AssertionError(f"{name} ended without an exit code")
