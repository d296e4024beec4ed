"""The whole detector with FaPN equals FaPN's, stage by stage, on two photographs."""

import functools

import numpy as np
import pytest
from keras import ops
from on_backend import compiled
from parity.goldens import ONE_IMAGE, SLOW_ON_JAX, Golden, assert_same_boxes

import keras_fpn
from keras_fpn.levels import ordered_names
from keras_fpn.models.compiled import compiled_function

# Last run on JAX: 2026-11-29, passed.
pytestmark = [pytest.mark.parity, *SLOW_ON_JAX]

PRESET = "faster_rcnn_resnet50_fapn_detectron2_1x"
PIXELS = 0.1  # within which boxes agree


class Spy:
    """Notes what layers return, in their own calls, while a graph is made of them.

    Args:
        layers: dict of name -> layer.
    """

    def __init__(self, layers):
        self.returned = {}
        for name, layer in layers.items():
            layer.call = self._noting(name, layer.call)

    def _noting(self, name, call):
        @functools.wraps(call)
        def noted(*args, **kwargs):
            self.returned[name] = call(*args, **kwargs)
            return self.returned[name]

        return noted


class Run:
    """The model on one photograph, and what was recorded."""

    def __init__(self, model, function, golden, image):
        self.model, self.golden, self.image = model, golden, image
        self.photo = np.load(golden.folder / "images_432x720.npz")[
            f"{image}/pixels_rgb"
        ]
        inputs, _ = model.preprocessing.prepare([self.photo], 432, 720)
        self.stages, self.noted = function(inputs)

    def recorded(self, stage):
        return self.golden[f"{self.image}/{stage}"]

    def assert_levels(self, stage, name, first):
        """Compares the maps of a stage, numbered from `first`."""
        maps = self.stages[stage]
        for number, level in enumerate(ordered_names(maps), start=first):
            self.golden.assert_stage(maps[level], f"{self.image}/{name}/{number}")


@pytest.fixture(scope="module")
def detector(detectron2_folder):
    """Function of an image's name -> `Run`."""
    golden = Golden(detectron2_folder, "fapn_faster_rcnn_R_50")
    model = keras_fpn.from_preset(PRESET, load_weights=False)
    keras_fpn.weights.load_detectron2(model, golden.tensors())
    layers = {}
    for name, merge in model.neck.merge.items():  # C2, C3, C4
        layers[f"aligned/{name[1:]}"] = merge
        layers[f"offset_mask/{name[1:]}"] = merge.deform.predict_points
    spy = Spy(layers)

    def stages_and_noted(inputs):
        return model.trunk(inputs, training=False), spy.returned

    function = compiled_function(model.trunk, stages_and_noted)
    return functools.cache(lambda image: Run(model, function, golden, image))


# It has the scope of a test: pytest would build the detector again for the other image.
@pytest.fixture(params=ONE_IMAGE)
def run(request, detector):
    return detector(request.param)


def test_bottom_up_maps_are_equal(run):
    run.assert_levels("bottom_up", "C", first=2)


def test_offsets_and_aligned_maps_are_equal(run):
    assert len(run.noted) == 2 * 3
    for name, value in run.noted.items():
        run.golden.assert_stage(value, f"{run.image}/{name}")


def test_pyramid_maps_are_equal(run):
    run.assert_levels("rpn_pyramid", "P", first=2)


def test_rpn_outputs_are_equal(run):
    run.assert_levels("objectness", "rpn_logits", first=0)
    run.assert_levels("deltas", "rpn_deltas", first=0)


def test_proposals_are_the_same_boxes(run):
    rois, scores = (np.asarray(run.stages[k])[0] for k in ("rois", "roi_scores"))
    logits = run.recorded("proposals_logits")
    probabilities = ops.convert_to_numpy(ops.sigmoid(logits))
    pairs = scores, probabilities
    assert_same_boxes(rois, run.recorded("proposals"), PIXELS, scores=pairs)


def test_heads_on_the_recorded_proposals_are_equal(run):
    model, proposals = run.model, run.recorded("proposals")[None]
    features = compiled(model.roi_align, run.stages["pyramid"], proposals)
    run.golden.assert_stage(features, f"{run.image}/roi_features", 5e-3)
    logits, deltas = model.box_predictor(model.box_head(features))
    run.golden.assert_stage(logits, f"{run.image}/class_logits", 5e-3)
    run.golden.assert_stage(deltas, f"{run.image}/box_deltas", 5e-3)


def test_detections_are_the_same_boxes(run):
    [found] = run.model.detect(run.photo, min_size=432, max_size=720)
    boxes, scores, labels = (
        run.recorded(f"detections/{name}") for name in ("boxes", "scores", "labels")
    )
    assert len(scores) == len(found["scores"])
    assert_same_boxes(
        found["boxes"],
        boxes,
        PIXELS,
        (found["scores"], scores),
        (found["labels"], labels),
    )
