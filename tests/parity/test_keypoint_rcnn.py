"""Keypoint R-CNN equals torchvision and detectron2, stage by stage, on two photographs.

What it shares with Faster R-CNN is compared by the checks of Faster R-CNN. One photo
stands for both in .ci/run, a different one for each reference.
"""

import keras
import numpy as np
import parity.test_detectron2 as detectron2
import parity.test_faster_rcnn as torchvision
import pytest
from on_backend import compiled
from parity.goldens import Golden, assert_same_boxes

import keras_fpn
from keras_fpn.models.compiled import compiled_call
from keras_fpn.models.results import Frame, of_photo

pytestmark = pytest.mark.parity

SOME = 20  # detections whose keypoints are compared
MATCHED = 0.98  # of the keypoints; others have two peaks of almost the same height
PIXELS = 1.5  # of the photo, a little more than one of a resized heat map
HEADS = 5e-3  # of a stage's deviation, as the recordings' README allows


def loaded(preset, golden, load):
    model = keras_fpn.from_preset(preset, load_weights=False)
    load(model, golden.tensors())
    return model, compiled_call(model.trunk)


@pytest.fixture(scope="module")
def torchvision_model(parity_folder):
    golden = Golden(parity_folder, "keypointrcnn_resnet50_fpn")
    load = keras_fpn.weights.load_torchvision
    return *loaded("keypoint_rcnn_resnet50_fpn_coco", golden, load), golden


@pytest.fixture(scope="module")
def detectron2_model(detectron2_folder):
    golden = Golden(detectron2_folder, "keypoint_rcnn_R_50_FPN")
    load = keras_fpn.weights.load_detectron2
    return *loaded("keypoint_rcnn_resnet50_fpn_detectron2_3x", golden, load), golden


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="the other recording runs on JAX"
)
@pytest.mark.parametrize(
    "image", ["image0", pytest.param("image1", marks=pytest.mark.slow)]
)
def test_torchvision(torchvision_model, image):
    run = torchvision.Run(*torchvision_model, image, 0.1)
    torchvision.test_photo_is_resized_and_padded_alike(run)
    torchvision.test_bottom_up_maps_are_equal(run)
    torchvision.test_pyramid_maps_are_equal(run)
    torchvision.test_rpn_outputs_are_equal(run)
    torchvision.test_proposals_are_the_same_boxes(run)
    torchvision.test_heads_on_the_recorded_proposals_are_equal(run)
    recorded = {
        name: run.golden[f"{image}/detections/{name}"]
        for name in ("boxes", "scores", "labels", "keypoints", "keypoints_scores")
    }
    assert_found_boxes(run, run.resized[0], recorded, first_label=1)
    photo, resized = np.float32(run.photo.shape[:2]), np.float32(run.resized[0])
    boxes = recorded["boxes"] * np.tile((resized / photo)[::-1], 2)
    logits = heat_maps(run, boxes)
    run.golden.assert_stage(logits, f"{image}/keypoint_logits", HEADS)
    tolerance = HEADS * float(run.golden[f"{image}/keypoint_logits/mean_std"][1])
    got = keypoints_in_photo(run, logits, boxes, photo / resized)
    scores = recorded["keypoints_scores"]
    assert_same_keypoints(got, recorded["keypoints"][..., :2], scores, tolerance)


@pytest.mark.parametrize(
    "image", [pytest.param("image0", marks=pytest.mark.slow), "image1"]
)
def test_detectron2(detectron2_model, image):
    model, trunk, golden = detectron2_model
    run = SmallerRun(model, trunk, golden, image)
    assert run.resized == tuple(run.recorded("resized_size"))
    assert run.inputs["images"].shape[1:3] == tuple(run.recorded("input_shape"))
    detectron2.test_bottom_up_maps_are_equal(run)
    detectron2.test_pyramid_maps_are_equal(run)
    detectron2.test_rpn_outputs_are_equal(run)
    detectron2.test_proposals_are_the_same_boxes(run)
    detectron2.test_heads_on_the_recorded_proposals_are_equal(run)
    recorded = {
        name: run.recorded(f"detections/{name}")
        for name in ("boxes", "scores", "labels", "keypoints")
    }
    assert_found_boxes(run, run.resized, recorded, first_label=0)
    boxes = run.recorded("resized_detections/boxes")
    logits = heat_maps(run, boxes, "keypoint_roi_features", "keypoint_logits_low")
    golden.assert_stage(logits, f"{image}/keypoint_logits", HEADS)
    photo, resized = np.float32(run.photo.shape[:2]), np.float32(run.resized)
    got = keypoints_in_photo(run, logits, boxes, photo / resized)
    wanted = recorded["keypoints"]
    assert_same_keypoints(got, wanted[..., :2], wanted[..., 2], 1e-3)


class SmallerRun(detectron2.Run):
    """A photograph at the recording's size, smaller than the preset's."""

    def __init__(self, model, trunk, golden, image):
        self.model, self.golden, self.image = model, golden, image
        photos = np.load(golden.folder / "images_432x720.npz")
        self.photo = photos[f"{image}/pixels_rgb"]
        prepared = model.preprocessing.prepare([self.photo], min_size=432, max_size=720)
        self.inputs, [self.resized] = prepared
        self.stages = trunk(self.inputs)


def assert_found_boxes(run, resized, recorded, first_label):
    """Compares the boxes of the stages, in the photo."""
    found = compiled(run.model.parts.box.outputs, run.stages)
    found = of_photo(found, 0, Frame(resized, run.photo.shape[:2]))
    assert_same_boxes(
        found["boxes"],
        recorded["boxes"],
        0.1,
        scores=(found["scores"], recorded["scores"]),
        labels=(found["labels"] + first_label, recorded["labels"]),
    )


def heat_maps(run, boxes, features_name=None, low_name=None):
    """Returns the heat maps of boxes, and compares the stages before, if recorded."""
    model, image = run.model, run.image
    rois = boxes[None].astype("float32")
    features = model.keypoint_roi_align(run.stages["pyramid"], rois)
    hidden = model.keypoint_head(features)
    if features_name:
        run.golden.assert_stage(features, f"{image}/{features_name}", HEADS)
        low = model.keypoint_predictor.upsample(hidden[0])
        run.golden.assert_stage(low, f"{image}/{low_name}", HEADS)
    return np.asarray(model.keypoint_predictor(hidden))


def keypoints_in_photo(run, logits, boxes, scale):
    """Returns the keypoints of the first boxes, in the photo.

    The maps of random weights are noise with many peaks, which take long.
    """
    count = np.array([SOME], "int32")
    rows = logits[:, :SOME], boxes[None, :SOME].astype("float32"), count
    return compiled(run.model.keypoint_peaks, *rows)[0] * np.append(scale[::-1], 1)


def assert_same_keypoints(got, points, scores, tolerance):
    """Asserts that scores are equal and nearly all places are.

    Args:
        got: float (SOME, J, 3).
        points, scores: float (n, J, 2) and (n, J), the recorded ones.
        tolerance: float, of scores.
    """
    np.testing.assert_allclose(got[..., 2], scores[:SOME], rtol=1e-2, atol=tolerance)
    far = np.abs(got[..., :2] - points[:SOME]).max(axis=-1)
    assert (far <= PIXELS).mean() >= MATCHED
