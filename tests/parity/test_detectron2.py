"""Detectors of detectron2 equal it, stage by stage, on two photographs."""

import functools

import numpy as np
import pytest
from keras import ops
from on_backend import compiled
from parity.goldens import ONE_IMAGE, SLOW_ON_JAX, Golden, assert_same_boxes

import keras_fpn
from keras_fpn.levels import ordered_names
from keras_fpn.models.compiled import compiled_call

# Mask R-CNN's recording has the same parts. Last run on JAX: 2026-11-29, passed.
pytestmark = [pytest.mark.parity, *SLOW_ON_JAX]

FASTER_RCNN = ("faster_rcnn_resnet50_fpn_detectron2_1x", "faster_rcnn_R_50_FPN")
RPN = ("rpn_resnet50_fpn_detectron2_1x", "rpn_R_50_FPN")
PIXELS = 0.1  # within which boxes agree
WITH_HEADS = pytest.mark.parametrize(
    "detector", [FASTER_RCNN], indirect=True, ids=["faster_rcnn"]
)


class Run:
    """One model on one photograph: ours, and what was recorded."""

    def __init__(self, model, trunk, golden, image):
        self.model, self.golden, self.image = model, golden, image
        photos = np.load(golden.folder / "images_432x720.npz")
        self.photo = photos[f"{image}/pixels_rgb"]
        self.inputs, [self.resized] = model.preprocessing.prepare([self.photo])
        self.stages = trunk(self.inputs)

    def recorded(self, stage):
        return self.golden[f"{self.image}/{stage}"]

    def assert_levels(self, stage, name, first):
        """Compares the maps of a stage, numbered from `first`."""
        maps = self.stages[stage]
        for number, level in enumerate(ordered_names(maps), start=first):
            self.golden.assert_stage(maps[level], f"{self.image}/{name}/{number}")


@pytest.fixture(scope="module", params=[FASTER_RCNN, RPN], ids=["faster_rcnn", "rpn"])
def detector(request, detectron2_folder):
    preset, reference = request.param
    golden = Golden(detectron2_folder, reference)
    model = keras_fpn.from_preset(preset, load_weights=False)
    keras_fpn.weights.load_detectron2(model, golden.tensors())
    trunk = compiled_call(model.trunk)
    return functools.cache(lambda image: Run(model, trunk, golden, image))


# It has the scope of a test: pytest would build a detector again for the other image.
@pytest.fixture(params=ONE_IMAGE)
def run(request, detector):
    return detector(request.param)


def test_photo_is_resized_to_the_same_pixels(run):
    assert run.resized == tuple(run.recorded("resized_size"))
    images = run.inputs["images"]
    assert images.shape[1:3] == tuple(run.recorded("input_shape"))
    height, width = run.resized
    resized = np.load(run.golden.folder / "images_800x1333.npz")
    bgr = resized[f"{run.image}/resized_bgr"]
    np.testing.assert_array_equal(images[0, :height, :width, ::-1], bgr)


def test_bottom_up_maps_are_equal(run):
    run.assert_levels("bottom_up", "C", first=2)


def test_pyramid_maps_are_equal(run):
    run.assert_levels("rpn_pyramid", "P", first=2)


def test_rpn_outputs_are_equal(run):
    run.assert_levels("objectness", "rpn_logits", first=0)
    run.assert_levels("deltas", "rpn_deltas", first=0)


def test_proposals_are_the_same_boxes(run):
    rois, scores = (np.asarray(run.stages[k])[0] for k in ("rois", "roi_scores"))
    wanted = run.recorded("proposals")
    probabilities = ops.convert_to_numpy(ops.sigmoid(run.recorded("proposals_logits")))
    found = scores > 0
    assert found.sum() == len(wanted)
    pairs = scores[found], probabilities
    assert_same_boxes(rois[found], wanted, PIXELS, scores=pairs)


@WITH_HEADS
def test_heads_on_the_recorded_proposals_are_equal(run):
    model = run.model
    proposals = run.recorded("proposals")[None]
    features = compiled(model.roi_align, run.stages["pyramid"], proposals)
    run.golden.assert_stage(features, f"{run.image}/roi_features", 5e-3)
    logits, deltas = model.box_predictor(model.box_head(features))
    run.golden.assert_stage(logits, f"{run.image}/class_logits", 5e-3)
    run.golden.assert_stage(deltas, f"{run.image}/box_deltas", 5e-3)


@WITH_HEADS
def test_detections_in_the_resized_photo_are_the_same_boxes(run):
    found = run.model.found(run.inputs)
    count = int(found["num_detections"][0])
    found = {name: value[0][:count] for name, value in found.items() if value.ndim > 1}
    assert_same_results(found, run, "resized_detections", run.recorded)


def test_detections_in_the_photo_are_the_same_boxes(run):
    [found] = run.model.detect(run.photo)
    assert_same_results(found, run, "detections", run.recorded)


def assert_same_results(found, run, stage, recorded):
    """Compares boxes, scores and labels; proposals have logits and no labels."""
    scores = recorded(f"{stage}/scores")
    labels = ()
    if run.model.class_agnostic:
        scores = ops.convert_to_numpy(ops.sigmoid(scores))
    else:
        labels = found["labels"], recorded(f"{stage}/labels")
    assert len(found["boxes"]) == len(scores)
    assert_same_boxes(
        found["boxes"],
        recorded(f"{stage}/boxes"),
        PIXELS,
        scores=(found["scores"], scores),
        labels=labels,
    )
