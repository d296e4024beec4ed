import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fixtures.make_fixtures import PLAN, run_data
from training.small_model import SETTINGS, compiled

from keras_fpn.training import prepare_training
from keras_fpn.training.run_folder import Position, RunFolder
from keras_fpn.training.run_settings import FORMAT

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"


def refused(folder, settings):
    with pytest.raises(ValueError, match="resumed only with its own settings") as e:
        RunFolder(folder, settings)
    return str(e.value)


def test_other_settings_are_refused_each_by_name(tmp_path):
    RunFolder(tmp_path, SETTINGS)
    RunFolder(tmp_path, {**SETTINGS, "sizes": [320, 480]})  # a list, as JSON has it
    optimizer = {"optimizer": {"name": "sgd"}}
    said = refused(tmp_path, {**SETTINGS, **optimizer, "epochs": 4, "seed": 1})
    assert "epochs=4 where the run has 3" in said
    assert "seed=1 where the run has 'nothing'" in said
    assert "optimizer" not in said  # which follows from the epochs
    assert "sizes" not in said
    assert str(tmp_path) in said
    said = refused(tmp_path, {**SETTINGS, **optimizer})
    assert "optimizer.rate='nothing' where the run has 0.1" in said
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["epochs"] == 3


def test_settings_that_json_cannot_hold_are_refused(tmp_path):
    for value in (np.float32(1.0), float("nan")):
        with pytest.raises(ValueError, match="settings of a run must be what JSON"):
            RunFolder(tmp_path, {"rate": value})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'thesis.txt' and no run.json"):
        RunFolder(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match=r"must be a folder; received .*thesis\.txt"):
        RunFolder(tmp_path / "thesis.txt", SETTINGS)


def test_damaged_settings_are_refused(tmp_path):
    RunFolder(tmp_path, SETTINGS)
    for text in ('{"settings":', "", "[]", '"a"', '{"settings": {}}', "[" * 100_000):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(ValueError, match=r"run.json, which is damaged"):
            RunFolder(tmp_path, SETTINGS)


def test_a_run_of_another_format_is_refused_by_its_number(tmp_path):
    RunFolder(tmp_path, SETTINGS)
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    assert run["format"] == FORMAT == 6
    for number in (1, 2, 3, 4, 5, 7, None):
        path.write_text(json.dumps({**run, "format": number}))
        before = path.read_bytes()
        with pytest.raises(ValueError, match=f"begun with format {number} ") as error:
            RunFolder(tmp_path, SETTINGS)
        assert str(tmp_path) in str(error.value)
        assert f"this version has format {FORMAT}" in str(error.value)
        assert "\n" not in str(error.value)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "number"),
    [("run", 1), *((f"run_format_{number}", number) for number in range(2, FORMAT))],
)
def test_a_run_of_an_older_format_is_refused(tmp_path, name, number):
    folder = tmp_path / "run"
    shutil.copytree(FIXTURES / name, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=rf"format {number} by keras_fpn 0\.1\.0"):
        prepare_training(PLAN, run_data(), folder, seed=5)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    after.pop(".lock")
    assert after == before


@pytest.mark.filterwarnings("ignore:The run in .* was begun with:UserWarning")
def test_a_run_of_this_format_continues_where_it_was_stopped(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(FIXTURES / "run_format_6", folder)
    training = prepare_training(PLAN, run_data(), folder, seed=5)
    assert training.start == Position(1, 0)
    assert int(training.model.training_step) == 2  # two steps of two photos
    assert int(training.model.optimizer.iterations) == 2


def test_it_warns_on_resuming_with_other_versions(tmp_path):
    RunFolder(tmp_path, SETTINGS)
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    path.write_text(
        json.dumps({**run, "made_with": {**run["made_with"], "NumPy": "1"}})
    )
    said = f"was begun with NumPy 1 and resumes with {np.__version__}: "
    with pytest.warns(UserWarning, match=re.escape(said)) as warned:
        RunFolder(tmp_path, SETTINGS)
    assert len(warned) == 1


def test_a_folder_that_another_process_trains_in_is_refused(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    RunFolder(tmp_path, SETTINGS)
    code = f"""
import fcntl, sys
file = open({str(tmp_path / ".lock")!r}, "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(ValueError, match="Only one process may train in a folder"):
            RunFolder(tmp_path, SETTINGS)
        # A worker that writes nothing may read.
        RunFolder(tmp_path, SETTINGS, writes=False).restore(compiled())
        process.stdin.close()
    assert fcntl
    RunFolder(tmp_path, SETTINGS)
