"""Rules of masks alone equal the recorded ones, without a model."""

import numpy as np
import pytest
from on_backend import outputs_of
from parity.goldens import Golden
from parity.masks import (
    assert_others_are_told_apart,
    mask_targets,
    recorded_masks,
    unpacked,
)

from keras_fpn.models import ExactPaste, MaskTargets
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.models.pasted_masks import full_masks

pytestmark = pytest.mark.parity

NEAR_TIE = 1e-5  # of the threshold


@pytest.fixture(scope="module")
def golden(detectron2_folder):
    return Golden(detectron2_folder, "mask_rcnn_R_50_FPN")


@pytest.mark.parametrize("image", ["image0", "image1"])
def test_probabilities_are_pasted_to_the_same_pixels(golden, image):
    probabilities = golden[f"{image}/mask_probabilities_first20"]
    boxes = golden[f"{image}/detections/boxes"][:20]
    size = tuple(int(side) for side in golden[f"{image}/original_size"])
    wanted = recorded_masks(golden, image, size)
    limits = [
        full_masks(probabilities, boxes, size, ExactPaste(0.5 + tie))
        for tie in (NEAR_TIE, -NEAR_TIE)
    ]
    assert (limits[0] != limits[1]).sum() < 20  # near ties
    # Only pixels on the same side of both limits are compared.
    differing = (limits[0] & ~wanted) | (~limits[1] & wanted)
    assert differing.sum(axis=(1, 2)).max() <= 1
    assert wanted.any(axis=(1, 2)).all()
    labels = golden[f"{image}/detections/labels"][:20]
    assert_others_are_told_apart(
        {"boxes": boxes, "labels": labels, "masks": wanted}, pixels=0.1
    )


@pytest.mark.parametrize("image", ["image0", "image1"])
def test_targets_within_rois_are_the_same_cells(golden, image):
    head = f"train/{image}/mask_head"
    rois = golden[f"{head}/proposal_boxes"][None]
    boxes = golden[f"train/{image}/boxes"].astype("float32")
    height, width = (int(side) for side in golden_size(golden, image))
    masks = unpacked(golden[f"train/{image}/masks_packed"], (8, height, width))
    own = golden[f"{head}/gt_boxes"]
    matches = np.abs(own[:, None] - boxes[None]).max(axis=-1).argmin(axis=1)
    targets = {"boxes": boxes[None], "labels": np.zeros((1, 8), "int32")}
    targets |= mask_targets([masks], boxes[None])
    truth = ground_truth(targets, needed=tuple(targets))
    make = MaskTargets(aligned=True, threshold=0.5)
    sizes = np.array([[height, width]], "float32")
    run = lambda rois, matches: make(truth, rois, matches, sizes, 28)  # noqa: E731
    got = outputs_of(run, rois, matches[None].astype("int32"))[0]
    wanted = unpacked(golden[f"{head}/targets_bitmask_packed"], got.shape)
    assert 0.1 < wanted.mean() < 0.9
    assert (got != wanted).sum() <= 2  # ties
    soft = MaskTargets(aligned=False, threshold=0.5)
    run = lambda rois, matches: soft(truth, rois, matches, sizes, 28)  # noqa: E731
    other = outputs_of(run, rois, matches[None].astype("int32"))[0]
    assert (other != wanted).sum() > 100  # half a pixel aside


def golden_size(golden, image):
    """(h, w) of the training input, of which only the bits of the masks tell."""
    photos = np.load(golden.folder / "images_432x720.npz")
    return photos[f"{image}/resized_bgr"].shape[:2]
