import functools
import json

import keras
import numpy as np
import pytest
from cli import calling
from models.tiny import tiny_backbone
from training.mean_box import MeanBox

from keras_fpn import cli
from keras_fpn.cli import run_training, train
from keras_fpn.data.scenes import write_scenes
from keras_fpn.training.run_folder import RunFolder

RECIPE = """
from types import SimpleNamespace

import keras
from models.tiny import tiny_backbone, tiny_detector
from training.mean_box import MeanBox

from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import TrainingPlan


def detector(class_names, category_ids):
    return tiny_detector(
        None,
        class_names=class_names,
        category_ids=category_ids,
        backbone=tiny_backbone(("C4", "C5")),  # fewer levels compile sooner
        preprocessing=Preprocessing(64, 64),
    )


def backbone_alone(class_names, category_ids):
    return SimpleNamespace(backbone=tiny_backbone(("C4", "C5")))


PLAN = TrainingPlan(
    name="tiny",
    build={build},
    {lasting},
    batch_size=2,
    learning_rate={rate},
    schedule=lambda rate, *steps: rate,
    optimizer=keras.optimizers.SGD,
)
"""


def recipe(folder, build="MeanBox", lasting="epochs=2", rate=0.01):
    """Writes a recipe into a folder and returns its path."""
    path = folder / "recipe.py"
    path.write_text(RECIPE.format(build=build, lasting=lasting, rate=rate))
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with the data sets train/ of 6 scenes and val/ of 2."""
    folder = tmp_path_factory.mktemp("scenes")
    for name, count, seed in (("train", 6, 1), ("val", 2, 2)):
        scenes = {"size": (64, 64), "objects": (1, 2), "sides": (16, None)}
        write_scenes(folder / name, count, seed=seed, **scenes)
    return folder


called = functools.partial(calling.called, "train")


def refused(*argv, code=2):
    """The one line of error with which the command ends."""
    received, _, err = called(*argv)
    assert received == code, err
    last = err.splitlines()[-1]
    assert last.startswith("keras-fpn: error: ")
    return last


def contents(folder):
    """The bytes of all files except those of the evaluation, by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.*")}


@pytest.fixture(scope="module")
def runs(photos, tmp_path_factory):
    """A training with an evaluation, and the same command again.

    For each what `called` returned, and then the contents of the folder. JAX, which
    takes long to compile it, does the same in test_finetune.py.
    """
    folder = tmp_path_factory.mktemp("train")
    argv = [recipe(folder, "detector"), photos / "train", "--val", photos / "val"]
    argv += ["--output", folder / "run", "--no-tensorboard", "--workers", 1]
    first = called(*argv), contents(folder / "run")
    return folder / "run", first, (called(*argv), contents(folder / "run"))


@pytest.mark.tensorflow_only
def test_a_recipe_is_trained_and_its_best_checkpoint_measured(runs):
    folder, ((code, out, err), files), _ = runs
    assert code == 0, err
    first, second, *_ = out.splitlines()
    assert first == ("Photos to train on: 6 (instances); to validate on: 2 (instances)")
    assert second.startswith("tiny: ")
    assert "6 photos, 3 steps of 2 images per epoch, 6 steps in total" in out
    assert "Epoch 2/2: loss " in err
    assert {"best.keras", "last.keras", "checkpoint-0002-000000.keras"} <= set(files)
    assert (folder / "evaluation" / "index.html").is_file()
    history = json.loads(files["history.json"])
    assert [entry["epoch"] for entry in history] == [0, 1]
    assert all(0 <= entry["val_AP"] <= 1 for entry in history)
    assert out.splitlines()[-1].endswith(f" --weights {folder / 'best.keras'}")
    assert not (folder / "tensorboard").exists()


@pytest.mark.tensorflow_only
def test_the_same_command_again_trains_nothing_more(runs):
    _, (_, before), ((code, out, err), after) = runs
    assert code == 0, err
    assert "the training has ended and is only evaluated again" in out
    assert "Epoch " not in err
    assert after == before


@pytest.fixture(scope="module")
def unmeasured(photos, tmp_path_factory):
    """A training of two epochs without a data set to measure on."""
    folder = tmp_path_factory.mktemp("unmeasured")
    argv = [recipe(folder), photos / "train", "--output", folder / "run"]
    return folder / "run", called(*argv, "--no-tensorboard")


def test_without_output_each_training_gets_a_folder_of_its_own(
    photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    argv = [recipe(tmp_path), photos / "train", "--no-tensorboard", "--workers", 1]
    for options, folder in (([], "train"), ([], "train2"), (["--seed", 1], "train3")):
        code, out, err = called(*argv, *options)
        assert code == 0, err
        assert f"; folder runs/{folder}\n" in out
        another = "runs/train holds a complete training or another one; this one is in "
        assert (f"{another}runs/{folder}.\n" in out) == (folder != "train")
        assert (tmp_path / "runs" / folder / "last.keras").is_file()
    (tmp_path / "runs" / "train2" / "last.keras").unlink()
    code, out, err = called(*argv)  # it has its last checkpoint only
    assert code == 0, err
    assert "; folder runs/train2; resumes at epoch 3, step 1\n" in out


def test_without_photos_to_measure_on_the_last_checkpoint_is_the_result(unmeasured):
    folder, (code, out, err) = unmeasured
    assert code == 0, err
    assert f"Checkpoint: {folder / 'last.keras'}\n" in out
    assert not (folder / "best.keras").exists()
    assert not (folder / "evaluation").exists()
    history = json.loads((folder / "history.json").read_text())
    assert [sorted(entry) for entry in history] == 2 * [["box_loss", "epoch", "loss"]]


def test_where_no_epoch_was_measured_the_last_checkpoint_is_the_result(
    unmeasured, monkeypatch, capsys
):
    folder, measured = RunFolder(unmeasured[0], {}, writes=False), []
    monkeypatch.setattr(keras.models, "load_model", measured.append)
    monkeypatch.setattr(run_training, "evaluate", lambda *_, **__: None)
    run_training._evaluate(folder, "a data set")
    _, err = capsys.readouterr()
    assert measured == [folder.last]
    [line] = err.splitlines()
    assert line.startswith(f"There is no {folder.best}: no epoch could be measured.")


def test_the_folder_of_another_training_is_refused(unmeasured, photos, tmp_path):
    folder, _ = unmeasured
    before = contents(folder)
    argv = [recipe(tmp_path), photos / "train", "--output", folder]
    error = refused(*argv, "--epochs", 3)
    assert "received epochs=3 where the run has 2" in error
    assert "choose another output folder." in error
    assert contents(folder) == before


def test_a_folder_with_other_files_is_refused(photos, tmp_path):
    path = recipe(tmp_path)
    error = refused(path, photos / "train", "--output", tmp_path)
    assert f"received {tmp_path}, which holds 'recipe.py' and no run.json." in error


def test_a_training_that_diverges_ends_with_the_step_and_its_images(photos, tmp_path):
    argv = [recipe(tmp_path, rate=1e30), photos / "train", "--no-tensorboard"]
    error = refused(*argv, "--output", tmp_path / "run", code=1)
    assert "Training diverged: loss and weights must be finite; the loss was " in error
    assert "after step 1 (batch 1 of epoch 0, all from 0), images [" in error
    assert "learning rate 1e+30. There is no checkpoint." in error
    assert "with a lower learning rate" in error
    assert not list((tmp_path / "run").glob("*.keras"))


@pytest.fixture
def prepared(monkeypatch):
    """The arguments with which the command calls `run_training`."""
    got = []

    def run_training(*arguments):
        got.append(arguments)
        return 0

    monkeypatch.setattr(train, "run_training", run_training)
    return got


def test_a_recipe_is_taken_as_it_is(photos, tmp_path, prepared):
    assert called(recipe(tmp_path), photos / "train")[0] == 0
    plan, dataset, validation, *_ = prepared[0]
    assert (plan.name, plan.build, plan.epochs) == ("tiny", MeanBox, 2)
    assert (plan.batch_size, plan.learning_rate) == (2, 0.01)
    assert (len(dataset), validation) == (6, None)


def test_another_batch_size_changes_the_learning_rate_in_proportion(
    photos, tmp_path, prepared
):
    called(recipe(tmp_path), photos / "train", "--batch-size", 6)
    plan = prepared[0][0]
    assert (plan.batch_size, plan.learning_rate) == (6, pytest.approx(0.03))


@pytest.mark.parametrize("lasting", ["epochs=2", "steps=90"])
def test_epochs_take_the_place_of_the_recipes(photos, tmp_path, prepared, lasting):
    called(recipe(tmp_path, lasting=lasting), photos / "train", "--epochs", 7)
    plan = prepared[0][0]
    assert (plan.epochs, plan.steps, plan.total_steps(3)) == (7, None, 21)


def test_backbone_weights_are_what_the_detector_begins_with(photos, tmp_path, prepared):
    source = tiny_backbone(("C4", "C5"))
    source.save_weights(tmp_path / "source.weights.h5")
    path = recipe(tmp_path, "backbone_alone")
    file = tmp_path / "source.weights.h5"
    called(path, photos / "train", "--backbone-weights", file)
    model = prepared[0][0].build(["cat"], [1])
    received = [keras.ops.convert_to_numpy(v) for v in model.backbone.weights]
    for expected, value in zip(source.get_weights(), received, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_name", "received name='no_such_name'"),
        ("missing.pth", "missing.pth"),
        ("bad.pth", "bad.pth"),
        ("bad.weights.h5", "Unable to"),
    ],
)
def test_bad_backbone_weights_are_refused(photos, tmp_path, name, said):
    weights = tmp_path / name if "." in name else name
    if name.startswith("bad"):
        weights.write_bytes(b"no weights")
    argv = [recipe(tmp_path, "backbone_alone"), photos / "train"]
    argv += ["--output", tmp_path / "run", "--backbone-weights", weights]
    error = refused(*argv)
    assert f"error: The backbone weights {weights} cannot be loaded: " in error
    assert said in error


def test_a_recipe_that_is_none_is_refused(photos, tmp_path):
    missing = tmp_path / "missing.py"
    error = refused(missing, photos / "train")
    assert f"must be a Python file; received {missing}, which does not exist." in error
    text = tmp_path / "recipe.txt"
    text.write_text("PLAN = None")
    error = refused(text, photos / "train")
    assert f"must be a Python file (.py); received {text}." in error
    empty = tmp_path / "empty.py"
    empty.write_text("PLAN = 3\n")
    error = refused(empty, photos / "train")
    assert f"must define PLAN, a keras_fpn.training.TrainingPlan; received {empty}" in (
        error
    )
    assert error.endswith("with PLAN=3.")


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--save-every"])
def test_numbers_must_be_positive(tmp_path, capsys, option):
    with pytest.raises(SystemExit):
        cli.main(["train", str(recipe(tmp_path)), str(tmp_path), option, "0"])
    assert f"argument {option}: " in capsys.readouterr().err


def cut_short(folder, count):
    """Cuts the pixels of photos, not their headers; returns their original bytes."""
    cut = {}
    for photo in sorted((folder / "images").iterdir())[:count]:
        cut[photo] = photo.read_bytes()
        photo.write_bytes(cut[photo][:200])
    return cut


@pytest.mark.parametrize(("count", "damaged"), [(6, 5), (6, 2), (4, 4), (1, 1)])
def test_a_training_ends_at_unreadable_photos_and_goes_on_once_they_are_back(
    tmp_path, count, damaged
):
    scenes = {"size": (64, 64), "objects": (1, 2), "sides": (16, None)}
    write_scenes(tmp_path / "set", count, **scenes)
    cut = cut_short(tmp_path / "set", damaged)
    argv = [recipe(tmp_path), tmp_path / "set", "--output", tmp_path / "run"]
    with pytest.warns(UserWarning, match="A photo was skipped"):
        error = refused(*argv, "--no-tensorboard", code=1)
    most = min(1, count - 1)
    assert (
        f"Of the {count} photos of a training at most {most} may be unreadable" in error
    )
    named = [photo for photo in cut if str(photo) in error]
    assert len(named) > most
    assert "truncated" in error
    assert not list((tmp_path / "run").glob("*.keras"))
    for photo, content in cut.items():
        photo.write_bytes(content)
    assert called(*argv, "--no-tensorboard")[0] == 0
    assert (tmp_path / "run" / "last.keras").is_file()


def test_one_damaged_photo_does_not_end_a_training(tmp_path):
    scenes = {"size": (64, 64), "objects": (1, 2), "sides": (16, None)}
    write_scenes(tmp_path / "set", 4, **scenes)
    cut_short(tmp_path / "set", 1)
    argv = [recipe(tmp_path), tmp_path / "set", "--output", tmp_path / "run"]
    with pytest.warns(UserWarning, match="A photo was skipped"):
        assert called(*argv, "--no-tensorboard")[0] == 0
    assert (tmp_path / "run" / "last.keras").is_file()


@pytest.mark.tensorflow_only
def test_deterministic_operations_are_asked_for(photos, tmp_path, monkeypatch):
    import tensorflow as tf

    asked = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: asked.append(1)
    )
    (tmp_path / "other").write_text("not a run")
    argv = [recipe(tmp_path), photos / "train", "--output", tmp_path]
    for more in ([], ["--deterministic"]):
        assert "must be new, empty" in refused(*argv, *more)
    assert asked == [1]
