"""Failures that a command cannot foresee end in a line, in processes of their own."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from cli.calling import called

from keras_fpn.cli import errors

# Without the rest of the package, whose import takes seconds.
_CODE = """
import runpy, sys
errors = runpy.run_path({file!r})

def command():
    {body}
    return 0

sys.exit(errors["exit_code_of"](command))
"""
_MANY_LINES = "[print('line', number) for number in range(100_000)]"


def run(body, stdout=subprocess.PIPE):
    code = _CODE.format(file=errors.__file__, body=body)
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60
    )


def test_a_command_that_ends_well_prints_all_and_nothing_else():
    ended = run("print('all')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "all\n", "")


@pytest.mark.parametrize("body", ["print('few')", _MANY_LINES])
def test_a_reader_that_has_had_enough_ends_a_command_in_silence(body):
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(body, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (errors.CLOSED_PIPE, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has this device")
@pytest.mark.parametrize("body", ["print('few')", _MANY_LINES])
def test_a_full_device_is_said_once(body):
    with open("/dev/full", "w") as full:
        ended = run(body, stdout=full)
    assert ended.returncode == 1
    assert ended.stderr == ("keras-fpn: error: [Errno 28] No space left on device\n")


def test_what_cannot_be_opened_is_one_line_after_what_was_printed():
    ended = run("print('before'); open('a' * 300)")
    assert (ended.returncode, ended.stdout) == (1, "before\n")
    assert ended.stderr.startswith("keras-fpn: error: [Errno 36] File name too long: ")
    assert ended.stderr.count("\n") == 1


def test_an_interrupt_is_one_line():
    ended = run("raise KeyboardInterrupt")
    assert ended.returncode == errors.INTERRUPTED
    assert ended.stderr == "Interrupted.\n"


def test_what_nobody_foresaw_keeps_its_traceback():
    ended = run("raise RuntimeError('unforeseen')")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert ended.stderr.endswith("RuntimeError: unforeseen\n")


def looped(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


@pytest.mark.parametrize(
    "arguments",
    [
        lambda folder: ["detect", "a" * 300 + ".jpg"],
        lambda folder: ["detect", str(looped(folder))],
        lambda folder: ["detect", "--sample", "--output", str(looped(folder))],
        lambda folder: ["data", "check", "a" * 300],
        lambda folder: ["data", "check", str(looped(folder))],
        lambda folder: ["export", "a" * 300 + ".keras", str(folder)],
        lambda folder: ["convert", "a" * 300 + ".pth", str(folder / "a.keras")],
    ],
)
def test_names_that_no_file_can_have_are_one_line(arguments, tmp_path):
    code, _, said = called(*arguments(pathlib.Path(tmp_path)))
    assert code in (1, 2)
    assert re.match(r"keras-fpn( \w+)*: error: ", said)
    assert said.count("\n") == 1


def test_a_message_is_one_line_of_letters_that_can_be_printed():
    assert errors.one_line(ValueError("a\n b\t c")) == "a b c"
    assert errors.one_line("caf\u00e9 \u6f22\x1b[2J\udcff") == (
        "caf\u00e9 \u6f22\\x1b[2J\\udcff"
    )
    assert errors.one_line(KeyError()) == "KeyError"
