"""The region proposal network alone: detects, is trained and measured."""

import json

import keras
import numpy as np
import pytest
from models.tiny import tiny_rpn, two_levels, two_rectangles
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data

from keras_fpn.data import Loader, open_dataset, read_proposals
from keras_fpn.data.scenes import write_scenes
from keras_fpn.layers import ProposalDetections
from keras_fpn.metrics import (
    CocoEvaluation,
    coco_ground_truth,
    evaluate_photos,
    evaluate_proposals,
    proposing,
)
from keras_fpn.models import RPN, RPNParts, rpn_fpn
from keras_fpn.report import evaluation_text, write_evaluation

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_rpn()


def test_its_results_are_its_proposals_in_the_photos_pixels(model):
    [found] = model.detect(PHOTO)
    boxes, scores = proposing(model)(PHOTO)
    assert 0 < len(boxes) <= 50
    assert_allclose(found["boxes"], boxes, rtol=1e-5)
    assert_allclose(found["scores"], scores, rtol=1e-5)
    assert set(found["labels"]) == {0}
    assert model.class_names == ["object"]
    [few] = model.detect(PHOTO, max_detections=3)
    assert_array_equal(few["boxes"], found["boxes"][:3])
    middle = float(found["scores"][5])
    [above] = model.detect(PHOTO, score_threshold=middle)
    assert (above["scores"] > middle).all()


def test_a_two_stage_detectors_first_stage_is_one_with_its_layers():
    faster = two_levels()
    parts = faster.parts
    detections = ProposalDetections(name="detections")
    rpn = RPN(
        RPNParts(parts.backbone, parts.neck, parts.region, detections),
        faster.preprocessing,
        ["object"],
        [1],
    )
    boxes, scores = proposing(faster)(PHOTO)
    [found] = rpn.detect(PHOTO)
    assert_allclose(found["boxes"], boxes, atol=1e-3)
    assert_allclose(found["scores"], scores, atol=1e-5)
    assert rpn.rpn_head is faster.rpn_head


@pytest.mark.ci
def test_it_learns_on_data_of_any_classes():
    model = tiny_rpn()
    x, y = two_rectangles()
    y["labels"] = np.array([[0], [6]])
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, y, batch_size=2, epochs=40, verbose=0).history
    assert set(history) == {"loss", "objectness_loss", "rpn_box_loss"}
    assert history["loss"][-1] < 0.25 * history["loss"][0]
    found = model.predict_on_batch(x)
    best = found["boxes"][:, 0]
    annotations = [
        {
            "id": n + 1,
            "image_id": n,
            "category_id": 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for n, [(x1, y1, x2, y2)] in enumerate(y["boxes"].tolist())
    ]
    truth = {
        "images": [{"id": n, "height": 96, "width": 128} for n in range(2)],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": annotations,
    }
    proposals = [(n, found["boxes"][n], found["scores"][n]) for n in range(len(best))]
    assert evaluate_proposals(truth, proposals).values["AR100"] > 0.6


def test_its_coco_weights_are_for_another_backbone_and_it_has_no_box_head():
    with pytest.raises(ValueError, match=r"of RPN .*msra_resnet50.*'resnet50'"):
        rpn_fpn(weights="coco")
    with pytest.raises(ValueError, match=r"received 'box_head'. Near names"):
        tiny_rpn(box_head=keras.layers.Dense(1))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A data set of four small scenes with objects of several classes, in files."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, 4, seed=1, size=(96, 96), objects=(1, 3))
    return open_dataset(folder)


@pytest.mark.ci
def test_its_evaluation_is_the_recall_of_objects_of_any_class(model, scenes, tmp_path):
    evaluation = evaluate_photos(model, scenes, "mine")
    assert evaluation.metrics is None
    assert evaluation.notes == []
    proposals = [(p.image_id, *proposing(model)(p.path)) for p in scenes.photos]
    expected = evaluate_proposals(coco_ground_truth(scenes), proposals)
    assert evaluation.proposals.objects == expected.objects > 4
    for name, value in expected.values.items():
        assert_allclose(evaluation.proposals.values[name], value, atol=0.02)
    assert {result["category_id"] for result in evaluation.results} == {1}
    text = evaluation_text(evaluation)
    assert f": 4 photos, {expected.objects} objects; values in %" in text
    assert "proposals" in text
    assert "class " not in text
    assert write_evaluation(evaluation, tmp_path) == ["detections.json", "metrics.json"]
    found = read_proposals(tmp_path / "detections.json")
    assert set(found) == {photo.image_id for photo in scenes.photos}
    for image_id, boxes, scores in proposals:
        assert_allclose(found[image_id][0], boxes, atol=0.1)
        assert_allclose(found[image_id][1], scores, atol=1e-4)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["boxes"] is None
    assert written["proposals"]["objects"] == expected.objects


def test_fit_logs_its_recall_whatever_the_datas_classes(model, scenes):
    loader = Loader(scenes, model.preprocessing, 3, fill=True)
    callback = CocoEvaluation(loader)
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert "val_AP" not in logs
    expected = evaluate_photos(model, scenes).proposals.values
    assert set(logs) == {f"val_{name}" for name in expected}
    assert 0 <= logs[f"val_{model.monitor}"] <= 1
    # In a batch photos are padded alike, which moves some boxes slightly.
    assert_allclose(logs["val_AR1000"], expected["AR1000"], atol=0.1)
