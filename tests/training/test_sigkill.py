"""A run folder survives if its process is killed before any change to its files."""

import os
import signal
import sys
import warnings
import zipfile

import pytest
from training.small_model import SETTINGS, Numbers

from keras_fpn.training.run_folder import Position, RunFolder

STEPS, SAVE_EVERY = 6, 2
# What Python announces to its audit hooks before it does it.
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}


def train(path, settings=SETTINGS):
    """Trains one array in a folder; each step multiplies the previous result."""
    folder, model = RunFolder(path, settings), Numbers()
    start = folder.restore(model)
    for step in range(start.batch, STEPS):
        model.values = model.values * 3 + step
        if (step + 1) % SAVE_EVERY == 0:
            folder.save_best(model, step)
            folder.save(model, Position(0, step + 1))
    folder.finish(model)


class Dying(Numbers):
    """Writes half of its file first, and announces the rest to audit hooks."""

    def save(self, path):
        super().save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        sys.audit("os.truncate", path, 0)
        path.write_bytes(content)


def survives(path, changes):
    """Whether a new process ends before it has made a number of changes to files.

    If not, it is killed before the next change.
    """
    with warnings.catch_warnings():  # about forking with threads; the child uses none
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        try:
            _train_and_die(path, changes)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        return True
    assert os.WTERMSIG(status) == signal.SIGKILL
    return False


def _train_and_die(path, changes):
    left = [changes]

    def count(event, arguments):
        if event in CHANGES and str(path) in str(arguments[0]):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    signal.alarm(60)
    sys.addaudithook(count)
    globals()["Numbers"] = Dying
    os.fsync = lambda file: None  # slow, and needed only if the machine fails
    train(path)
    os._exit(0)


def content(path):
    """The bytes of the files in a folder; of an archive its weights, without dates."""
    found = {}
    for file in path.iterdir():
        found[file.name] = file.read_bytes()
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                found[file.name] = archive.read("model.weights.h5")
    return found


@pytest.mark.ci
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_sigkill_before_any_change_to_files_resumes_to_the_same_end(tmp_path):
    train(tmp_path / "whole")
    expected = content(tmp_path / "whole")
    assert sorted(expected) == [
        ".lock",
        "best.keras",
        "checkpoint-0000-000004.keras",
        "checkpoint-0000-000006.keras",
        "last.keras",
        "run.json",
    ]
    changes, survived = 0, False
    while not survived:
        path = tmp_path / str(changes)
        survived = survives(path, changes)
        if changes % 5 == 0:  # the resuming process is killed too
            survives(path, changes // 2)
        assert survives(path, 10**6)
        assert content(path) == expected
        changes += 1
    assert changes > 60  # of run.json and of eight archives
