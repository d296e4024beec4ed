"""`keras-fpn serve`: what its command line asks for; the server is a stand-in."""

import contextlib
import pathlib
import signal
import socket
import sys

import pytest
from cli.calling import called

import keras_fpn.export
from keras_fpn import cli
from keras_fpn.cli import serve
from keras_fpn.serving import server_tensorflow
from keras_fpn.serving.model_folder import ModelFolder
from keras_fpn.serving.request_queue import Limits

SCENES = "faster_rcnn_resnet18_fpn_scenes"


class Interrupted:
    """Ctrl-C as soon as the command waits for it."""

    def wait(self):
        raise KeyboardInterrupt


def version(folder, number=1):
    """Makes a folder that looks like an exported model."""
    path = folder / str(number)
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"")
    return path


@pytest.fixture
def calls(monkeypatch):
    """What the command asked for: of load_detector, of the export, of the server."""
    calls = []

    def load_detector(*arguments):
        calls.append(arguments)
        return "the model", None

    def export_saved_model(model, directory):
        calls.append((model, directory.name))
        version(directory)

    @contextlib.contextmanager
    def serving(folder, *arguments):
        assert (folder.path / "saved_model.pb").is_file()
        calls.append((folder, *arguments))
        yield "http://127.0.0.1:1", "127.0.0.1:2"
        calls.append("stopped")

    monkeypatch.setattr(serve, "load_detector", load_detector)
    monkeypatch.setattr(keras_fpn.export, "export_saved_model", export_saved_model)
    monkeypatch.setattr(server_tensorflow, "serving", serving)
    # On a port that is free, whatever else is served on this machine.
    listen = server_tensorflow.listen
    monkeypatch.setattr(server_tensorflow, "listen", lambda host, port: listen(host, 0))
    monkeypatch.setattr(serve.threading, "Event", Interrupted)
    return calls


def test_a_folder_is_served_on_this_machine_until_ctrl_c(calls, tmp_path):
    path = version(tmp_path / "my model", 4)
    code, out, _ = called("serve", tmp_path / "my model")
    assert code == 0
    folder = ModelFolder(path, "my model", 4)
    assert calls == [(folder, "127.0.0.1", 8501, 8500, Limits(), None), "stopped"]
    assert out.splitlines() == [
        "Serving my model, version 4",
        "  page  http://127.0.0.1:1/",
        "  REST  http://127.0.0.1:1/v1/models/my%20model:predict",
        "  gRPC  grpc://127.0.0.1:2",
        "Ctrl-C stops it.",
    ]


def test_every_option_reaches_the_server(calls, tmp_path):
    version(tmp_path)
    argv = "--name n --host 0.0.0.0 --port 0 --grpc-port 9 --max-requests 3"
    limits = "--max-megabytes 2 --timeout 7"
    code, out, _ = called("serve", tmp_path, *argv.split(), *limits.split())
    assert code == 0
    folder = ModelFolder(tmp_path / "1", "n", 1)
    assert calls[0] == (folder, "0.0.0.0", 0, 9, Limits(2 << 20, 3, 7.0), None)
    assert "Other machines can send requests" in out


def test_without_a_model_the_shipped_detector_is_exported_and_served(calls):
    assert called("serve")[0] == 0
    assert calls[:2] == [(SCENES, None), ("the model", SCENES)]
    folder, *_, sample = calls[2]
    assert (folder.name, folder.version, sample.name) == (SCENES, 1, "scene.png")
    assert not folder.path.exists()  # it was a temporary folder


@pytest.mark.parametrize(
    ("preset", "sample"),
    [
        ("faster_rcnn_resnet18_fpn_bccd", None),
        ("faster_rcnn_resnet50_fpn_coco", "coffee.jpg"),
    ],
)
def test_a_photo_is_offered_if_it_suits_the_preset(calls, preset, sample):
    assert called("serve", preset)[0] == 0
    assert calls[0] == (preset, None)
    assert getattr(calls[2][-1], "name", None) == sample


def test_a_saved_detector_is_exported_first(calls, tmp_path):
    for file, named, name in (
        ("mine.keras", "mine.keras", "mine"),
        ("run/best.keras", "run/best.keras", "run"),
        ("run/best.keras", "run", "run"),
        ("last/last.keras", "last", "last"),
    ):
        calls.clear()
        saved = tmp_path / file
        saved.parent.mkdir(exist_ok=True)
        saved.write_bytes(b"")
        given = tmp_path / named
        assert called("serve", given)[0] == 0
        assert calls[:2] == [(None, str(given)), ("the model", name)]
        assert (calls[2][0].name, calls[2][-1]) == (name, None)


def test_the_present_folder_may_be_that_of_a_training(calls, tmp_path, monkeypatch):
    (tmp_path / "best.keras").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert called("serve", ".")[0] == 0
    assert calls[:2] == [(None, "."), ("the model", tmp_path.name)]


def test_what_cannot_be_served_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = called("serve", ".")
    assert (code, out) == (2, "")
    message = "must have a SavedModel, DIR/1/saved_model.pb; received '.'"
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "65536"),
        ("--grpc-port", "-1"),
        ("--port", "x"),
        ("--timeout", "0"),
        ("--timeout", "86401"),
        ("--max-requests", "1001"),
        ("--max-megabytes", "2048"),
    ],
)
def test_numbers_are_checked(capsys, option, value):
    with pytest.raises(SystemExit) as left:
        cli.main(["serve", f"{option}={value}"])
    assert left.value.code == 2
    assert value in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(tmp_path):
    version(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = called("serve", "--port", port)
    assert (code, out) == (1, "")
    message = err.splitlines()[-1]
    assert f"REST cannot listen at 127.0.0.1:{port}: Address already in use." in message
    assert "Choose another port" in message
    assert "Exporting" not in err  # which would take long


def test_a_missing_package_is_named_with_its_remedy(monkeypatch, tmp_path):
    for name in list(sys.modules):
        if name.startswith("keras_fpn.serving.") and "server" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = called("serve", tmp_path)
    assert code == 2
    assert err.splitlines()[-1] == (
        "keras-fpn: error: A server needs uvicorn, which is not installed. Install it "
        f'with: {sys.executable} -m pip install "keras-fpn[serve]"'
    )


def test_ctrl_c_while_exporting_leaves_nothing(calls, monkeypatch):
    folders = []

    def export_saved_model(model, directory):
        folders.append(pathlib.Path(directory).parent)
        signal.raise_signal(signal.SIGTERM)  # which ends it as Ctrl-C does

    monkeypatch.setattr(keras_fpn.export, "export_saved_model", export_saved_model)
    before = signal.getsignal(signal.SIGTERM)
    assert called("serve")[0] == 130
    assert signal.getsignal(signal.SIGTERM) == before
    assert [folder.exists() for folder in folders] == [False]
