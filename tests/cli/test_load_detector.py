import types
import zipfile

import keras
import pytest
from data.tiny_sets import write_coco_set

import keras_fpn
from keras_fpn import cli, recognition
from keras_fpn.cli.errors import CommandError
from keras_fpn.cli.load_detector import load_detector
from keras_fpn.models import checkpoints

FAPN = "faster_rcnn_resnet50_fapn_detectron2_1x"  # not downloaded
BOX = {"bbox": [10, 20, 30, 40]}


@pytest.fixture
def presets(monkeypatch):
    """Replaces the builders; each call is noted as (what, arguments...)."""
    calls = []

    def from_preset(name, load_weights=True):
        if name == "absent":
            raise ValueError("There must be such a preset;\nreceived name='absent'.")
        if name == "offline":
            raise ConnectionError("No route to host.")
        calls.append((name, load_weights))
        return types.SimpleNamespace()

    monkeypatch.setattr(keras_fpn, "from_preset", from_preset)
    for name in ("fill_with_formula", "load_torchvision"):

        def note(model, *args, name=name):
            calls.append((name, *args))

        monkeypatch.setattr(keras_fpn.weights, name, note)
    return calls


@pytest.mark.parametrize("weights", [None, "coco"])
def test_the_published_weights_are_the_default(presets, weights):
    _, title = load_detector(weights=weights)
    assert title is None
    assert presets == [("faster_rcnn_resnet50_fpn_coco", True)]


def test_random_weights_are_named_in_the_title(presets):
    _, title = load_detector("small", "random")
    assert title == "Random weights: small"
    assert presets == [("small", False), ("fill_with_formula",)]


@pytest.mark.parametrize("preset", [None, "small"])
@pytest.mark.parametrize("name", ["m.pth", "m.pkl", "m", "m.weights.h5"])
def test_weights_alone_bring_their_architecture_or_fill_that_of_a_preset(
    tmp_path, presets, monkeypatch, name, preset
):
    of_keras, found = ("m.h5", preset), types.SimpleNamespace(model=("torch", preset))
    monkeypatch.setattr(recognition, "recognized", lambda path, preset: found)
    monkeypatch.setattr(recognition, "recognized_keras", lambda path, preset: of_keras)
    path = tmp_path / name
    path.write_bytes(b"")
    expected = of_keras if path.suffix == ".h5" else found.model
    assert load_detector(preset, str(path)) == (expected, None)
    assert presets == []


def test_a_saved_detector_needs_no_preset(detector, tmp_path, presets, monkeypatch):
    path = tmp_path / "m.keras"
    zipfile.ZipFile(path, "w").close()
    saved = detector
    monkeypatch.setattr(checkpoints, "check_archive", lambda given: None)
    monkeypatch.setattr(keras.models, "load_model", lambda given: {path: saved}[given])
    monkeypatch.setattr(checkpoints, "Detector", type(saved))
    assert load_detector(None, str(path)) == (saved, None)
    assert presets == []
    with pytest.raises(CommandError, match=r"m.keras with --preset small. Leave out"):
        load_detector("small", str(path))


@pytest.mark.parametrize(
    "argv",
    [
        ["detect", "--sample", "--weights", "m.keras"],
        ["evaluate", "data/set.json", "--weights", "m.keras"],
        ["finetune", "data/set.json", "--output", "run", "--weights", "m.keras"],
        pytest.param(
            ["export", "m.keras", "served"], marks=pytest.mark.tensorflow_only
        ),
    ],
)
def test_a_saved_model_that_is_no_detector_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys, argv
):
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("m.keras")
    write_coco_set(tmp_path / "data", [BOX, {**BOX, "image_id": 9}])
    assert cli.main(argv) == 2
    assert capsys.readouterr().err == (
        "keras-fpn: error: A .keras file must contain a detector of keras_fpn; "
        "received m.keras, which contains a Sequential. Pass a file written by the "
        "`save` of a detector.\n"
    )


def test_weights_that_cannot_be_downloaded_are_one_line(tmp_path, capsys):
    argv = ["detect", "--sample", "--preset", FAPN, "--output", str(tmp_path)]
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-fpn: error: A checkpoint must have a URL and")
    assert f"received name='{FAPN}'" in error
    assert "--weights FILE" in error
    assert error.count("\n") == 1


def test_weights_of_another_architecture_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(path)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    monkeypatch.setattr(recognition, "from_preset", lambda name, load_weights: other)
    message = r"^A file must have the weights of the model; received .*no preset\.$"
    with pytest.raises(CommandError, match=message):
        load_detector("small", str(path))


@pytest.mark.parametrize(
    ("preset", "weights", "code", "message"),
    [
        ("absent", None, 2, "There must be such a preset; received name='absent'."),
        ("offline", None, 1, "offline could not be read: No route to host."),
        (
            None,
            "gone",
            2,
            "--weights must be 'coco', 'random', or an existing file or folder; "
            "received --weights gone.",
        ),
    ],
)
def test_detectors_that_cannot_be_had_are_one_line(
    tmp_path, capsys, presets, preset, weights, code, message
):
    argv = ["detect", "--sample", "--output", str(tmp_path)]
    argv += ["--preset", preset] if preset else []
    argv += ["--weights", weights] if weights else []
    assert cli.main(argv) == code
    assert capsys.readouterr().err == f"keras-fpn: error: {message}\n"
