"""One-stage detectors equal torchvision and detectron2, stage by stage."""

import numpy as np
import pytest
from parity.goldens import ONE_IMAGE, Golden, assert_same_boxes, covered
from parity.one_stage import DETECTRON2, MODELS, loaded

from keras_fpn.levels import ordered_names
from keras_fpn.models.compiled import compiled_function
from keras_fpn.models.results import Frame, of_photo

pytestmark = pytest.mark.parity

PIXELS = 0.1  # within which boxes agree


class Run:
    """One model on one photograph: ours, and what was recorded."""

    def __init__(self, model, compute, golden, image):
        self.golden, self.image = golden, image
        self.of_detectron2 = golden.model in DETECTRON2
        self.photo = self._photo()
        self.inputs, [self.resized] = model.preprocessing.prepare([self.photo])
        self.stages, outputs = compute(self.inputs)
        outputs = {name: np.asarray(value) for name, value in outputs.items()}
        frame = Frame(self.resized, self.photo.shape[:2])
        self.found = of_photo(outputs, 0, frame)

    def _photo(self):
        if not self.of_detectron2:
            return self.recorded("pixels")
        photos = np.load(self.golden.folder / "images_432x720.npz")
        return photos[f"{self.image}/pixels_rgb"]

    def recorded(self, stage):
        return self.golden[f"{self.image}/{stage}"]

    def levels(self, stage):
        """Returns the maps or rows of a stage from the finest to the coarsest level."""
        maps = self.stages[stage]
        return [maps[name] for name in ordered_names(maps)]

    def assert_stages(self, got, names):
        for level, name in zip(got, names, strict=True):
            self.golden.assert_stage(level, f"{self.image}/{name}")


ON_JAX = ["fcos_resnet50_fpn"]  # RetinaNet passed there on 2026-11-29


@pytest.fixture(scope="module", params=covered(MODELS, MODELS, ON_JAX))
def detector(request, parity_folder, detectron2_folder):
    reference = request.param
    of_detectron2 = reference in DETECTRON2
    golden = Golden(detectron2_folder if of_detectron2 else parity_folder, reference)
    model = loaded(MODELS[reference], golden)

    def stages_and_results(inputs):  # one pass through the model for both
        stages = model.trunk(inputs, training=False)
        return stages, model.results(model.parts, stages)

    return model, compiled_function(model, stages_and_results), golden


@pytest.fixture(scope="module", params=ONE_IMAGE)
def run(request, detector):
    return Run(*detector, request.param)


def test_photo_is_resized_and_padded_alike(run):
    assert run.resized == tuple(run.recorded("resized_size"))
    assert run.inputs["images"].shape[1:3] == tuple(run.recorded("input_shape"))


def test_bottom_up_maps_are_equal(run):
    first = 3 if run.of_detectron2 else 0
    run.assert_stages(run.levels("bottom_up"), [f"C/{first + n}" for n in range(3)])


def test_pyramid_maps_are_equal(run):
    names = [3, 4, 5, 6, 7] if run.of_detectron2 else [0, 1, 2, "p6", "p7"]
    run.assert_stages(run.levels("dense_pyramid"), [f"P/{name}" for name in names])


def test_predictions_are_equal(run):
    stages = {"logits": "cls_logits", "deltas": "bbox_regression"}
    if run.of_detectron2:
        stages = {"logits": "retina_logits", "deltas": "retina_deltas"}
    if "centerness" in run.stages:
        stages["centerness"] = "bbox_ctrness"
    for ours, theirs in stages.items():
        levels = run.levels(ours)
        if run.of_detectron2:
            run.assert_stages(levels, [f"{theirs}/{n}" for n in range(len(levels))])
        else:
            rows = np.concatenate([np.asarray(level) for level in levels], axis=1)
            run.assert_stages([rows], [f"retina/{theirs}"])


def test_detections_are_the_same_boxes(run):
    boxes, scores, labels = (
        (run.found[name], run.recorded(f"detections/{name}"))
        for name in ("boxes", "scores", "labels")
    )
    # Labels of torchvision are COCO's ids; so are ours, with a column for 0.
    assert len(boxes[0]) == len(boxes[1])
    assert_same_boxes(*boxes, PIXELS, scores=scores, labels=labels)
