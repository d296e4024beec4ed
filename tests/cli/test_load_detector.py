import types
import zipfile

import keras
import pytest
from data.tiny_sets import write_coco_set

import keras_fpn
from keras_fpn import cli
from keras_fpn.cli.errors import CommandError
from keras_fpn.cli.load_detector import load_detector
from keras_fpn.models import checkpoints
from keras_fpn.weights import keras_files
from keras_fpn.weights.checkpoint import Digest

FAPN = "faster_rcnn_resnet50_fapn_detectron2_1x"  # not downloaded
BOX = {"bbox": [10, 20, 30, 40]}


@pytest.fixture
def presets(monkeypatch):
    """Replaces the builders; each call is noted as (what, arguments...)."""
    calls = []
    loader = types.SimpleNamespace()

    def load_weights_file(model, path):
        calls.append(("h5", path))

    monkeypatch.setattr(keras_files, "load_weights_file", load_weights_file)

    def from_preset(name, load_weights=True):
        if name == "absent":
            raise ValueError("There must be such a preset;\nreceived name='absent'.")
        if name == "offline":
            raise OSError("no route to host")
        calls.append((name, load_weights))
        return loader

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


@pytest.mark.parametrize(
    ("name", "loader"),
    [("m.pth", "load_torchvision"), ("m", "load_torchvision"), ("m.weights.h5", "h5")],
)
def test_weight_files_fill_the_architecture_of_the_preset(
    tmp_path, presets, name, loader
):
    (tmp_path / name).write_bytes(b"")
    _, title = load_detector("small", str(tmp_path / name))
    assert title is None
    assert presets == [("small", False), (loader, tmp_path / name)]


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


@pytest.mark.parametrize(
    ("file", "loader"),
    [("m.pkl", "load_detectron2"), ("m.pth", "load_torchvision")],
)
def test_foreign_weights_are_read_by_their_suffix(file, loader, tmp_path, monkeypatch):
    assert_loaded_by(loader, "small", tmp_path / file, monkeypatch)


def test_torch_files_have_detectron2s_names_in_its_architectures(tmp_path, monkeypatch):
    assert_loaded_by("load_detectron2", FAPN, tmp_path / "m.pth", monkeypatch)


def assert_loaded_by(loader, preset, path, monkeypatch):
    loaded = []
    monkeypatch.setattr(keras_fpn, "from_preset", lambda name, load_weights: name)
    monkeypatch.setattr(keras_fpn.weights, loader, lambda *given: loaded.append(given))
    path.touch()
    assert load_detector(preset, str(path)) == (preset, None)
    assert loaded == [(preset, path)]


def test_weights_that_cannot_be_downloaded_are_one_line(tmp_path, capsys):
    argv = ["detect", "--sample", "--preset", FAPN, "--output", str(tmp_path)]
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-fpn: error: A checkpoint must have a URL and")
    assert f"received name='{FAPN}'" in error
    assert "--weights FILE" in error
    assert error.count("\n") == 1


def test_a_published_file_brings_its_preset(tmp_path, monkeypatch):
    path = tmp_path / "any.pkl"
    path.touch()
    monkeypatch.setattr(Digest, "of", lambda digest, path: "280758" + 26 * "0")
    monkeypatch.setattr(keras_fpn, "from_preset", lambda name, load_weights: name)
    monkeypatch.setattr(keras_fpn.weights, "load_detectron2", lambda *given: None)
    published = "faster_rcnn_resnet50_fpn_detectron2_3x"
    assert load_detector(None, str(path)) == (published, None)
    assert load_detector("small", str(path)) == ("small", None)


@pytest.mark.parametrize(
    ("file", "loader"),
    [("m.pkl", "load_detectron2"), ("m.pth", "load_torchvision")],
)
def test_a_file_that_does_not_fit_the_default_preset_needs_another(
    file, loader, tmp_path, monkeypatch
):
    def fail(model, path):
        raise ValueError("The tensors must fit.")

    monkeypatch.setattr(keras_fpn, "from_preset", lambda name, load_weights: name)
    monkeypatch.setattr(keras_fpn.weights, loader, fail)
    path = tmp_path / file
    path.touch()
    with pytest.raises(CommandError) as error:
        load_detector(None, str(path))
    assert str(error.value) == (
        f"{path} must have the weights of faster_rcnn_resnet50_fpn_coco, or --preset "
        "must name another: The tensors must fit."
    )
    with pytest.raises(CommandError, match=r"^The tensors must fit\.$"):
        load_detector("small", str(path))


def test_weights_of_another_architecture_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(path)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    monkeypatch.setattr(keras_fpn, "from_preset", lambda name, load_weights: other)
    message = r"^A file must have the weights of the model; received .*no preset\.$"
    with pytest.raises(CommandError, match=message):
        load_detector("small", str(path))


@pytest.mark.parametrize(
    ("preset", "weights", "code", "message"),
    [
        ("absent", None, 2, "There must be such a preset; received name='absent'."),
        ("offline", None, 1, "offline could not be read: no route to host"),
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
