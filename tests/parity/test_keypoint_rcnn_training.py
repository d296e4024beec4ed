"""Losses and gradients of Keypoint R-CNN equal torchvision's and detectron2's.

Gradients are compared on the recorded proposals, as those of Faster R-CNN are.
"""

import dataclasses

import keras
import numpy as np
import parity.test_detectron2_training as detectron2
import parity.test_faster_rcnn_training as torchvision
import pytest
from parity.goldens import (
    Golden,
    assert_same_norms,
    slow_on_jax,
    step_on_recorded_proposals,
)

from keras_fpn.models.keypoint_branch import heat_map_cells
from keras_fpn.sampler import Sample
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.torchvision import torchvision_slots

pytestmark = pytest.mark.parity

# All RoIs take part, as in the recordings. At most so many are positives, since heat
# maps are predicted for all of these slots; the recordings have up to 30.
EVERY_ROI = Sample(4096, 64 / 4096)
TOLERANCE, MEDIAN = 5e-3, 2.5e-3  # of gradient norms


class WithKeypoints:
    """What a training step of Keypoint R-CNN has beside that of Faster R-CNN."""

    def add_keypoints(self, keypoints):
        """Adds targets, list of float (G, J, 3), and lets all RoIs take part."""
        places = self.targets["labels"].shape
        padded = np.zeros((*places, *keypoints[0].shape[1:]), "float32")
        for rows, given in zip(padded, keypoints, strict=True):
            rows[: len(given)] = given
        self.targets["keypoints"] = padded
        parts = self.model.parts
        box = dataclasses.replace(parts.box, roi_sample=EVERY_ROI)
        self.model.parts = dataclasses.replace(parts, box=box)


class TorchvisionRun(WithKeypoints, torchvision.Run):
    slots = staticmethod(torchvision_slots)
    zero = "roi_heads.keypoint_predictor.kps_score_lowres.bias"
    losses_there = torchvision.LOSSES
    assert_same_proposals = staticmethod(
        torchvision.test_training_proposals_are_the_same_boxes
    )

    def __init__(self, golden):
        preset = "keypoint_rcnn_resnet50_fpn_coco"
        super().__init__("keypointrcnn_resnet50_fpn", golden, preset)
        keypoints = []
        for n, (photo, size) in enumerate(zip(self.photos, self.resized, strict=True)):
            scale = size[1] / photo.shape[1], size[0] / photo.shape[0], 1
            keypoints.append(golden[f"train/image{n}/keypoints"] * np.float32(scale))
        self.add_keypoints(keypoints)


class Detectron2Run(WithKeypoints, detectron2.Run):
    slots = staticmethod(detectron2_slots)
    zero = "roi_heads.keypoint_head.score_lowres.bias"
    losses_there = detectron2.LOSSES
    assert_same_proposals = staticmethod(
        detectron2.test_training_proposals_are_the_same_boxes
    )

    def __init__(self, golden):
        super().__init__("keypoint_rcnn_resnet50_fpn_detectron2_3x", golden)
        self.add_keypoints([golden[f"train/image{n}/keypoints"] for n in range(2)])


def assert_same_step(run):
    step = step_on_recorded_proposals(
        run.model, run.losses, run.inputs, run.slots(run.model)
    )
    run.assert_same_proposals(run, step)
    losses, norms, _ = step
    assert sorted(losses) == sorted(run.model.loss_names)  # JAX sorts keys
    there = {**run.losses_there, "keypoint_loss": "loss_keypoint"}
    for name, loss in losses.items():
        wanted = float(run.golden[f"train/loss/{there[name]}"])
        assert loss == pytest.approx(wanted, rel=1e-4), name
    # All cells of a map share this bias, so its gradient is 0 but for rounding.
    assert norms.pop(run.zero) < 1e-6
    assert_same_norms(norms, run.golden, TOLERANCE, MEDIAN)


# detectron2's stands for both. Last run on TensorFlow: 2026-11-29, passed.
@pytest.mark.slow
def test_torchvision(parity_folder):
    golden = Golden(parity_folder, "keypointrcnn_resnet50_fpn")
    run = TorchvisionRun(golden)
    assert_same_step(run)


@pytest.fixture(scope="module")
def detectron2_golden(detectron2_folder):
    return Golden(detectron2_folder, "keypoint_rcnn_R_50_FPN")


@slow_on_jax  # Last run there: 2026-11-29, passed in 429 s.
def test_detectron2(detectron2_golden):
    run = Detectron2Run(detectron2_golden)
    assert_same_step(run)


@pytest.mark.parametrize("image", ["image0", "image1"])
def test_detectron2_places_keypoints_in_the_same_cells(detectron2_golden, image):
    recorded = {
        name: detectron2_golden[f"train/{image}/keypoint_head/{name}"]
        for name in ("gt_keypoints", "proposal_boxes", "targets", "valid")
    }
    cells, valid = heat_map_cells(
        recorded["gt_keypoints"][None], recorded["proposal_boxes"][None], 56
    )
    valid = keras.ops.convert_to_numpy(valid)[0]
    np.testing.assert_array_equal(valid, recorded["valid"].astype(bool))
    cells = keras.ops.convert_to_numpy(cells)[0]
    np.testing.assert_array_equal(cells[valid], recorded["targets"][valid])
