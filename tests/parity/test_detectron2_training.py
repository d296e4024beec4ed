"""Losses and gradients of detectron2's detectors equal it, parameter by parameter.

Gradients are compared on the recorded proposals, since one proposal more or less
moves them.
"""

import dataclasses

import keras
import numpy as np
import pytest
from parity.goldens import (
    Golden,
    assert_same_boxes,
    assert_same_norms,
    padded_boxes,
    step_on_recorded_proposals,
)
from parity.masks import CASCADE, SLOTS, mask_targets, unpacked
from parity.test_detectron2 import FASTER_RCNN, PIXELS, RPN

import keras_fpn
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.sampler import FullSample, Sample
from keras_fpn.weights.detectron2 import detectron2_slots

pytestmark = pytest.mark.parity

# Recorded with torchvision's operator. Its gradient of offsets differs from FaPN's and
# ours only at points at exactly -1. None of the 3,556,224 points here is: the nearest
# is 6e-6 away.
FAPN = ("faster_rcnn_resnet50_fapn_detectron2_1x", "fapn_faster_rcnn_R_50")
MASK_RCNN = ("mask_rcnn_resnet50_fpn_detectron2_1x", "mask_rcnn_R_50_FPN")
PANOPTIC = ("panoptic_resnet50_fpn_detectron2_1x", "panoptic_fpn_R_50")
LOSSES = {
    "objectness_loss": "loss_rpn_cls",
    "rpn_box_loss": "loss_rpn_loc",
    "class_loss": "loss_cls",
    "box_loss": "loss_box_reg",
    "mask_loss": "loss_mask",
    "semantic_loss": "loss_sem_seg",
    **{f"class_loss_{n}": f"loss_cls_stage{n - 1}" for n in (1, 2, 3)},
    **{f"box_loss_{n}": f"loss_box_reg_stage{n - 1}" for n in (1, 2, 3)},
}
# The RPN alone has few positives: noise of 2e-5 (of 255) on its pixels moves the norms
# of its first layers by up to 4e-3, and so does another CPU (docs/decisions.md).
GRADIENT_TOLERANCE = {RPN[1]: 1e-2}  # elsewhere 5e-3
RECORDINGS = (FASTER_RCNN, RPN, FAPN, MASK_RCNN, CASCADE, PANOPTIC)
# The recording kept every labelled anchor and proposal: nothing random.
EVERY_ANCHOR = FullSample(2**18, 0.5)
EVERY_ROI = Sample(10**7, SLOTS / 10**7)
SIZES = {"min_size": 432, "max_size": 720}


class Run:
    """One training step of ours, with everything it is compared with."""

    def __init__(self, preset, golden):
        self.golden = golden
        model = keras_fpn.from_preset(preset, load_weights=False)
        keras_fpn.weights.load_detectron2(model, golden.tensors())
        self.model, parts = model, model.parts
        region = dataclasses.replace(parts.region, rpn_sample=EVERY_ANCHOR)
        parts = dataclasses.replace(parts, region=region)
        if hasattr(parts, "box"):
            box = dataclasses.replace(parts.box, roi_sample=EVERY_ROI)
            parts = dataclasses.replace(parts, box=box)
        model.parts = parts
        images = ("image0", "image1")
        photos = np.load(golden.folder / "images_432x720.npz")
        self.inputs, resized = model.preprocessing.prepare(
            [photos[f"{image}/pixels_rgb"] for image in images], **SIZES
        )
        self.proposals = [golden[f"train/{image}/proposals"] for image in images]
        boxes, labels = (
            np.stack([golden[f"train/{image}/{name}"] for image in images])
            for name in ("boxes", "labels")
        )
        if model.class_agnostic:
            labels = np.zeros_like(labels)
        self.targets = {"boxes": boxes.astype("float32"), "labels": labels}
        if "masks" in model.targets:
            masks = [
                unpacked(golden[f"train/{image}/masks_packed"], (len(own), *size))
                for image, own, size in zip(images, labels, resized, strict=True)
            ]
            self.targets |= mask_targets(masks, self.targets["boxes"])
        if "semantic_map" in model.targets:
            maps = np.full(self.inputs["images"].shape[:3], 255, "uint8")
            for labels, image, (height, width) in zip(
                maps, images, resized, strict=True
            ):
                labels[:height, :width] = golden[f"train/{image}/sem_seg"]
            self.targets["semantic_map"] = maps

    def stages(self, inputs):
        """Returns the trunk's outputs, with as many proposals as in training."""
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


def _recording(recording):
    # Mask R-CNN has all losses of Faster R-CNN and the RPN, and FaPN's modules have
    # recorded gradients of their own: last run of these three: 2026-11-29, passed. JAX
    # takes minutes to compile each of these steps, so there Mask R-CNN stands for all.
    # FaPN passed there on 2026-11-29; the RPN, the cascade and Panoptic FPN have not
    # run there yet.
    jax = keras.backend.backend() == "jax"
    slow = recording in (FASTER_RCNN, RPN, FAPN) or (jax and recording is not MASK_RCNN)
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(recording, marks=marks, id=recording[1])


@pytest.fixture(scope="module", params=map(_recording, RECORDINGS))
def run(request, detectron2_folder):
    preset, reference = request.param
    return Run(preset, Golden(detectron2_folder, reference))


@pytest.fixture(scope="module")
def step(run):
    """Losses, gradient norms by detectron2's name of the parameter, and proposals."""
    slots = detectron2_slots(run.model)
    return step_on_recorded_proposals(run.model, run.losses, run.inputs, slots)


def test_training_proposals_are_the_same_boxes(run, step):
    _, _, (rois, scores) = step
    for number, wanted in enumerate(run.proposals):
        found = rois[number][scores[number] > 0]
        assert len(found) == len(wanted)
        assert_same_boxes(found, wanted, PIXELS)


def test_losses_are_equal(run, step):
    losses, _, _ = step
    for name, loss in losses.items():
        wanted = float(run.golden[f"train/loss/{LOSSES[name]}"])
        assert loss == pytest.approx(wanted, rel=1e-4), name
    assert len(losses) == len(run.model.loss_names)


def test_every_parameters_gradient_norm_is_equal(run, step):
    _, norms, _ = step
    # A layer that Keras does not track would have none, and not be missed.
    prefix = "train/grad_norm/"
    recorded = [name for name in run.golden.stages.files if name.startswith(prefix)]
    assert {prefix + name for name in norms} == set(recorded)
    tolerance = GRADIENT_TOLERANCE.get(run.golden.model, 5e-3)
    assert_same_norms(norms, run.golden, tolerance, median=2.5e-3)
