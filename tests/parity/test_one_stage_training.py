"""Losses and gradients of one-stage detectors equal their references'.

All anchors take part in the losses, so there is nothing to feed: they are compared from
pixels to losses, and gradients parameter by parameter.
"""

import keras
import numpy as np
import pytest
from gradients import loss_and_gradients
from parity.goldens import Golden, assert_same_norms, gradient_norms
from parity.one_stage import DETECTRON2, MODELS, loaded

from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.torchvision import torchvision_slots

pytestmark = pytest.mark.parity

IMAGES = ("image0", "image1")
LOSSES = {
    "class_loss": "classification",
    "box_loss": "bbox_regression",
    "centerness_loss": "bbox_ctrness",
}
# The body of Faster R-CNN v2: see `test_faster_rcnn_training`.
GRADIENT_TOLERANCE = {"retinanet_resnet50_fpn_v2": 1e-2}
DETECTRON2_LOSSES = {"class_loss": "loss_cls", "box_loss": "loss_box_reg"}


class Run:
    """One training step of ours, with everything it is compared with."""

    def __init__(self, golden):
        self.golden = golden
        self.of_detectron2 = golden.model in DETECTRON2
        self.model = loaded(MODELS[golden.model], golden)
        if self.of_detectron2:
            photos = np.load(golden.folder / "images_432x720.npz")
            photos = [photos[f"{image}/pixels_rgb"] for image in IMAGES]
            sizes = {"min_size": 432, "max_size": 720}
        else:
            photos = [golden[f"{image}/pixels"] for image in IMAGES]
            sizes = {}
        self.inputs, resized = self.model.preprocessing.prepare(photos, **sizes)
        boxes, labels = (
            np.stack([golden[f"train/{image}/{name}"] for image in IMAGES])
            for name in ("boxes", "labels")
        )
        if not self.of_detectron2:  # there they are in the resized photos' pixels
            scales = [
                np.array([size[1] / photo.shape[1], size[0] / photo.shape[0]] * 2)
                for photo, size in zip(photos, resized, strict=True)
            ]
            boxes = boxes * np.stack(scales).astype("float32")[:, None]
        self.targets = {"boxes": boxes.astype("float32"), "labels": labels}

    def losses(self, inputs):
        """Returns the losses with the norms' stored statistics."""
        stages = self.model.trunk(inputs, training=False)
        truth = ground_truth(self.targets)
        return {
            name: value / count
            for sums, count in self.model.stage_losses(stages, truth, 0, 0, True)
            for name, value in sums.items()
        }


def _recording(reference):
    # v2 differs from the first in its norms, which Mask R-CNN v2 has too: it passed
    # last on 2026-11-29, on TensorFlow, where a step takes 150 s. JAX takes minutes to
    # compile each step. FCOS, with a loss of every kind, passed there on 2026-11-29, in
    # 10 minutes; compiled without optimizations, as .ci/run does, conv1's norm is 1 %
    # off.
    slow = reference == "retinanet_resnet50_fpn_v2"
    slow = slow or keras.backend.backend() == "jax"
    return pytest.param(reference, marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="module", params=map(_recording, MODELS))
def run(request, parity_folder, detectron2_folder):
    reference = request.param
    folder = detectron2_folder if reference in DETECTRON2 else parity_folder
    return Run(Golden(folder, reference))


@pytest.fixture(scope="module")
def step(run):
    """Losses, and gradients by the reference's name of the parameter."""
    slots = (detectron2_slots if run.of_detectron2 else torchvision_slots)(run.model)
    variables = run.model.trainable_variables
    losses, gradients = loss_and_gradients(run.losses, variables, run.inputs)
    return losses, gradient_norms(variables, gradients, slots)


def test_losses_are_equal(run, step):
    losses, _ = step
    names = DETECTRON2_LOSSES if run.of_detectron2 else LOSSES
    for name, loss in losses.items():
        wanted = float(run.golden[f"train/loss/{names[name]}"])
        assert loss == pytest.approx(wanted, rel=1e-4), name
    assert len(losses) == len(run.model.loss_names)


def test_every_parameters_gradient_norm_is_equal(run, step):
    _, norms = step
    tolerance = GRADIENT_TOLERANCE.get(run.golden.model, 5e-3)
    assert_same_norms(norms, run.golden, tolerance, median=2.5e-3)
