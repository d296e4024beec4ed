import pathlib

import pytest

import keras_fpn.serving
from keras_fpn import cli
from keras_fpn.cli import export


@pytest.fixture
def calls(monkeypatch):
    """What the command asked for: of load_detector, and of export_saved_model."""
    calls = []

    def load_detector(preset, weights=None):
        calls.append((preset, weights))
        return "the model", None

    def export_saved_model(model, directory, version=None, **options):
        calls.append((model, directory, version, options))
        if version == 13:
            raise ValueError("version must be new;\nreceived version=13.")
        if version == 14:
            raise OSError("disk full")
        if options["warmup"] and version == 15:
            raise ImportError("pip install it")
        return pathlib.Path(directory) / str(version or 1)

    monkeypatch.setattr(export, "load_detector", load_detector)
    monkeypatch.setattr(keras_fpn.serving, "export_saved_model", export_saved_model)
    return calls


def options(**given):
    names = ("frozen", "warmup", "normalized_boxes", "with_xyxy")
    return {**dict(zip(names, (True, False, False, False), strict=True)), **given}


def test_a_preset_is_exported_with_its_published_weights(calls, capsys):
    assert cli.main(["export", "small", "models/small"]) == 0
    assert calls == [
        ("small", None),
        ("the model", "models/small", None, options()),
    ]
    assert capsys.readouterr().out == f"{pathlib.Path('models/small/1')}\n"


def test_every_option_reaches_the_export(calls):
    argv = "export small d --weights random --version 4 --variables --warmup"
    assert cli.main([*argv.split(), "--normalized-boxes", "--xyxy"]) == 0
    given = options(frozen=False, warmup=True, normalized_boxes=True, with_xyxy=True)
    assert calls == [("small", "random"), ("the model", "d", 4, given)]


def test_a_saved_detector_is_exported(calls, tmp_path, capsys):
    saved = tmp_path / "m.keras"
    saved.write_bytes(b"")
    assert cli.main(["export", str(saved), "d"]) == 0
    assert calls[0] == (None, str(saved))
    assert cli.main(["export", str(saved), "d", "--weights", "x.pth"]) == 2
    assert "Leave out --weights." in capsys.readouterr().err
    assert cli.main(["export", "gone.keras", "d"]) == 2
    assert "received gone.keras." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "code", "message"),
    [
        (13, 2, "version must be new; received version=13."),
        (14, 1, "d could not be written: disk full"),
        (15, 2, "pip install it"),
    ],
)
def test_failures_are_one_line(calls, capsys, version, code, message):
    argv = ["export", "small", "d", "--version", str(version), "--warmup"]
    assert cli.main(argv) == code
    assert capsys.readouterr().err == f"keras-fpn: error: {message}\n"
