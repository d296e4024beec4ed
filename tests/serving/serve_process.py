"""Runs `keras-fpn serve` in a process of its own, at free ports."""

import contextlib
import re
import signal
import subprocess
import sys
from dataclasses import dataclass

_COMMAND = "import sys; from keras_fpn.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Serving:
    """A server that has told where it answers.

    Attributes:
        process: subprocess.Popen.
        model: str, the model's name.
        rest: "http://HOST:PORT".
        grpc: "grpc://HOST:PORT".
    """

    process: subprocess.Popen
    model: str
    rest: str
    grpc: str


@contextlib.contextmanager
def serve_process(*arguments, **options):
    """Yields a `Serving`, and ends its process.

    Args:
        arguments: of the command.
        options: of subprocess.Popen.

    Raises:
        RuntimeError: it ended instead of serving.
    """
    command = [sys.executable, "-c", _COMMAND, "serve", *map(str, arguments)]
    command += ["--port", "0", "--grpc-port", "0"]
    with _started(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            yield _told(process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def _started(command, **options):
    """Returns the process; Ctrl-C ends it, even if this one is in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, **options)
    finally:
        signal.signal(signal.SIGINT, before)


def _told(process):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    text = "".join(lines)
    found = re.search(r"REST  (http://.*?)/v1/models/(.*):predict\n.*(grpc://.*)", text)
    if not found:
        raise RuntimeError(f"The server did not start; it printed {text!r}.")
    rest, model, grpc = found.groups()
    return Serving(process, model, rest, grpc)
