"""Mask R-CNN: its parts, the masks that it finds, and other classes."""

import dataclasses

import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector
from models.tiny_masks import tiny_mask_rcnn
from numpy.testing import assert_allclose, assert_array_equal
from pycocotools import mask as coco_mask
from skimage import data

from keras_fpn.layers import FCNMaskHead, MaskPredictor, PyramidRoIAlign
from keras_fpn.matcher import NEGATIVE, POSITIVE
from keras_fpn.models import (
    ExactPaste,
    MaskBranch,
    MaskRCNN,
    MaskTargets,
    WholePixelPaste,
    fold_batch_norms,
    mask_rcnn_fpn,
)
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.models.pasted_masks import full_masks
from keras_fpn.models.roi_branch import SampledRoIs
from keras_fpn.training.transfer import with_classes

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_mask_rcnn()


def test_the_graph_is_faster_rcnns_with_a_mask_head(model):
    own = [layer.name for layer in model.layers]
    boxes = [layer.name for layer in tiny_detector().layers]
    assert own[: len(boxes)] == boxes
    assert own[len(boxes) :] == [
        "mask_rows",
        "mask_roi_align",
        "mask_head",
        "mask_predictor",
        "mask_detections",
    ]


def test_the_papers_mask_head_is_the_default():
    model = mask_rcnn_fpn(tiny_backbone(), num_classes=5)
    branch = model.parts.mask
    assert (branch.mask_head.num_convs, branch.mask_head.channels) == (4, 256)
    assert branch.mask_roi_align.output_size == 14
    assert branch.mask_predictor.num_classes == 5
    assert (branch.mask_targets, branch.mask_paste) == (
        MaskTargets(),
        WholePixelPaste(),
    )


def test_masks_read_the_levels_that_boxes_read():
    model = tiny_mask_rcnn(roi_align=PyramidRoIAlign(levels=("P2",), name="roi_align"))
    assert model.mask_roi_align.levels == ("P2",)


@pytest.mark.ci
def test_with_the_parts_of_faster_rcnn_its_boxes_are_the_same(model):
    faster = tiny_detector()
    own = type(model.parts)(
        faster.parts.backbone,
        faster.parts.neck,
        faster.parts.region,
        faster.parts.box,
        model.parts.mask,
    )
    masked = MaskRCNN(
        own, faster.preprocessing, faster.class_names, faster.category_ids
    )
    assert masked.box_head is faster.box_head
    [boxes], [found] = faster.detect(PHOTO), masked.detect(PHOTO)
    for name, value in boxes.items():
        assert_array_equal(found[name], value)
    assert len(found["masks"]) == len(boxes["scores"]) > 5


def test_masks_of_a_photo_come_in_its_own_pixels_in_any_form(model):
    [found] = model.detect(PHOTO)
    count = len(found["scores"])
    assert 5 < count <= 20
    assert set(found) == {"boxes", "labels", "scores", "masks"}
    assert all(runs["size"] == [400, 600] for runs in found["masks"])
    [full] = model.detect(PHOTO, masks="full")
    assert full["masks"].shape == (count, 400, 600)
    decoded = np.stack([coco_mask.decode(runs) for runs in found["masks"]])
    assert_array_equal(full["masks"], decoded)
    assert decoded.any(axis=(1, 2)).sum() > 5
    [crops] = model.detect(PHOTO, masks="crops", max_detections=3)
    assert crops["masks"].shape == (3, 28, 28)
    assert_array_equal(crops["mask_windows"], crops["boxes"])
    # A box grows to whole pixels by at most a cell of 1 / 28 and a pixel.
    for mask, box in zip(full["masks"], full["boxes"], strict=True):
        rows, columns = np.nonzero(mask)
        extent = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        margin = np.ptp(box.reshape(2, 2), axis=0).max() / 28 + 2
        assert (extent[:2] >= box[:2] - margin).all()
        assert (extent[2:] <= box[2:] + margin).all()


def test_no_detection_has_no_mask_and_more_may_be_asked_for(model):
    [none] = model.detect(PHOTO, score_threshold=0.999)
    assert none["masks"] == []
    [all_of_them] = model.detect(PHOTO, score_threshold=0.0, max_detections=60)
    assert len(all_of_them["masks"]) == 60


def test_photos_of_a_batch_have_their_own_masks(model):
    small = np.ascontiguousarray(PHOTO[:200, :300])
    [one, other] = model.detect([PHOTO, small], batch_size=2, masks="full")
    assert one["masks"].shape[1:] == (400, 600)
    assert other["masks"].shape[1:] == (200, 300)
    assert other["masks"].any()


def test_the_rule_of_pixels_is_the_models(model):
    [crops], [full] = (model.detect(PHOTO, masks=form) for form in ("crops", "full"))
    for paste in (WholePixelPaste(), WholePixelPaste(0.3), ExactPaste()):
        masks = full_masks(crops["masks"], crops["boxes"], (400, 600), paste)
        same = np.array_equal(masks, full["masks"])
        assert same == (paste == model.mask_paste), paste
    branch = dataclasses.replace(model.parts.mask, mask_paste=ExactPaste(0.3))
    assert MaskBranch.from_config(branch.get_config()).mask_paste == ExactPaste(0.3)


def test_views_of_several_sizes_and_the_mirrored_photo_have_masks(model):
    [found] = model.detect(PHOTO, masks="full", flip=True, scales=(0.7, 1))
    assert found["masks"].shape[1:] == (400, 600)
    assert len(found["masks"]) == len(found["scores"]) > 5
    with pytest.raises(ValueError, match="received merge='weighted_boxes'"):
        model.detect(PHOTO, flip=True, merge="weighted_boxes")


@pytest.mark.ci
def test_a_file_gives_all_but_the_classes(model, tmp_path):
    model.save(tmp_path / "masks.keras")
    with pytest.warns(UserWarning, match="has 3 classes and this model has 2"):
        other = mask_rcnn_fpn(weights=tmp_path / "masks.keras", num_classes=2)
    assert_array_equal(
        other.mask_predictor.upsample.get_weights()[0],
        model.mask_predictor.upsample.get_weights()[0],
    )
    assert other.mask_predictor.mask_logits.kernel.shape[-1] == 2


def test_known_classes_keep_their_masks_and_others_are_new():
    source = tiny_mask_rcnn(class_names=["a", "b", "c"])
    model = with_classes(source, ["new", "c"], [7, 8])
    own, theirs = (
        each.mask_predictor.mask_logits.get_weights() for each in (model, source)
    )
    assert_array_equal(own[0][..., 1], theirs[0][..., 2])
    assert own[1][1] == theirs[1][2]
    for label in range(3):
        assert not np.allclose(own[0][..., 0], theirs[0][..., label])
    assert_array_equal(
        model.mask_head.get_weights()[0], source.mask_head.get_weights()[0]
    )


@pytest.mark.ci
def test_folded_norms_make_the_same_masks():
    model = tiny_mask_rcnn(mask_head=FCNMaskHead(2, 8, norm="batch", name="mask_head"))
    folded = fold_batch_norms(model)
    assert folded.mask_head.norm is None
    [one], [other] = (m.detect(PHOTO, masks="crops") for m in (model, folded))
    assert_allclose(one["masks"], other["masks"], atol=1e-3)


def test_a_predictor_of_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"mask_predictor\.num_classes=4"):
        tiny_mask_rcnn(mask_predictor=MaskPredictor(4, 8, name="mask_predictor"))
    with pytest.raises(ValueError, match=r"received 'mask_heads'. Near names"):
        tiny_mask_rcnn(mask_heads=1)
    with pytest.raises(ValueError, match="MaskRCNN are published for the backbones"):
        mask_rcnn_fpn("resnet18", weights="coco")


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_masks_are_the_same_where_shapes_may_not_depend_on_values(model):
    import tensorflow as tf

    draw = np.random.default_rng(0)
    branch = dataclasses.replace(  # RoIAlign is compiled in tests of its own
        model.parts.mask,
        mask_roi_align=lambda _, boxes: tf.tile(
            boxes[:, :, None, None] / 64, (1, 1, 14, 14, 4)
        ),
    )
    stages = {"pyramid": {}, "image_sizes": np.full((2, 2), 64, "float32")}
    boxes = np.array([[[3, 5, 40, 30], [20, 9, 60, 61]] + [[0] * 4] * 3] * 2, "float32")
    found = {
        "boxes": boxes,
        "labels": np.array([[2, 0, -1, -1, -1], [1, -1, -1, -1, -1]], "int32"),
        "num_detections": np.array([2, 1], "int32"),
    }
    targets = {
        "boxes": boxes[:, :2],
        "labels": np.array([[2, 0], [1, 1]]),
        "masks": draw.integers(0, 256, (2, 2, 8, 8)).astype("uint8"),
        "mask_windows": boxes[:, :2],
    }
    truth = ground_truth(targets, needed=model.targets)
    matches = np.array([[0, 1, 0, 0, 0]] * 2, "int32")
    kinds = np.array([[POSITIVE, POSITIVE] + [NEGATIVE] * 3] * 2, "int32")

    def run(stages, found):
        positives = SampledRoIs(found["boxes"], kinds, matches)
        sums, count = branch.losses(stages, positives, truth, True)
        return branch.outputs(stages, found), sums, count

    plain = tf.function(run)(stages, found)
    compiled = tf.function(run, jit_compile=True)(stages, found)
    assert float(plain[2]) == float(compiled[2]) == 4
    assert_allclose(plain[1]["mask_loss"], compiled[1]["mask_loss"], rtol=1e-4)
    assert_allclose(plain[0]["masks"], compiled[0]["masks"], atol=1e-4)
    assert plain[0]["masks"].shape == (2, 5, 28, 28)
