"""Keeps remarks that TensorFlow's C++ code makes while it is loaded off stderr.

TensorFlow writes some of them before it reads TF_CPP_MIN_LOG_LEVEL. They come from C++,
past `sys.stderr`, so file descriptor 2 itself is led through another process for a
while. That process outlives a crash of this one, so that no error is lost, and passes
on at once what the level does not hide.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys

_SEVERITIES = "IWEF"  # by level: 1 hides I, information; 2 warnings, 3 errors too
# "I0000 00:00:1795987980.620203    4255 port.cc:153] oneDNN custom operations are on."
_PREFIX = rb"[%s]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ [\w/.-]+:\d+\] "
_HEADING = rb"WARNING: All log messages before absl::InitializeLog\(\) is called"
# The second line of a remark about the CPU.
_CONTINUED = rb"To enable the following instructions: "
# CUDA_ERROR_SHARED_OBJECT_INIT_FAILED: there is no CUDA driver. TensorFlow remarks that
# as information, and then calls the driver in vain, which it calls an error.
_NO_DRIVER = _PREFIX % b"E" + rb"failed call to cuInit: .*\(303\)"


def hidden_lines(level: str):
    """Returns the pattern of lines that a level hides; None if it hides none.

    Args:
        level: value of TF_CPP_MIN_LOG_LEVEL; what is no number hides nothing.
    """
    number = int(level) if level.isdecimal() else 0
    if number == 0:
        return None
    severities = _SEVERITIES[:number].encode()
    parts = [_PREFIX % severities, _HEADING, _CONTINUED]
    if number > 1:
        parts.append(_NO_DRIVER)
    return re.compile(b"|".join(parts))


@contextlib.contextmanager
def filtered(level: str):
    """Keeps lines that a level hides off file descriptor 2, while the context lasts.

    Where that cannot be done, such as without a stderr, everything is shown.
    """
    if hidden_lines(level) is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            own = os.dup(2)
            stack.callback(os.close, own)
            relay = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, level], stdin=subprocess.PIPE
            )
            stack.enter_context(relay)  # closes its stdin, and waits for it
            os.dup2(relay.stdin.fileno(), 2)  # type: ignore[union-attr]
            stack.callback(os.dup2, own, 2)
        yield


def main():
    """Copies stdin to stderr, line by line, without those that argv's level hides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command
    hidden = hidden_lines(sys.argv[1])
    for line in sys.stdin.buffer:
        if not hidden.match(line):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
