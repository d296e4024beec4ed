import argparse
import dataclasses
import functools
import json
import types

import keras
import pytest
from cli import calling
from data.test_semantic_images import write_set as write_semantic_set
from data.tiny_sets import voc_object, write, write_coco_set, write_voc_photo
from models.tiny import tiny_backbone, tiny_detector

import keras_fpn
from keras_fpn import cli
from keras_fpn.cli import finetune, run_training
from keras_fpn.data.scenes import write_scenes
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report import extra
from keras_fpn.training import Progress

BOX = {"bbox": [10, 20, 30, 40]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a data set of 8 scenes, set/, and a detector, tiny.keras."""
    folder = tmp_path_factory.mktemp("finetune")
    write_scenes(folder / "set", 8, size=(64, 64), objects=(1, 2), sides=(16, None))
    model = tiny_detector(
        2,
        class_names=["ring", "cat"],
        backbone=tiny_backbone(("C4", "C5")),  # fewer levels compile sooner
        preprocessing=Preprocessing(64, 96),
    )
    model.save(folder / "tiny.keras")
    return folder


called = functools.partial(calling.called, "finetune")


@pytest.fixture(scope="module")
def runs(made):
    """A run that is interrupted after an epoch, and the same command again.

    The first lacks a package of the page.
    JAX takes long to compile: there it is one run.
    """
    argv = [made / "set", "--weights", made / "tiny.keras", "--epochs", 2]
    argv += ["--output", made / "run", "--workers", 1]

    if keras.config.backend() == "jax":
        done = called(*argv)
        return done, done

    begin = Progress.on_epoch_begin

    def interrupted(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "on_epoch_begin", interrupted)
        patch.setattr(extra, "PACKAGES", ("jinja2", "no_such_package"))
        first = called(*argv)
    return first, called(*argv)


@pytest.mark.tensorflow_only
def test_an_interrupted_run_says_how_to_resume(runs, made):
    code, out, err = runs[0]
    assert code == 130
    assert "6 photos, 3 steps of 2 images per epoch, 6 steps in total" in out
    assert err.endswith(f"Interrupted. The same command resumes from {made / 'run'}.\n")


@pytest.mark.tensorflow_only
def test_before_training_it_is_said_that_there_will_be_no_page(runs):
    told = "index.html will not be written: it needs no_such_package. To install: "
    assert told in runs[0][2]
    assert "will not be written" not in runs[1][2]


@pytest.mark.tensorflow_only
def test_the_same_command_resumes(runs):
    _, out, err = runs[1]
    assert "resumes at epoch 2, step 1" in out
    assert "Epoch 1/2" not in err


def test_a_run_ends_with_the_page(runs, made):
    code, _, err = runs[1]
    assert code == 0, err
    assert "Epoch 2/2: loss " in err
    on_jax = keras.config.backend() == "jax"
    assert err.count("No TensorBoard logs: ") == int(on_jax)
    folder = made / "run"
    assert (folder / "evaluation" / "index.html").is_file()
    history = json.loads((folder / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1]
    assert all(0 <= entry["val_AP"] <= 1 for entry in history)


def test_what_was_chosen_is_said(runs):
    _, out, _ = runs[0]
    lines = out.splitlines()
    assert lines[0] == (
        "Photos to train on: 6 (instances); to validate on: 2 (instances, held out)"
    )
    assert lines[1].startswith("Known to the detector: ring. New to it: disk, striped")


def test_the_best_checkpoint_is_what_detect_takes(runs, made, tmp_path):
    _, out, _ = runs[1]
    best = made / "run" / "best.keras"
    last = out.splitlines()[-1]
    assert last == f"To detect with it: keras-fpn detect PHOTO --weights {best}"
    photo = next((made / "set" / "images").iterdir())
    argv = ["detect", str(photo), "--weights", str(best), "--output", str(tmp_path)]
    assert cli.main(argv) == 0
    assert len(list(tmp_path.iterdir())) == 1
    names = keras.models.load_model(best).class_names
    assert names == list(keras_fpn.data.scenes.CLASS_NAMES)


@pytest.mark.tensorflow_only
def test_tensorboard_gets_pictures_of_both_epochs(runs, made):
    from training.test_tensorboard import read

    found = read(made / "run" / "tensorboard")
    shown = [found[tag] for tag in found if tag.startswith("photos/")]
    assert len(shown) == 2
    assert {tuple(step for step, _, _ in steps) for steps in shown} == {(3, 6)}


def test_logs_for_tensorboard_can_be_left_out(tmp_path):
    training = types.SimpleNamespace(
        total_steps=6,
        loader=range(3),
        start_step=5,
        plan=types.SimpleNamespace(batch_size=2),
        folder=types.SimpleNamespace(path=tmp_path),
        evaluation=None,
    )
    shown = run_training._callbacks(training, argparse.Namespace(no_tensorboard=True))
    assert [type(callback) for callback in shown] == [Progress]


@pytest.fixture(scope="module")
def source():
    return tiny_detector(2, class_names=["cat", "dog"])


@pytest.fixture
def prepared(monkeypatch, source):
    """The arguments with which a command calls `run_training`."""
    got = []

    def train(*arguments):
        got.append(arguments)
        return 0

    monkeypatch.setattr(finetune, "load_detector", lambda *_: (source, None))
    monkeypatch.setattr(finetune, "run_training", train)
    return got


def voc(folder):
    for stem in "abcd":
        write_voc_photo(folder, stem, [voc_object((11, 21, 40, 60))])
    for split, stems in {"train": "ab", "val": "c", "trainval": "abc"}.items():
        write(folder / f"ImageSets/Main/{split}.txt", "\n".join(stems))
    return folder


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ([], (2, 1)),  # its own splits
        (["--split", "trainval"], (2, 1)),  # of which one is held out
        (["--val-split", "trainval"], (2, 3)),
        (["--split", "trainval", "--val-split", "val"], (3, 1)),
    ],
)
def test_a_data_sets_own_splits_are_taken(tmp_path, prepared, options, sizes):
    assert called(voc(tmp_path), *options)[0] == 0
    _, dataset, validation, *_ = prepared[0]
    assert (len(dataset), len(validation)) == sizes


def test_options_reach_the_plan(tmp_path, prepared):
    options = ["--epochs", 7, "--batch-size", 3, "--learning-rate", 0.5]
    called(voc(tmp_path), *options, "--min-size", 48, "--max-size", 64)
    plan = prepared[0][0]
    assert (plan.epochs, plan.batch_size, plan.learning_rate) == (7, 3, 0.5)
    assert plan.name == "finetune faster_rcnn_resnet50_fpn_coco"
    model = plan.build(["cat"], [1])
    sizes = model.preprocessing.min_size, model.preprocessing.max_size
    assert sizes == (48, 64)


def test_classes_that_are_all_known_or_all_new_are_said(tmp_path, prepared):
    _, out, _ = called(voc(tmp_path / "known"))
    assert "All classes are known to the detector: cat." in out
    file = write_coco_set(tmp_path / "new", [BOX])
    contents = json.loads(file.read_text())
    contents["annotations"] += [{**contents["annotations"][0], "id": 2, "image_id": 9}]
    contents["categories"] = [{"id": 3, "name": "emu"}, {"id": 5, "name": "fox"}]
    file.write_text(json.dumps(contents))
    _, out, _ = called(file)
    assert "All classes are new to the detector: emu, fox." in out


def refused(*argv):
    """The one line of error with which a command ends."""
    code, _, err = called(*argv)
    assert code in (1, 2)
    last = err.splitlines()[-1]
    assert last.startswith("keras-fpn: error: ")
    return last


def test_photos_without_objects_are_refused(tmp_path, prepared):
    empty = write_coco_set(tmp_path / "a", [])
    full = write_coco_set(tmp_path / "b", [BOX])
    assert "must have objects to hold some out; received" in refused(empty)
    assert "must show objects; received" in refused(empty, "--val", full)


def test_other_classes_to_measure_on_are_added_and_told(tmp_path, prepared):
    train = write_coco_set(tmp_path / "a", [BOX])
    others = [{"id": 3, "name": "wolf"}, {"id": 5, "name": "cat"}]
    val = write_coco_set(tmp_path / "b", [BOX], categories=others)
    code, _, err = called(train, "--val", val)
    assert code == 0
    assert "to measure on have these classes, which cannot be learned: wolf." in err
    _, dataset, validation, *_ = prepared[0]
    assert dataset.class_names == validation.class_names == ("cat", "dog", "wolf")
    assert dataset[0].objects.labels.tolist() == [0]
    assert validation[0].objects.labels.tolist() == [2]


def test_pixel_labels_to_measure_on_must_be_of_the_same_classes(tmp_path, prepared):
    for folder, names in {"a": "sky\nroad\n", "b": "sky\nsea\n"}.items():
        write_semantic_set(tmp_path / folder)
        write(tmp_path / folder / "classes.txt", names)
    error = refused(tmp_path / "a", "--val", tmp_path / "b")
    assert "Data to measure on: Selected classes must be among" in error
    assert "received ['road']" in error


def test_random_weights_are_refused(tmp_path, prepared):
    assert "keras-fpn train" in refused(voc(tmp_path), "--weights", "random")


def test_a_learning_rate_must_be_positive(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["finetune", str(tmp_path), "--learning-rate", "0"])
    assert "must be above 0; received 0" in capsys.readouterr().err


def test_the_plan_of_a_command_is_that_of_its_function(tmp_path, prepared, source):
    from keras_fpn.training import finetuning_plan

    called(voc(tmp_path))
    plan, dataset, *_ = prepared[0]
    expected = finetuning_plan(source, dataset, plan.name)
    for field in dataclasses.fields(plan):
        if field.name != "build":
            assert getattr(plan, field.name) == getattr(expected, field.name)
