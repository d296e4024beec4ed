import dataclasses
import json

import numpy as np
import pytest

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.metrics import (
    Evaluation,
    coco_ground_truth,
    detections_to_coco,
    evaluate_boxes,
    operating_point,
)
from keras_fpn.report import evaluation_text, extra, write_evaluation


@pytest.fixture
def evaluation(tmp_path):
    """One object that was found; its photo cannot be read."""
    box = np.array([[1, 2, 21, 32]], np.float32)
    objects = Objects(box, [0], [False])
    photos = (Photo(4, tmp_path / "gone.png", 40, 64, objects),)
    dataset = Dataset(photos, ("cat",), (7,), name="pets")
    found = {"boxes": box, "labels": [0], "scores": [0.5]}
    results = detections_to_coco(found, 4, dataset.category_ids)
    metrics = evaluate_boxes(coco_ground_truth(dataset), results)
    return Evaluation(dataset, "finder", ["Random weights."], results, metrics, None)


def test_numbers_detections_and_page_are_written(evaluation, tmp_path):
    out = tmp_path / "new" / "out"
    names = write_evaluation(evaluation, out)
    assert names == ["detections.json", "metrics.json", "index.html"]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert json.loads((out / "detections.json").read_text()) == evaluation.results
    written = json.loads((out / "metrics.json").read_text())
    assert (written["dataset"], written["model"]) == ("pets", "finder")
    assert written["notes"] == ["Random weights."]
    assert written["boxes"]["values"]["AP"] == pytest.approx(1)
    assert written["proposals"] is None
    assert written["operating_point"] is None
    assert "Evaluation on pets" in (out / "index.html").read_text("utf-8")


def test_the_best_threshold_is_written(evaluation, tmp_path):
    truth = coco_ground_truth(evaluation.dataset)
    point = operating_point(truth, evaluation.results)
    best = dataclasses.replace(evaluation, operating_point=point)
    epochs = [{"epoch": 0, "loss": 1.0}]
    write_evaluation(best, tmp_path, epochs=epochs)
    written = json.loads((tmp_path / "metrics.json").read_text())
    values = {"F1": 1.0, "precision": 1.0, "recall": 1.0}
    assert written["operating_point"] == {
        "threshold": 0.25,
        **values,
        "class_thresholds": [0.25],
    }
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "<h2>Best threshold: 0.25</h2>" in page
    assert "Losses by epoch" in page
    assert "Best threshold: 0.25 (F1 100.0, " in evaluation_text(best)


def test_numbers_of_masks_are_on_the_page(evaluation, tmp_path):
    masks = dataclasses.replace(evaluation.metrics, kind="segm")
    write_evaluation(dataclasses.replace(evaluation, masks=masks), tmp_path)
    assert "recall of masks" in (tmp_path / "index.html").read_text("utf-8")
    assert (
        json.loads((tmp_path / "metrics.json").read_text())["masks"]["kind"] == "segm"
    )


def test_the_page_can_be_left_out(evaluation, tmp_path):
    names = write_evaluation(evaluation, tmp_path / "out", with_page=False)
    assert names == ["detections.json", "metrics.json"]


def test_the_page_needs_its_packages(evaluation, tmp_path, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError("none", name=name)

    monkeypatch.setattr(extra.importlib, "import_module", absent)
    with pytest.raises(ImportError, match="needs jinja2, which is not installed"):
        write_evaluation(evaluation, tmp_path)


def test_the_text_has_numbers_and_notes(evaluation):
    lines = evaluation_text(evaluation).splitlines()
    assert lines[0] == "finder on pets: 1 photo, 1 object, 1 detection; values in %"
    assert lines[3].split()[:2] == ["100.0", "100.0"]
    assert lines[-1] == "Note: Random weights."
