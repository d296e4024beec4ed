"""Faster R-CNN equals torchvision, stage by stage, on two photographs."""

import functools

import numpy as np
import pytest
from on_backend import compiled
from parity.goldens import IMAGES, MODELS, Golden, assert_same_boxes, covered

import keras_fpn
from keras_fpn.levels import ordered_names
from keras_fpn.models.compiled import compiled_call

pytestmark = pytest.mark.parity


# Mask R-CNN's recordings cover v2. Last run of the others: 2026-11-29, all passed.
KEPT = ["faster_rcnn_resnet50_fpn_coco", "faster_rcnn_mobilenet_v3_large_320_fpn_coco"]
ON_JAX = KEPT[:1]


class Run:
    """One model on one photograph: ours, and what was recorded."""

    def __init__(self, model, trunk, golden, image, pixels):
        self.model, self.golden, self.image = model, golden, image
        self.pixels = pixels
        self.photo = golden[f"{image}/pixels"]
        self.inputs, self.resized = model.preprocessing.prepare([self.photo])
        self.stages = trunk(self.inputs)

    def levels(self, stage):
        """Yields the maps of a stage from the finest to the coarsest."""
        maps = self.stages[stage]
        return [maps[name] for name in ordered_names(maps)]


@pytest.fixture(scope="module", params=covered(list(MODELS), KEPT, ON_JAX))
def detector(request, parity_folder):
    reference, pixels = MODELS[request.param]
    golden = Golden(parity_folder, reference)
    model = keras_fpn.from_preset(request.param, load_weights=False)
    keras_fpn.weights.load_torchvision(model, golden.tensors())
    trunk = compiled_call(model.trunk)
    return functools.cache(lambda image: Run(model, trunk, golden, image, pixels))


# It has the scope of a test: pytest would build a detector again for the other image.
@pytest.fixture(params=covered(IMAGES, IMAGES, ["image0"]))
def run(request, detector):
    return detector(request.param)


def test_photo_is_resized_and_padded_alike(run):
    resized = run.golden[f"{run.image}/resized_size"]
    padded = run.inputs["images"].shape
    assert run.resized == [tuple(resized)]
    assert padded[1:3] == tuple(run.golden[f"{run.image}/input_shape"])


def test_bottom_up_maps_are_equal(run):
    for number, level in enumerate(run.levels("bottom_up")):
        run.golden.assert_stage(level, f"{run.image}/C/{number}")


def test_pyramid_maps_are_equal(run):
    levels = run.levels("rpn_pyramid")
    for number, level in enumerate(levels):
        name = "pool" if number == len(levels) - 1 else number
        run.golden.assert_stage(level, f"{run.image}/P/{name}")


def test_rpn_outputs_are_equal(run):
    for number, level in enumerate(run.levels("objectness")):
        run.golden.assert_stage(level, f"{run.image}/rpn_logits/{number}")
    for number, level in enumerate(run.levels("deltas")):
        run.golden.assert_stage(level, f"{run.image}/rpn_deltas/{number}")


def test_proposals_are_the_same_boxes(run):
    rois, scores = (np.asarray(run.stages[k])[0] for k in ("rois", "roi_scores"))
    wanted = run.golden[f"{run.image}/proposals"]
    assert_same_boxes(rois[scores > 0], wanted, run.pixels)


def test_heads_on_the_recorded_proposals_are_equal(run):
    model, proposals = run.model, run.golden[f"{run.image}/proposals"][None]
    features = compiled(model.roi_align, run.stages["pyramid"], proposals)
    run.golden.assert_stage(features, f"{run.image}/roi_features", 5e-3)
    logits, deltas = model.box_predictor(model.box_head(features))
    logits, deltas = np.asarray(logits)[0], np.asarray(deltas)[0]
    background_first = np.roll(logits, 1, axis=-1)
    run.golden.assert_stage(background_first, f"{run.image}/class_logits", 5e-3)
    columns = 4 * logits.shape[-1]
    with_background = np.zeros((len(deltas), columns), "float32")
    with_background[:, 4:] = deltas.reshape(len(deltas), -1)
    run.golden.assert_stage(
        with_background, f"{run.image}/box_deltas", 5e-3, columns=range(4, columns)
    )


def test_detections_are_the_same_boxes(run):
    [found] = run.model.detect(run.photo)
    wanted = {
        name: run.golden[f"{run.image}/detections/{name}"]
        for name in ("boxes", "scores", "labels")
    }
    assert_same_boxes(
        found["boxes"],
        wanted["boxes"],
        run.pixels,
        scores=(found["scores"], wanted["scores"]),
        labels=(found["labels"] + 1, wanted["labels"]),  # theirs count the background
    )
