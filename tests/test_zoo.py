"""The recipes of zoo/: each states its source, can be built, and is in the table."""

import importlib.util
import pathlib
import re

import keras
import pytest

import keras_fpn
from keras_fpn.training import TrainingPlan

ZOO = pathlib.Path(__file__).resolve().parent.parent / "zoo"
RECIPES = sorted(ZOO.glob("*.py"))
ROW = re.compile(
    r"\| \[`(?P<name>\w+)`\]\((?P<file>\w+\.py)\) \| .* \| (?P<parameters>[\d.]+) M \|"
)


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table():
    rows = map(ROW.match, (ZOO / "README.md").read_text().splitlines())
    return {row["name"]: row for row in rows if row}


def test_the_table_has_every_recipe_and_no_other():
    assert {(name, row["file"]) for name, row in table().items()} == {
        (path.stem, path.name) for path in RECIPES
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_where_it_is_from_how_to_run_it_and_what_came_out(path):
    text = loaded(path).__doc__
    for what in ("Source: ", "keras-fpn train zoo/", "Measured: "):
        assert what in text
    assert f"zoo/{path.name}" in text
    measured = text.partition("Measured: ")[2]
    # A figure comes with what makes it one: data, hardware, time, commit, date.
    assert measured.startswith("not yet") or all(
        re.search(pattern, measured)
        for pattern in (r"AP", r"cores|GPU", r"minutes|hours", r"20\d\d-\d\d-\d\d")
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_builds_what_the_table_says(path):
    plan = loaded(path).PLAN
    assert isinstance(plan, TrainingPlan)
    assert plan.name == path.stem
    names = [f"class {number}" for number in range(8)]
    model = plan.build(names, list(range(1, 9)))
    assert isinstance(model, keras_fpn.models.Detector)
    assert model.class_names == (["object"] if model.class_agnostic else names)
    millions = model.count_params() / 1e6
    assert f"{millions:.1f}" == table()[path.stem]["parameters"]
    if plan.frozen_through is not None:
        assert plan.frozen_through in model.backbone.output
    optimizer = plan.optimizer(plan.schedule(plan.learning_rate, 100, 1000))
    rates = [float(optimizer._learning_rate(step)) for step in (0, 500, 999)]
    # Rises, or starts at once, and ends below its peak.
    assert 0 < rates[0] <= rates[1] <= plan.learning_rate
    assert rates[2] < rates[1]
    assert isinstance(optimizer, keras.optimizers.Optimizer)


def test_the_paper_and_torchvision_are_as_their_sources_state_them():
    paper = loaded(ZOO / "faster_rcnn_resnet50_fpn_paper.py").PLAN
    rate = paper.schedule(paper.learning_rate, 7330, paper.total_steps(7330))
    found = [round(float(rate(step)), 6) for step in (0, 59_999, 60_000, 79_999)]
    assert found == [0.02, 0.02, 0.002, 0.002]
    assert (paper.steps, paper.batch_size) == (80_000, 16)

    torchvision = loaded(ZOO / "faster_rcnn_resnet50_fpn_torchvision.py").PLAN
    total = torchvision.total_steps(7330)
    rate = torchvision.schedule(torchvision.learning_rate, 7330, total)
    steps = [0, 1000, 16 * 7330 - 1, 16 * 7330, 22 * 7330, total - 1]
    found = [round(float(rate(step)), 7) for step in steps]
    assert found == [0.00002, 0.02, 0.02, 0.002, 0.0002, 0.0002]
    assert (torchvision.keep_empty, paper.keep_empty) == (False, True)
    for plan in (paper, torchvision):
        optimizer = plan.optimizer(0.02)
        assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 1e-4)
        assert plan.frozen_through == "C2"
        assert plan.undecayed == ()
