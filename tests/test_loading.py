import sys
import types

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector

import keras_fpn
from keras_fpn import cli, loading
from keras_fpn.cli.load_detector import load_detector
from keras_fpn.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with two detectors, of one and of two classes."""
    folder = tmp_path_factory.mktemp("saved")
    for number, name in ((1, "one.keras"), (2, "two.keras")):
        tiny_detector(
            number,
            backbone=tiny_backbone(("C4", "C5")),
            preprocessing=Preprocessing(64, 64),
        ).save(folder / name)
    return folder


def classes(source):
    return len(keras_fpn.load(source).class_names)


@pytest.fixture
def run(saved, tmp_path):
    """A function that makes the folder of a training with some of the files."""

    def make(**files):
        for name, content in files.items():
            copy = tmp_path / f"{name.replace('_', '-')}.keras"
            copy.write_bytes((saved / content).read_bytes())
        return tmp_path

    return make


def test_a_file_is_loaded_whether_named_by_text_or_path(saved):
    assert classes(saved / "two.keras") == 2
    assert classes(str(saved / "one.keras")) == 1


def test_of_a_training_the_best_is_loaded_or_else_the_last(run):
    assert classes(run(last="two.keras")) == 2
    assert classes(str(run(last="two.keras", best="one.keras"))) == 1


def test_a_preset_is_loaded_by_its_name(monkeypatch):
    monkeypatch.setattr(loading, "from_preset", lambda name: f"built {name}")
    name = "faster_rcnn_resnet50_fpn_coco"
    assert keras_fpn.load(name) == f"built {name}"


@pytest.fixture
def hub(saved, tmp_path, monkeypatch):
    """Puts two models on a hub that is a folder: a detector, and another model."""
    keras_fpn.load(saved / "two.keras").save(tmp_path / "me/mine", zipped=False)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "me/other", zipped=False)
    package = types.ModuleType("huggingface_hub")
    package.snapshot_download = lambda name, library_name: str(tmp_path / name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    return tmp_path


def test_models_of_the_hub_are_checked_as_files_are(hub):
    assert classes("hf://me/mine") == 2
    with pytest.raises(ValueError, match="received hf://me/other, which contains a S"):
        keras_fpn.load("hf://me/other")
    config = hub / "me/mine/config.json"
    config.write_text(config.read_text().replace("keras_fpn", "os"))
    with pytest.raises(ValueError, match=r"received hf://me/mine: it needs the class"):
        keras_fpn.load("hf://me/mine")


def test_a_detector_is_loaded_from_what_the_hub_stores(saved, tmp_path):
    one = keras_fpn.load(saved / "one.keras")
    one.save(tmp_path / "one", zipped=False)
    loaded = keras_fpn.load(tmp_path / "one")
    assert type(loaded) is type(one)
    for before, after in zip(one.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_an_unfinished_training_names_its_checkpoint(run):
    folder = run(checkpoint_0001_000000="one.keras", checkpoint_0002_000000="two.keras")
    with pytest.raises(ValueError, match=r"has not ended; checkpoint-0002-000000\.ker"):
        keras_fpn.load(folder)
    assert classes(folder / "checkpoint-0002-000000.keras") == 2


def test_what_is_no_detector_is_refused_with_what_it_is(tmp_path):
    with pytest.raises(
        ValueError, match=r"or last\.keras; received .*, which has neither"
    ):
        keras_fpn.load(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="which is a SavedModel, for servers"):
        keras_fpn.load(tmp_path)
    (tmp_path / "m.pth").touch()
    with pytest.raises(ValueError, match=r"received .*m\.pth\. Weights alone: build"):
        keras_fpn.load(tmp_path / "m.pth")
    (tmp_path / "m.keras").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"received .*m\.keras: File is not a zip"):
        keras_fpn.load(tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("faster_rcnn_resnet50_fpn", "Near names: ['faster_rcnn_resnet50_fpn_coco', "),
        ("rnu", "Did you mean run?"),
        ("gone.keras", "keras_fpn.list_presets() has the names of presets."),
        ("zzz", "keras_fpn.list_presets() has the names of presets."),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_like_it(
    tmp_path, monkeypatch, source, remedy
):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"existing \.keras file") as raised:
        keras_fpn.load(source)
    what = f"received '{source}', which is neither a file, a folder nor a preset. "
    assert what + remedy in str(raised.value)
    assert len(str(raised.value)) < 350


def test_commands_take_all_of_that_as_weights(run, hub, monkeypatch, capsys):
    folder = run(best="two.keras")
    model, title = load_detector(None, str(folder))
    assert (len(model.class_names), title) == (2, None)
    model, title = load_detector(None, "hf://me/mine")
    assert (len(model.class_names), title) == (2, None)
    monkeypatch.setattr(loading, "from_preset", lambda name: f"built {name}")
    name = "retinanet_resnet50_fpn_coco"
    assert load_detector(None, name) == (f"built {name}", None)
    argv = ["detect", "--sample", "--preset", name, "--output", str(folder / "out")]
    assert cli.main([*argv, "--weights", str(folder)]) == 2
    assert f"--weights {folder} with --preset {name}. Leave" in capsys.readouterr().err


def test_commands_say_what_the_hub_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    argv = ["detect", "--sample", "--output", str(tmp_path), "--weights", "hf://a/b"]
    assert cli.main(argv) == 2
    assert capsys.readouterr().err == (
        "keras-fpn: error: A model of the Hugging Face Hub must be downloaded by "
        "huggingface_hub; received 'hf://a/b', and it is not installed. Run pip "
        "install huggingface_hub.\n"
    )
