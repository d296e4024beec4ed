"""Mask R-CNN, and Cascade Mask R-CNN, equal their references on two photographs.

It shares the stages before the mask head with Faster R-CNN, whose tests compare them;
here all is from one forward pass per photo.
"""

import numpy as np
import pytest
from parity.goldens import ONE_IMAGE, Golden, assert_same_boxes, covered
from parity.masks import (
    CASCADE,
    RECORDED,
    assert_others_are_told_apart,
    assert_same_masks,
    recorded_masks,
)

import keras_fpn
from keras_fpn.levels import ordered_names
from keras_fpn.models.compiled import compiled_function
from keras_fpn.models.results import Frame, joined, of_photo, with_masks

pytestmark = pytest.mark.parity

PIXELS = 0.1  # within which boxes agree
# Preset, recording, and the first of our columns among the recorded logits: torchvision
# has one of the background before them.
MODELS = [
    ("mask_rcnn_resnet50_fpn_coco", "maskrcnn_resnet50_fpn", 1),
    ("mask_rcnn_resnet50_fpn_v2_coco", "maskrcnn_resnet50_fpn_v2", 1),
    ("mask_rcnn_resnet50_fpn_detectron2_1x", "mask_rcnn_R_50_FPN", 0),
    (*CASCADE, 0),
]


class Detector:
    """One model, compiled, with its recording."""

    def __init__(self, preset, reference, first_column, folder):
        self.golden, self.first_column = Golden(folder, reference), first_column
        self.model = keras_fpn.from_preset(preset, load_weights=False)
        load = keras_fpn.weights.load_torchvision
        if "detectron2" in preset:
            load = keras_fpn.weights.load_detectron2
        load(self.model, self.golden.tensors())
        self.run = compiled_function(self.model, self._stages_and_results)

    def _stages_and_results(self, inputs):
        stages = self.model.trunk(inputs, training=False)
        return stages, joined(self.model.results(self.model.parts, stages))

    def photo(self, image):
        if self.first_column:
            return self.golden[f"{image}/pixels"]
        photos = np.load(self.golden.folder / "images_432x720.npz")
        return photos[f"{image}/pixels_rgb"]


class Run:
    """What a model finds in one photograph, and what was recorded."""

    def __init__(self, detector, image):
        self.model, self.golden, self.image = detector.model, detector.golden, image
        self.first_column = detector.first_column
        photo = detector.photo(image)
        sizes = self.golden.sizes()
        inputs, [self.resized] = self.model.preprocessing.prepare([photo], **sizes)
        self.stages, outputs = detector.run(inputs)
        self.size = photo.shape[:2]
        outputs = {name: np.asarray(value) for name, value in outputs.items()}
        crops = of_photo(outputs, 0, Frame(self.resized, self.size))
        self.found = with_masks(crops, self.size, "full", self.model.mask_paste)

    def recorded(self, stage):
        return self.golden[f"{self.image}/{stage}"]

    def assert_stage(self, got, stage, **tolerance):
        self.golden.assert_stage(got, f"{self.image}/{stage}", **tolerance)


def _name(model):
    return model[1]


@pytest.fixture(scope="module", params=covered(MODELS, MODELS, MODELS[-2:], _name))
def detector(request, parity_folder):
    _, _, of_torchvision = request.param
    folder = parity_folder
    if not of_torchvision:
        folder = request.getfixturevalue("detectron2_folder")
    return Detector(*request.param, folder)


@pytest.fixture(scope="module", params=ONE_IMAGE)
def run(request, detector):
    return Run(detector, request.param)


def test_pyramid_maps_are_equal(run):
    maps = run.stages["pyramid"]
    first = 0 if run.first_column else 2
    for number, level in enumerate(ordered_names(maps), start=first):
        run.assert_stage(maps[level], f"P/{number}")


def test_each_stage_of_the_cascade_on_the_recorded_boxes_is_equal(run):
    cascade = getattr(run.model.parts.box, "cascade", ())
    sizes = np.float32([run.resized])
    for number, stage in enumerate(cascade):
        boxes = run.recorded(f"stage{number}/boxes")[None]
        features = run.model.roi_align(run.stages["pyramid"], boxes)
        run.assert_stage(features, f"stage{number}/roi_features", of_deviation=5e-3)
        logits, deltas = stage.predictions(features)
        run.assert_stage(logits, f"stage{number}/class_logits", of_deviation=5e-3)
        run.assert_stage(deltas, f"stage{number}/box_deltas", of_deviation=5e-3)
        if number + 1 < len(cascade):
            refined = np.asarray(stage.refined_boxes(deltas, boxes, sizes))[0]
            wanted = run.recorded(f"stage{number + 1}/boxes")
            np.testing.assert_allclose(refined, wanted, atol=PIXELS)


def test_the_mask_head_on_the_recorded_detections_is_equal(run):
    model = run.model
    if run.first_column:  # torchvision's are in the photo's pixels
        height, width = np.divide(run.resized, run.size)
        boxes = run.recorded("detections/boxes") * [width, height, width, height]
    else:
        boxes = run.recorded("resized_detections/boxes")
    boxes = boxes[None].astype("float32")
    features = model.mask_roi_align(run.stages["pyramid"], boxes)
    if not run.first_column:
        run.assert_stage(features, "mask_roi_features", of_deviation=5e-3)
    logits = model.mask_predictor(model.mask_head(features))
    logits = np.asarray(logits)[0]
    first = run.first_column
    with_background = np.pad(logits, ((0, 0), (0, 0), (0, 0), (first, 0)))
    columns = range(first, first + logits.shape[-1])
    run.assert_stage(with_background, "mask_logits", of_deviation=5e-3, columns=columns)


def test_detections_are_the_same_boxes_with_the_same_masks(run):
    wanted = {
        name: run.recorded(f"detections/{name}")
        for name in ("boxes", "scores", "labels")
    }
    wanted["labels"] = wanted["labels"] - run.first_column
    scores, labels = ((run.found[name], wanted[name]) for name in ("scores", "labels"))
    assert_same_boxes(
        run.found["boxes"], wanted["boxes"], PIXELS, scores=scores, labels=labels
    )
    wanted["masks"] = recorded_masks(run.golden, run.image, run.size)
    assert wanted["masks"].any(axis=(1, 2)).mean() > 0.9
    assert_same_masks(run.found, wanted, PIXELS)
    first = {name: value[:RECORDED] for name, value in wanted.items()}
    assert_others_are_told_apart(first, PIXELS)
