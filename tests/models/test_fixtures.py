"""Files that earlier code saved load and detect as they did then."""

import json
import pathlib

import keras
import numpy as np
import pytest
from fixtures.make_fixtures import CLASSES, MODELS, SAMPLE, untrained

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
DETECTIONS = json.loads((FOLDER / "detections.json").read_text())


@pytest.fixture(scope="module", params=MODELS)
def loaded(request):
    path = FOLDER / f"{request.param}.keras"
    return request.param, keras.models.load_model(path)


def assert_as_then(found, then):
    """Asserts the same detections; near-equal scores may stand in another order."""
    boxes, scores, labels = (
        np.array(then[name]) for name in ("boxes", "scores", "labels")
    )
    assert found["boxes"].shape == boxes.shape
    for box, score, label in zip(boxes, scores, labels, strict=True):
        close = np.abs(found["boxes"] - box).max(axis=1) < 0.05  # pixels
        close &= np.abs(found["scores"] - score) < 1e-4
        close &= found["labels"] == label
        assert close.sum() == 1, (box, score, label)


def test_saved_files_detect_as_they_did(loaded):
    name, model = loaded
    assert len(DETECTIONS[name]["boxes"]) >= 4
    [found] = model.detect(SAMPLE)
    assert_as_then(found, DETECTIONS[name])


def test_weights_files_fill_the_same_architecture():
    model = untrained()
    for weight in model.weights:
        weight.assign(keras.ops.zeros(weight.shape, weight.dtype))
    model.load_weights(FOLDER / "trained.weights.h5")
    [found] = model.detect(SAMPLE)
    assert_as_then(found, DETECTIONS["trained"])


def test_saved_files_keep_what_goes_with_a_model(loaded):
    name, model = loaded
    if name == "trained":
        assert model.class_names == CLASSES["class_names"]
        assert model.category_ids == CLASSES["category_ids"]
        assert int(model.optimizer.iterations) == 3
        assert int(model.training_step) == 3
        momenta = [v for v in model.optimizer.variables if "momentum" in v.path]
        assert momenta
        assert all(np.any(keras.ops.convert_to_numpy(v)) for v in momenta)
    if name == "frozen":
        assert not model.backbone.get_layer("stem").trainable
        assert not model.backbone.get_layer("C2").trainable
        assert model.backbone.get_layer("C3").trainable
        assert not model.rpn_head.trainable
        assert model.box_head.trainable
    if name == "group_norm":
        assert model.neck.norm == model.box_head.norm == "group"
        assert {merge.fuse for merge in model.neck.merge.values()} == {"average"}
    if name == "other_parts":
        assert model.preprocessing.min_size == 128
        assert model.preprocessing.mean == (0.5, 0.5, 0.5)
        assert model.parts.box.roi_sample.count == 32
        assert model.detections.max_detections == 10
        assert model.roi_align.levels == ("P4",)


def test_a_moved_box_is_not_as_then():
    then = DETECTIONS["other_parts"]
    found = {name: np.array(value) for name, value in then.items()}
    assert_as_then(found, then)
    for changed in ("boxes", "scores", "labels"):
        moved = {**found, changed: found[changed] + 1}
        with pytest.raises(AssertionError):
            assert_as_then(moved, then)
    with pytest.raises(AssertionError):
        assert_as_then({name: value[:0] for name, value in found.items()}, then)
