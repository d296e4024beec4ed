"""How the console command starts: quickly, and without a word of TensorFlow's."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from keras_fpn.cli.log_filter import hidden_lines

HEAVY = "keras tensorflow jax numpy PIL"
# As TensorFlow 2.21 writes them before it reads TF_CPP_MIN_LOG_LEVEL.
HEADING = "WARNING: All log messages before absl::InitializeLog() is called are written"
LINE = "{}0000 00:00:1795987980.620203    4255 {}"
INFORMATION = LINE.format("I", "port.cc:153] oneDNN custom operations are on.")
WARNED = LINE.format("W", "cpu_allocator.cc:84] Allocation exceeds 10%.")
NO_DRIVER = LINE.format(
    "E", "cuda_platform.cc:52] failed call to cuInit: INTERNAL: UNKNOWN ERROR (303)"
)
BROKEN_DRIVER = NO_DRIVER.replace("303", "803")
FATAL = LINE.format("F", "cpu_feature_guard.cc:79] compiled to use AVX instructions")


def environment(root, **changes):
    """The environment of a user who has set nothing."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_B"))}
    return kept | {"PYTHONPATH": str(root)} | changes


def run(root, code, *argv, **changes):
    """Runs code in a fresh process; it fails if a test would take it for an answer."""
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        env=environment(root, **changes),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def command(root, *argv, **changes):
    code = "import sys, keras_fpn_command; sys.exit(keras_fpn_command.main())"
    return run(root, code, *argv, **changes)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["--help"], 0, "usage: keras-fpn"),
        (["--version"], 0, "keras-fpn 0."),
        (["finetune", "--help"], 0, "usage: keras-fpn finetune"),
        (["data", "check", "--help"], 0, "usage: keras-fpn data check"),
        (["detct"], 2, "Did you mean detect?"),
        (["detect", "--conf", "0.3", "a.jpg"], 2, "did you mean --threshold?"),
        (["detect"], 2, "Name at least one photo"),
        (["detect", "absent.jpg"], 2, "'absent.jpg', which does not exist"),
    ],
)
def test_help_and_typos_are_answered_without_importing_keras(
    repository_root, argv, code, said
):
    program = f"""
import atexit, sys
import keras_fpn_command

def show():
    print("loaded:", [name for name in {HEAVY!r}.split() if name in sys.modules])

atexit.register(show)
sys.exit(keras_fpn_command.main())
"""
    done = run(repository_root, program, *argv)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert done.stdout.endswith("loaded: []\n")


def test_help_is_there_at_once(repository_root):
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        assert command(repository_root, "--help").returncode == 0
        times.append(time.perf_counter() - begin)
    assert min(times) < 1.5, "0.1 s where this was written; with Keras 3 s and more"


@pytest.mark.tensorflow_only
def test_tensorflow_says_nothing_before_the_output(repository_root):
    done = command(repository_root, "presets")
    assert done.returncode == 0
    assert done.stdout.startswith("preset ")
    assert done.stderr == ""


@pytest.mark.ci
def test_the_library_is_whole_once_a_command_runs(repository_root):
    code = """
import sys, keras_fpn_command
sys.argv[1:] = ["presets"]
assert keras_fpn_command.main() == 0
import keras_fpn
print(set(keras_fpn.__all__) <= set(dir(keras_fpn)), keras_fpn.cli.main)
print(keras_fpn.__spec__.name, keras_fpn.models is sys.modules["keras_fpn.models"])
import keras
print(keras.saving.get_registered_object("keras_fpn>FasterRCNN"))
"""
    done = run(repository_root, code)
    said = done.stdout.splitlines()[-3:]
    assert said[0].startswith("True <function main"), done.stderr
    assert said[1:] == [
        "keras_fpn True",
        "<class 'keras_fpn.models.faster_rcnn.FasterRCNN'>",
    ]


def test_importing_the_package_lets_keras_load_a_detector(repository_root):
    code = """
import sys
import keras, keras_fpn
model = keras.models.load_model(sys.argv[1])
print(type(model).__name__, len(model.class_names))
"""
    path = "keras_fpn/weights/faster_rcnn_resnet18_fpn_scenes.keras"
    done = run(repository_root, code, str(repository_root / path))
    assert done.stdout == "FasterRCNN 8\n", done.stderr


def test_another_backend_is_one_line(repository_root):
    done = command(repository_root, "presets", KERAS_BACKEND="torch")
    assert done.returncode == 2
    assert re.fullmatch(r"keras-fpn: error: The Keras backend must .*\n", done.stderr)


@pytest.mark.parametrize(
    ("level", "hidden"),
    [
        ("1", [HEADING, INFORMATION]),
        ("2", [HEADING, INFORMATION, WARNED, NO_DRIVER]),
        ("3", [HEADING, INFORMATION, WARNED, NO_DRIVER, BROKEN_DRIVER]),
    ],
)
def test_a_level_hides_what_is_below_it_and_nothing_else(level, hidden):
    lines = [HEADING, INFORMATION, WARNED, NO_DRIVER, BROKEN_DRIVER, FATAL]
    lines += ["", "Traceback (most recent call last):", "INFO: I am Python's"]
    pattern = hidden_lines(level)
    assert [line for line in lines if pattern.match(line.encode())] == hidden


@pytest.mark.parametrize("level", ["0", "", "info"])
def test_who_asks_for_everything_gets_everything(level):
    assert hidden_lines(level) is None


def test_what_stderr_gets_is_filtered_and_then_as_before(repository_root):
    code = f"""
import os, subprocess, sys
from keras_fpn_command import PACKAGE
sys.modules[PACKAGE] = type(sys)(PACKAGE)
sys.modules[PACKAGE].__path__ = [sys.argv[1]]
from keras_fpn.cli.log_filter import filtered
with filtered("2"):
    os.write(2, {(INFORMATION + chr(10)).encode()!r})
    print("of Python", file=sys.stderr)
    os.write(2, {(BROKEN_DRIVER + chr(10)).encode()!r})
os.write(2, {(WARNED + chr(10)).encode()!r})
"""
    done = run(repository_root, code, str(repository_root / "keras_fpn"))
    assert done.stderr.splitlines() == ["of Python", BROKEN_DRIVER, WARNED]


def test_a_crash_while_tensorflow_is_loaded_loses_no_word(repository_root):
    code = f"""
import os, sys
sys.modules["keras_fpn"] = type(sys)("keras_fpn")
sys.modules["keras_fpn"].__path__ = [sys.argv[1]]
from keras_fpn.cli.log_filter import filtered
with filtered("2"):
    os.write(2, {(FATAL + chr(10)).encode()!r})
    os.abort()
"""
    done = run(repository_root, code, str(repository_root / "keras_fpn"))
    assert done.returncode == -signal.SIGABRT
    assert done.stderr == f"{FATAL}\n"
