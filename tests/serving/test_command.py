import pathlib

import keras
import pytest

import keras_fpn.export
from keras_fpn import cli
from keras_fpn.cli import export


@pytest.fixture
def calls(monkeypatch):
    """What the command asked for: of the check, of load_detector, of the export."""
    calls = []

    def check_export(directory, version=None, **options):
        calls.append(("check", directory, version, options))
        if version == 12:
            raise ValueError("version must be new;\nreceived version=12.")
        if options["warmup"] and version == 11:
            raise ImportError("pip install it")

    def load_detector(preset, weights=None):
        calls.append((preset, weights))
        return "the model", None

    def export_saved_model(model, directory, version=None, **options):
        calls.append((model, directory, version, options))
        if version == 13:
            raise ValueError("outputs must have names;\nreceived masks.")
        if version == 14:
            raise OSError("disk full")
        return pathlib.Path(directory) / str(version or 1)

    monkeypatch.setattr(export, "load_detector", load_detector)
    monkeypatch.setattr(keras_fpn.export, "check_export", check_export)
    monkeypatch.setattr(keras_fpn.export, "export_saved_model", export_saved_model)
    return calls


def options(**given):
    names = ("frozen", "warmup", "normalized_boxes", "with_xyxy")
    return {**dict.fromkeys(names, False), **given}


def test_a_preset_is_exported_with_its_published_weights(calls, capsys):
    assert cli.main(["export", "small", "models/small"]) == 0
    assert calls == [
        ("check", "models/small", None, {"warmup": False}),
        ("small", None),
        ("the model", "models/small", None, options()),
    ]
    assert capsys.readouterr().out == f"{pathlib.Path('models/small/1')}\n"


def test_every_option_reaches_the_export(calls):
    argv = "export small d --weights random --version 4 --frozen --warmup"
    limits = ["--max-pixels", "9000", "--max-photos", "3"]
    assert cli.main([*argv.split(), "--normalized-boxes", "--xyxy", *limits]) == 0
    checked = {"warmup": True, "max_pixels": 9000, "max_photos": 3}
    given = {**dict.fromkeys(options(), True), **checked}
    assert calls == [
        ("check", "d", 4, checked),
        ("small", "random"),
        ("the model", "d", 4, given),
    ]


def test_a_saved_detector_is_exported(calls, tmp_path, capsys):
    saved = tmp_path / "m.keras"
    saved.write_bytes(b"")
    assert cli.main(["export", str(saved), "d"]) == 0
    assert calls[1] == (None, str(saved))
    assert cli.main(["export", str(saved), "d", "--weights", str(saved)]) == 2
    assert "Leave out --weights." in capsys.readouterr().err
    run = tmp_path / "run"
    run.mkdir()
    assert cli.main(["export", str(run), "d"]) == 0
    assert calls[-3:-1] == [("check", "d", None, {"warmup": False}), (None, str(run))]


@pytest.mark.parametrize(
    ("version", "code", "message", "loaded"),
    [
        (11, 2, "pip install it", False),
        (12, 2, "version must be new; received version=12.", False),
        (13, 2, "outputs must have names; received masks.", True),
        (14, 1, "d could not be written: disk full", True),
    ],
)
def test_failures_are_one_line_and_come_before_the_model_if_they_can(
    calls, capsys, version, code, message, loaded
):
    argv = ["export", "small", "d", "--version", str(version), "--warmup"]
    assert cli.main(argv) == code
    assert capsys.readouterr().err == f"keras-fpn: error: {message}\n"
    assert (("small", None) in calls) == loaded


def test_another_backend_is_refused_before_the_model_is_loaded(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(export, "load_detector", None)  # calling it would fail
    assert cli.main(["export", "small", str(tmp_path)]) == 2
    assert "received KERAS_BACKEND=jax." in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["x.onnx", "x.ONNX", "x.tflite", "x.xml", "x.pt2", "x.pt", "x.pth"]
)
def test_a_file_of_another_format_is_refused_before_the_model_is_loaded(
    tmp_path, monkeypatch, capsys, name
):
    monkeypatch.setattr(export, "load_detector", None)  # to call it fails otherwise
    assert cli.main(["export", "small", str(tmp_path / name)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "must be the name of a folder, because only a SavedModel can be" in line
    assert f"{name}', a name of format '" in line
    assert list(tmp_path.iterdir()) == []
