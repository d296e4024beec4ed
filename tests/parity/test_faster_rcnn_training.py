"""Losses and gradients of both R-CNNs equal torchvision's, parameter by parameter.

Gradients are compared on the recorded proposals, since one proposal more or less
moves them. Their tolerance is the recordings', 5e-3, but for ResNet-50 v2, whose
gradients are less stable than that: noise of 2e-5 (of 255) on its pixels moves the
norms by up to 1e-2 (docs/decisions.md has the measurement). There 1e-2 is allowed,
and everywhere the median must be within 2.5e-3.
"""

import dataclasses

import keras
import numpy as np
import pytest
from parity.goldens import (
    MODELS,
    Golden,
    assert_same_boxes,
    assert_same_norms,
    padded_boxes,
    step_on_recorded_proposals,
)
from parity.masks import SLOTS, mask_targets, unpacked

import keras_fpn
from keras_fpn.backbones import mobilenet_v3_large
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.sampler import Sample
from keras_fpn.weights.torchvision import torchvision_slots

pytestmark = pytest.mark.parity

LOSSES = {
    "objectness_loss": "loss_objectness",
    "rpn_box_loss": "loss_rpn_box_reg",
    "class_loss": "loss_classifier",
    "box_loss": "loss_box_reg",
    "mask_loss": "loss_mask",
}
GRADIENT_TOLERANCE = {
    "fasterrcnn_resnet50_fpn_v2": 1e-2,
    "maskrcnn_resnet50_fpn_v2": 1e-2,
}  # elsewhere 5e-3
MEDIAN_TOLERANCE = 2.5e-3
# The recording kept every labelled anchor and proposal: nothing random.
EVERYTHING = 10**7
PLACES = 8  # padded ground truth per image

# Recordings with their preset and the tolerance of their boxes in pixels. The last one
# has objects of nearly the whole photo, whose RoIs read the coarsest level.
RECORDINGS = {
    **{reference: (preset, pixels) for preset, (reference, pixels) in MODELS.items()},
    "fasterrcnn_resnet50_fpn_large": ("faster_rcnn_resnet50_fpn_coco", 0.1),
    "maskrcnn_resnet50_fpn": ("mask_rcnn_resnet50_fpn_coco", 0.1),
    "maskrcnn_resnet50_fpn_v2": ("mask_rcnn_resnet50_fpn_v2_coco", 0.1),
}

# The proposals stored with it are not those that its gradients came from: torchvision,
# run again with its weights, gives every recorded loss and gradient to six digits and
# the proposals of the other recording, which has the same weights and photos.
PROPOSALS = {"fasterrcnn_resnet50_fpn_large": "fasterrcnn_resnet50_fpn"}


class Run:
    """One training step of ours, with everything it is compared with."""

    def __init__(self, reference, golden, preset=None):
        preset, self.pixels = RECORDINGS.get(reference, (preset, 0.1))
        self.reference, self.golden = reference, golden
        others = PROPOSALS.get(reference)
        recording = Golden(golden.folder, others) if others else golden
        self.proposals = [recording[f"train/image{n}/proposals"] for n in range(2)]
        # The mobile recording trained the scale and shift of its norms.
        mobile = "mobilenet" in preset
        backbone = {"backbone": mobilenet_v3_large(norm="batch")} if mobile else {}
        model = keras_fpn.from_preset(preset, load_weights=False, **backbone)
        keras_fpn.weights.load_torchvision(model, golden.tensors())
        self.model = model
        region = dataclasses.replace(
            model.parts.region, rpn_sample=Sample(EVERYTHING, 0.5)
        )
        masked = "masks" in model.targets
        positives = SLOTS / EVERYTHING if masked else 0.5
        every_roi = Sample(EVERYTHING, positives)
        box = dataclasses.replace(model.parts.box, roi_sample=every_roi)
        model.parts = dataclasses.replace(model.parts, region=region, box=box)
        self.photos = photos = [golden[f"image{n}/pixels"] for n in range(2)]
        self.inputs, self.resized = model.preprocessing.prepare(photos)
        self.targets = {
            "boxes": np.zeros((2, PLACES, 4), "float32"),
            "labels": np.full((2, PLACES), -1),
        }
        for number, (photo, size) in enumerate(zip(photos, self.resized, strict=True)):
            scale = np.array([size[1] / photo.shape[1], size[0] / photo.shape[0]] * 2)
            boxes = golden[f"train/image{number}/boxes"] * scale.astype("float32")
            self.targets["boxes"][number, : len(boxes)] = boxes
            labels = golden[f"train/image{number}/labels"] - 1
            self.targets["labels"][number, : len(labels)] = labels
        if masked:
            masks = [
                self.recorded_masks(n, size) for n, size in enumerate(self.resized)
            ]
            self.targets |= mask_targets(masks, self.targets["boxes"])

    def recorded_masks(self, number, size):
        """Returns the masks of an image, resized as torchvision does: the nearest."""
        photo = self.golden[f"image{number}/pixels"].shape[:2]
        count = len(self.golden[f"train/image{number}/labels"])
        packed = self.golden[f"train/image{number}/masks_packed"]
        rows, columns = (
            (np.arange(new) * np.float32(old / new)).astype(int)
            for new, old in zip(size, photo, strict=True)
        )
        return unpacked(packed, (count, *photo))[:, rows][:, :, columns]

    def stages(self, inputs):
        """Returns the trunk's outputs with the norms' stored statistics.

        The proposals are as many as in training.
        """
        stages = dict(self.model.trunk(inputs, training=False))
        rois, scores = self.model.proposals(
            stages["anchors"],
            stages["objectness"],
            stages["deltas"],
            inputs["image_sizes"],
            training=True,
        )
        return {**stages, "rois": rois, "roi_scores": scores}

    def losses(self, inputs):
        """Returns the losses on the recorded proposals, and our proposals."""
        own = self.stages(inputs)
        stages = {**own, "rois": padded_boxes(self.proposals)}
        truth = ground_truth(self.targets, needed=self.model.targets)
        losses = {
            name: value / count
            for sums, count in self.model.stage_losses(stages, truth, 0, 0, False)
            for name, value in sums.items()
        }
        return losses, (own["rois"], own["roi_scores"])


# Mask R-CNN has all of Faster R-CNN's losses, and the smaller MobileNet norms that are
# trained, as v2 has. Last run of the v2 and of the large MobileNet: 2026-11-29, passed.
COVERED = {
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "maskrcnn_resnet50_fpn_v2",
}


def _recording(reference):
    # JAX takes minutes to compile each of these steps: there detectron2's Mask R-CNN
    # stands for them. Last run there: 2026-11-29, all but those of Mask R-CNN, passed,
    # 62 to 478 s and up to 15 GB for each recording.
    slow = reference in COVERED or keras.backend.backend() == "jax"
    return pytest.param(reference, marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="module", params=map(_recording, RECORDINGS))
def run(request, parity_folder):
    return Run(request.param, Golden(parity_folder, request.param))


@pytest.fixture(scope="module")
def step(run):
    """Losses, gradient norms by torchvision's name of the parameter, and proposals."""
    slots = torchvision_slots(run.model)
    return step_on_recorded_proposals(run.model, run.losses, run.inputs, slots)


def test_training_proposals_are_the_same_boxes(run, step):
    _, _, (rois, scores) = step
    for number in range(2):
        wanted = run.proposals[number]
        assert_same_boxes(rois[number][scores[number] > 0], wanted, run.pixels)


def test_losses_are_equal(run, step):
    losses, _, _ = step
    for name, loss in losses.items():
        wanted = float(run.golden[f"train/loss/{LOSSES[name]}"])
        assert loss == pytest.approx(wanted, rel=1e-4), name
    assert len(losses) == len(run.model.loss_names)


def test_every_parameters_gradient_norm_is_equal(run, step):
    _, norms, _ = step
    tolerance = GRADIENT_TOLERANCE.get(run.reference, 5e-3)
    assert_same_norms(norms, run.golden, tolerance, MEDIAN_TOLERANCE)
