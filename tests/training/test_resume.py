"""Runs that are killed and resumed end like runs never killed, to the bit."""

import pathlib
import signal
import subprocess
import sys
import threading
import zipfile

import keras
import numpy as np
import pytest
from process_environment import environment_of_its_own

pytestmark = pytest.mark.ci  # `cli/test_finetune.py` resumes in every run

SCRIPT = pathlib.Path(__file__).parent / "train_scenes.py"
LIMIT = 600  # seconds, far more than a training takes on a busy machine


def start(folder, *moment):
    """Starts the training; its result is written beside the folder."""
    cache = str(folder.parent / "compiled")  # JAX compiles once for all processes
    environment = environment_of_its_own(
        KERAS_BACKEND=keras.config.backend(),
        JAX_COMPILATION_CACHE_DIR=cache,
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
        PYTHONUNBUFFERED="1",
    )
    result = folder.with_suffix(".npz")
    with open(folder.with_suffix(".err"), "w") as errors:
        return subprocess.Popen(
            [sys.executable, SCRIPT, folder, result, *moment],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def ended(folder, *moment, code=0):
    """Runs the training until it ends or kills itself; returns the lines it prints."""
    process = start(folder, *moment)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == code, folder.with_suffix(".err").read_text()
    return output.splitlines()


def killed_after(folder, steps):
    """Kills a training from outside when it has taken so many steps, and waits."""
    process = start(folder, f"step:{steps}")
    late = threading.Timer(LIMIT, process.kill)
    late.start()
    with process:
        for line in process.stdout:
            steps -= line.startswith("step")
            if steps == 0:
                break
        process.kill()
    late.cancel()
    assert steps == 0, folder.with_suffix(".err").read_text()
    assert process.returncode == -signal.SIGKILL


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def weights_of(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of an uninterrupted and a killed run, and what they printed.

    An epoch has four steps, and after each second one a checkpoint is written.
    """
    folder = tmp_path_factory.mktemp("runs")
    whole, cut = folder / "whole", folder / "cut"
    printed = {"whole": ended(whole)}
    # After the third step of the second epoch.
    killed_after(cut, 7)
    printed["files"] = files(cut)
    if keras.config.backend() == "tensorflow":
        # The second process writes best.keras and a checkpoint after the second epoch,
        # another within the third, best.keras after it, and of the checkpoint half.
        printed["half"] = ended(cut, "half-written:5", code=-signal.SIGKILL)
        printed["half files"] = files(cut)
    printed["last"] = ended(cut)
    return whole, cut, printed


def test_sigkill_in_the_middle_of_an_epoch_resumes_at_the_last_checkpoint(runs):
    _, _, printed = runs
    after = printed.get("half", printed["last"])
    assert "checkpoint-0001-000002.keras" in printed["files"]
    assert after[0] == "start 1 2"


@pytest.mark.tensorflow_only
def test_sigkill_while_a_checkpoint_is_written_resumes_at_the_one_before(runs):
    _, cut, printed = runs
    left = [name for name in printed["half files"] if ".partial" in name]
    assert len(left) == 1
    assert left[0].startswith(".checkpoint-0003-000000")
    assert "checkpoint-0002-000002.keras" in printed["half files"]
    assert printed["last"][0] == "start 2 2"
    assert not [name for name in files(cut) if ".partial" in name]


def test_resumed_after_sigkill_all_variables_are_equal_to_the_bit(runs):
    whole, cut, _ = runs
    expected = dict(np.load(whole.with_suffix(".npz")))
    received = dict(np.load(cut.with_suffix(".npz")))
    assert list(received) == list(expected)
    different = [
        name
        for name in expected
        if expected[name].tobytes() != received[name].tobytes()
    ]
    assert different == []
    # Weights, momentum and averages, and they have been trained.
    steps = [name for name in expected if name.endswith(("iteration", "training_step"))]
    assert [int(expected[name]) for name in steps] == [12, 12]
    assert len([name for name in expected if "momentum" in name]) > 20
    assert len([name for name in expected if "average" in name]) > 20


def test_a_resumed_run_has_the_same_files_and_the_same_best_model(runs):
    whole, cut, _ = runs
    assert files(cut) == files(whole)
    assert [n for n in files(cut) if n.startswith("checkpoint")] == [
        "checkpoint-0002-000002.keras",
        "checkpoint-0003-000000.keras",
    ]
    for name in ("best.keras", "last.keras"):
        assert weights_of(cut / name) == weights_of(whole / name)


def test_the_logs_of_a_resumed_epoch_are_means_over_all_its_steps(runs):
    _, _, printed = runs
    of_epoch = {line.split()[1]: line for line in printed["whole"] if "epoch" in line}
    again = [
        line
        for line in [*printed.get("half", []), *printed["last"]]
        if line.startswith("epoch")
    ]
    assert [line.split()[1] for line in again] == ["1", "2"]
    assert again == [of_epoch["1"], of_epoch["2"]]
