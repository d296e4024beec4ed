"""train and evaluate take the usual splits of a data set, in any layout."""

import argparse
import functools

import pytest
from cli import calling
from cli.test_layouts import refused, stems
from data import tiny_layouts
from data.tiny_layouts import LAYOUTS
from data.tiny_sets import write

from keras_fpn.cli import evaluate, train
from keras_fpn.cli.splits import measuring_command
from keras_fpn.data.open_dataset import splits_of

RECIPE = """
import keras

from keras_fpn.training import TrainingPlan

PLAN = TrainingPlan(
    name="tiny",
    build=None,
    epochs=2,
    batch_size=2,
    learning_rate=0.1,
    schedule=lambda rate, *steps: rate,
    optimizer=keras.optimizers.SGD,
)
"""


@pytest.fixture
def prepared(monkeypatch):
    """The data sets with which `train` calls `run_training`: train, validation."""
    got = []

    def run(plan, dataset, validation, *_):
        got[:] = dataset, validation
        return 0

    monkeypatch.setattr(train, "run_training", run)
    return got


@pytest.fixture
def trained(tmp_path, prepared):
    """Runs `keras-fpn train` with a recipe; `prepared` gets its data sets."""
    recipe = write(tmp_path / "recipe.py", RECIPE)
    return functools.partial(calling.called, "train", recipe)


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_every_layout_is_trained_on_as_it_is(tmp_path, prepared, trained, make):
    root, (count, measured) = make(tmp_path / "set"), LAYOUTS[make]
    code, out, err = trained(root)
    assert (code, "error" in err) == (0, False), err
    dataset, validation = prepared
    assert out.startswith(f"Photos to train on: {count} ({dataset.name}); to validate")
    if measured is None:  # nothing is held out for a recipe
        assert (stems(dataset), validation) == ("abcde", None)
        assert out.endswith("to validate on: none, so no AP is measured\n")
    else:
        assert (stems(dataset), stems(validation)) == ("abc", "de")


def test_train_stops_at_splits_that_it_does_not_know(tmp_path, prepared, trained):
    root = tiny_layouts.roboflow_voc(tmp_path / "set")
    (root / "valid").rename(root / "minival")
    error = refused(root, command=trained)
    assert "Pass --val-split NAME, or --split train to train without meas" in error
    assert trained(root, "--split", "train")[0] == 0
    assert (stems(prepared[0]), prepared[1]) == ("abc", None)
    assert trained(root, "--val-split", "minival")[0] == 0
    assert (stems(prepared[0]), stems(prepared[1])) == ("abc", "de")


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Runs `keras-fpn evaluate`; returns the data set, and what it printed."""

    def run(*argv):
        got = [None]
        monkeypatch.setattr(evaluate, "load_detector", lambda *_: (None, None))
        monkeypatch.setattr(evaluate, "evaluate", lambda _, one, *__: got.append(one))
        output = "--output", tmp_path / "out"
        code, out, err = calling.called("evaluate", *argv, *output)
        return code, got[-1], err if code else out

    return run


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_the_obvious_split_is_measured_on(tmp_path, evaluated, make):
    root = make(tmp_path / "set")
    code, dataset, out = evaluated(root)
    assert code == 0, out
    splits, count = splits_of(root), len(dataset)
    if not splits:
        assert (stems(dataset), out) == ("abcde", "")
        return
    taken = "test" if "test" in splits else "val"
    assert stems(dataset) == {"test": "f", "val": "de"}[taken]
    told = f"Photos to measure on: {count} ({dataset.name}), the split {taken}. For ano"
    assert out.startswith(told)
    rest = out[len(told) :].removeprefix("ther: --split ").removesuffix(".\n")
    assert set(rest.split(" or ")) == set(splits) - {taken}
    code, dataset, out = evaluated(root, "--split", "train")
    assert (code, stems(dataset), out) == (0, "abcde"[: LAYOUTS[make][0]], "")


def test_a_split_to_measure_on_must_be_named_if_none_is_obvious(tmp_path, evaluated):
    root = tiny_layouts.roboflow_coco(tmp_path)
    for split, name in {"valid": "first", "test": "second"}.items():
        (root / split).rename(root / name)
    code, _, error = evaluated(root)
    assert code == 2
    assert "must be called test or val; received" in error
    assert "train, first, second. Pass --split NAME." in error
    assert stems(evaluated(root, "--split", "second")[1]) == "f"


def test_of_a_split_that_cannot_be_read_it_is_said_that_nobody_asked_for_it(
    tmp_path, evaluated
):
    root = tiny_layouts.roboflow_coco(tmp_path)
    write(root / "test/_annotations.coco.json", '{"images": [')
    code, _, error = evaluated(root)
    assert code == 2
    assert "The split test, taken without --split: " in error
    assert stems(evaluated(root, "--split", "val")[1]) == "de"


def test_a_test_split_that_was_not_used_is_offered_in_the_end(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path / "set")
    none = dict.fromkeys(("split", "val_split", "images", "classes", "proposals"))

    def offered(dataset, **options):
        arguments = argparse.Namespace(dataset=dataset, **{**none, **options})
        return measuring_command(arguments, "runs/a")

    assert offered(root) == f"keras-fpn evaluate {root} --weights runs/a"
    assert offered(root, val_split="val", classes="cat", images="photos") == (
        f"keras-fpn evaluate {root} --images photos --classes cat --weights runs/a"
    )
    assert offered(root, classes="a b").endswith(" --classes 'a b' --weights runs/a")
    assert offered(root, val_split="test") is None
    assert offered(root, split="test") is None
    assert offered(root, proposals="p.json") is None
    assert offered(root / "train") is None
    assert offered(tiny_layouts.labelme_folders(tmp_path / "other")) is None
