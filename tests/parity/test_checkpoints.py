"""A preset is filled by its download's tensors, all but a predictor that differs."""

import pickle

import numpy as np
import pytest
from parity.goldens import Golden

import keras_fpn
from keras_fpn.models import checkpoints
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.torchvision import torchvision_slots

pytestmark = pytest.mark.parity

PRESET = "faster_rcnn_mobilenet_v3_large_320_fpn_coco"
DETECTRON2 = "faster_rcnn_resnet50_fpn_detectron2_3x"


@pytest.fixture
def downloads(monkeypatch, parity_folder):
    """Checkpoints asked for; each is answered with the recording's weights."""
    tensors = Golden(parity_folder, "fasterrcnn_mobilenet_v3_large_320_fpn").tensors()
    asked = []

    def fetch(checkpoint):
        asked.append(checkpoint.name)
        return checkpoint.name

    monkeypatch.setattr(checkpoints, "fetch", fetch)
    monkeypatch.setattr(checkpoints, "read_torch", lambda path: dict(tensors))
    return asked, tensors


def values(model):
    return {
        slot.key: np.asarray(slot.variable.value) for slot in torchvision_slots(model)
    }


def test_a_preset_holds_the_tensors_of_its_checkpoint(downloads):
    asked, tensors = downloads
    model = keras_fpn.from_preset(PRESET)
    assert asked == [PRESET]
    held = values(model)
    stem = tensors["backbone.body.0.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(held["backbone.body.0.0.weight"], stem)
    bias = tensors["roi_heads.box_predictor.cls_score.bias"]
    np.testing.assert_array_equal(  # the background moves from the front to the back
        held["roi_heads.box_predictor.cls_score.bias"], np.roll(bias, -1)
    )


def test_coco_is_the_builders_own_checkpoint(downloads):
    asked, _ = downloads
    model = keras_fpn.models.faster_rcnn_fpn("mobilenet_v3_large", weights="coco")
    assert asked == ["faster_rcnn_mobilenet_v3_large_fpn_coco"]
    assert model.class_names[16] == "cat"
    assert model.category_ids[16] == 17


def test_other_classes_keep_everything_but_the_predictor(downloads):
    full = values(keras_fpn.from_preset(PRESET))
    with pytest.warns(UserWarning, match="has 90 classes and this model has 2"):
        model = keras_fpn.from_preset(PRESET, class_names=["cat", "dog"])
    mine = values(model)
    for key, value in mine.items():
        if "box_predictor" not in key:
            np.testing.assert_array_equal(value, full[key])
    assert mine["roi_heads.box_predictor.cls_score.bias"].shape == (3,)
    assert (mine["roi_heads.box_predictor.cls_score.bias"] == 0).all()


def test_weights_of_another_backbone_are_refused_by_name(downloads):
    with pytest.raises(ValueError, match=r"'mobilenet_v3_large'; .*'resnet50'"):
        keras_fpn.models.faster_rcnn_fpn("resnet50", weights=PRESET)


def test_weights_of_another_neck_are_refused_by_tensor(downloads):
    neck = keras_fpn.layers.FeaturePyramid(norm="batch", name="neck")
    with pytest.raises(ValueError, match=r"surplus \['backbone.fpn.inner_blocks.0.0.b"):
        keras_fpn.models.faster_rcnn_fpn(weights=PRESET, neck=neck)


@pytest.fixture
def pickled(monkeypatch, detectron2_folder, tmp_path):
    """detectron2's download: the recording's weights in a pickle as it writes them."""
    tensors = Golden(detectron2_folder, "faster_rcnn_R_50_FPN").tensors()
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": tensors, "__author__": "detectron2"}, 2))
    monkeypatch.setattr(checkpoints, "fetch", lambda checkpoint: path)
    return tensors


def test_a_preset_of_detectron2_keeps_all_but_the_predictor_of_other_classes(pickled):
    full = keras_fpn.from_preset(DETECTRON2)
    with pytest.warns(UserWarning, match="has 80 classes and this model has 2"):
        model = keras_fpn.from_preset(DETECTRON2, class_names=["cat", "dog"])
    for slot, other in zip(
        detectron2_slots(full), detectron2_slots(model), strict=True
    ):
        if "box_predictor" not in slot.key:
            value = np.asarray(slot.variable)
            np.testing.assert_array_equal(value, np.asarray(other.variable), slot.key)
    assert model.box_predictor.class_logits.bias.shape == (3,)
    bias = pickled["roi_heads.box_predictor.cls_score.bias"]
    np.testing.assert_array_equal(full.box_predictor.class_logits.bias, bias)


def test_coco_of_a_body_of_msra_is_detectron2s(pickled):
    model = keras_fpn.models.faster_rcnn_fpn("msra_resnet50", weights="coco")
    assert model.class_names[15] == "cat"
    assert model.category_ids[15] == 17
    assert model.preprocessing.resize_rule == "detectron2"
