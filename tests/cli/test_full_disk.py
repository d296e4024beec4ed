"""A full disk ends each command in a line; what it wrote before is whole."""

import io
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from cli import calling
from cli.test_evaluate import coco, fake
from cli.test_train import photos, recipe
from full_disk import largest_file
from models.tiny import tiny_backbone, tiny_detector
from PIL import Image

from keras_fpn.cli import detect
from keras_fpn.cli.outcome import Outcome
from keras_fpn.preprocessing import Preprocessing

__all__ = ["coco", "fake", "photos"]


def failed(size, *argv):
    """The line with which a command ends if no file can have more bytes than `size`."""
    with largest_file(size):
        code, _, err = calling.called(*argv)
    assert code == 1, err
    assert err.count("error: ") == 1, err
    last = err.splitlines()[-1]
    assert last.startswith("keras-fpn: error: ")
    assert "File too large" in last
    return last


def files(folder):
    """The paths below a folder; none may be what a process was writing."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in found if ".partial" in str(path)]
    return found


def assert_whole(paths):
    """Opens each picture and each JSON file."""
    for path in paths:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix in (".jpg", ".png"):
            Image.open(io.BytesIO(path.read_bytes())).load()


def test_of_a_training(photos, tmp_path):
    argv = ["train", recipe(tmp_path), photos / "train", "--output", tmp_path / "run"]
    argv += ["--no-tensorboard", "--workers", 1]
    said = failed(10_000, *argv)
    assert "A training must be able to write" in said
    assert "MB free. Intact is nothing" in said
    names = sorted(path.name for path in files(tmp_path / "run"))
    assert names == [".lock", "history.json", "run.json"]
    code, _, err = calling.called(*argv)  # once there is room again
    assert code == 0, err
    assert (tmp_path / "run" / "last.keras").is_file()


def test_of_an_evaluation(coco, tmp_path, fake):
    out = tmp_path / "out"
    said = failed(200, "evaluate", coco, "--output", out)
    assert "The evaluation could not be written: " in said
    assert_whole(files(out))


def test_of_pictures(tmp_path, detector, folder, monkeypatch):
    """A photo whose picture cannot be written fails, and no part of it is left."""
    monkeypatch.setattr(detect, "load_detector", lambda *_: (detector, "fake"))
    out = tmp_path / "out"
    with largest_file(100):
        code, said, err = calling.called("detect", folder / "b.jpg", "--output", out)
    assert (code, len(err.splitlines())) == (1, 1), err
    assert f"File too large: '{out / 'b.jpg'}'" in err
    assert "1 photo failed" in said
    assert files(out) == []


def test_of_results(tmp_path, detector, folder, monkeypatch):
    monkeypatch.setattr(detect, "load_detector", lambda *_: (detector, "fake"))
    argv = ["detect", folder / "b.jpg", "--output", tmp_path / "out"]
    found = tmp_path / "found.json"
    found.write_text("[]")
    many = [{"image_id": 1}] * 20_000  # more bytes than the picture
    monkeypatch.setattr(Outcome, "add", lambda outcome, *_, **__: outcome.write(many))
    said = failed(100_000, *argv, "--json", found)
    assert "The results could not be written: " in said
    assert said.endswith(f"File too large: '{found}'")
    assert found.read_text() == "[]"


def test_of_a_look(photos, tmp_path):
    out = tmp_path / "out"
    said = failed(1000, "data", "look", photos / "val", "--output", out)
    assert str(out) in said
    assert_whole(files(out))


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("options", [[], ["--frozen"]])
def test_of_an_export(tmp_path, options):
    model = tiny_detector(
        2,
        class_names=["ring", "cat"],
        backbone=tiny_backbone(("C4", "C5")),
        preprocessing=Preprocessing(64, 96),
    )
    model.save(tmp_path / "tiny.keras")
    models = tmp_path / "models"
    said = failed(20_000, "export", tmp_path / "tiny.keras", models, *options)
    assert f"{models} could not be written: " in said
    assert not models.exists()


@pytest.mark.ci
def test_two_trainings_of_one_folder_and_ctrl_c_twice(photos, tmp_path):
    """The second training is refused; the first ends in a line, and resumes."""
    root = pathlib.Path(__file__).resolve().parents[2]
    path = recipe(tmp_path, "detector", "epochs=300")
    argv = [path, photos / "train", "--output", tmp_path / "run", "--no-tensorboard"]
    argv = ["train", *map(str, argv), "--save-every", "1"]
    process = subprocess.Popen(
        [sys.executable, root / "keras_fpn_command.py", *argv],
        env=os.environ | {"PYTHONPATH": f"{root}:{root / 'tests'}"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Where the tests run in the background Ctrl-C may be ignored, also by these.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        for line in process.stderr:
            if "Epoch 1/" in line:
                break
        before = {one.name for one in (tmp_path / "run").iterdir()}
        code, _, err = calling.called(*argv)
        assert (code, len(err.splitlines())) == (2, 1), err
        assert "Only one process may train in a folder" in err
        assert before & {"run.json", ".lock"} == {"run.json", ".lock"}
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert "nterrupted" in rest.splitlines()[-1]
