"""Calls a command in this process."""

import contextlib
import io

from keras_fpn import cli


def called(*argv):
    """The command's exit code, and what it wrote to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([*map(str, argv)])
    return code, out.getvalue(), err.getvalue()
