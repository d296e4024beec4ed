"""The whole detector with FaPN equals FaPN's, stage by stage, on two photographs."""

import numpy as np
import pytest
from parity.goldens import Golden, assert_same_boxes

import keras_fpn
from keras_fpn.levels import ordered_names
from keras_fpn.models.compiled import compiled_call

pytestmark = pytest.mark.parity

PRESET = "faster_rcnn_resnet50_fapn_detectron2_1x"


@pytest.fixture(scope="module")
def detector(detectron2_folder):
    golden = Golden(detectron2_folder, "fapn_faster_rcnn_R_50")
    model = keras_fpn.from_preset(PRESET, load_weights=False)
    keras_fpn.weights.load_detectron2(model, golden.tensors())
    return model, golden


@pytest.mark.parametrize("image", ["image0", "image1"])
def test_pyramid_proposals_and_detections_are_equal(detector, image):
    model, golden = detector
    photo = np.load(golden.folder / "images_432x720.npz")[f"{image}/pixels_rgb"]
    inputs, _ = model.preprocessing.prepare([photo], 432, 720)
    stages = compiled_call(model.trunk)(inputs)
    for name in ordered_names(stages["rpn_pyramid"]):
        golden.assert_stage(stages["rpn_pyramid"][name], f"{image}/P/{name[1:]}")
    proposals = np.asarray(stages["rois"])[0]
    assert_same_boxes(proposals, golden[f"{image}/proposals"], 0.1)
    [found] = model.detect(photo, min_size=432, max_size=720)
    wanted = {
        key: golden[f"{image}/detections/{key}"]
        for key in ("boxes", "scores", "labels")
    }
    assert len(wanted["scores"]) == len(found["scores"])
    assert_same_boxes(
        found["boxes"],
        wanted["boxes"],
        0.1,
        (found["scores"], wanted["scores"]),
        (found["labels"], wanted["labels"]),
    )
