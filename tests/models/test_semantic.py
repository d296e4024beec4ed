"""Semantic FPN detects, is trained and folded."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from models.tiny_panoptic import batch_of_two, tiny_semantic_fpn
from numpy.testing import assert_array_equal
from skimage import data

from keras_fpn.layers import SemanticFPNHead
from keras_fpn.models import COCO_STUFF, fold_batch_norms, semantic_fpn
from keras_fpn.training.transfer import with_classes

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_semantic_fpn()


@pytest.fixture(scope="module")
def found(model):
    return model.detect(PHOTO)[0]


def test_every_pixel_of_the_photo_has_a_class(found):
    assert set(found) == {"semantic_map"}
    assert found["semantic_map"].shape == (400, 600)
    assert found["semantic_map"].dtype == np.uint8
    counts = np.bincount(found["semantic_map"].ravel(), minlength=3)
    assert len(counts) == 3
    assert counts.min() > 0.05 * counts.sum()


def test_the_graph_is_the_pyramid_and_the_head(model):
    names = [layer.name for layer in model.layers]
    assert names[-3:] == ["neck", "semantic_head", "semantic_predictor"]
    assert model.loss_names == ("semantic_loss",)


def test_the_papers_head_and_cocos_classes_are_the_default():
    plain = semantic_fpn(tiny_backbone())
    head = plain.parts.semantic.semantic_head
    assert (head.channels, head.norm) == (128, "group")
    assert plain.class_names == ["things", *COCO_STUFF.names]
    assert plain.category_ids == [0, *COCO_STUFF.ids]
    assert plain.parts.semantic.semantic_loss_weight == 1.0


@pytest.mark.ci
def test_a_photo_in_a_larger_batch_has_nearly_the_same_map(model, found):
    small = np.ascontiguousarray(PHOTO[:200])
    [one, other] = model.detect([PHOTO, small], batch_size=2)
    assert other["semantic_map"].shape == (200, 600)
    assert (one["semantic_map"] == found["semantic_map"]).mean() > 0.95


def test_it_has_no_limits_and_one_view(model):
    with pytest.raises(ValueError, match=r"SemanticFPN finds no objects.*: 0\.5"):
        model.detect(PHOTO, score_threshold=0.5)
    with pytest.raises(ValueError, match=r"received scales=None, flip=True"):
        model.detect(PHOTO, flip=True)
    with pytest.raises(ValueError, match=r"C2 must have stride 4|P3"):
        semantic_fpn(tiny_backbone(("C3", "C4")))


def test_known_classes_keep_their_weights(model):
    new = with_classes(model, ["sky", "tree"], [1, 2])
    own, theirs = (
        each.semantic_predictor.logits.get_weights() for each in (new, model)
    )
    assert own[0].shape[-1] == 2
    assert_array_equal(own[0][..., 0], theirs[0][..., 2])
    assert not np.allclose(own[0][..., 1], theirs[0][..., 1])
    heads = [each.semantic_head.get_weights() for each in (new, model)]
    assert len(heads[0]) == 7 * 3  # seven convolutions, each with a scale and an offset
    for one, other in zip(*heads, strict=True):
        assert_array_equal(one, other)


@pytest.mark.ci
def test_batch_norms_of_the_head_are_folded():
    normed = tiny_semantic_fpn(
        semantic_head=SemanticFPNHead(8, "batch", name="semantic_head")
    )
    folded = fold_batch_norms(normed)
    assert folded.semantic_head.norm is None
    maps = [each.detect(PHOTO)[0]["semantic_map"] for each in (normed, folded)]
    assert (maps[0] == maps[1]).mean() > 0.999


@pytest.mark.ci
def test_fit_learns_classes_of_pixels():
    learner = tiny_semantic_fpn(filled=False)
    x, y = batch_of_two(classes=3)
    targets = {"semantic_map": y["semantic_map"]}  # without objects
    learner.compile(keras.optimizers.Adam(0.01))
    # Objects, if there are some, are of other classes than pixels, and not read.
    objects = {**y, "labels": np.full_like(y["labels"], 99)}
    learner.fit(x, objects, batch_size=2, epochs=1, verbose=0)
    history = learner.fit(
        x, targets, batch_size=2, epochs=25, verbose=0, validation_data=(x, targets)
    ).history
    assert set(history) == {"loss", "semantic_loss", "val_loss", "val_semantic_loss"}
    assert history["semantic_loss"][-1] < 0.3 * history["semantic_loss"][0]
    photo = x["images"][0].astype("uint8")
    [found] = learner.detect(photo)
    truth = y["semantic_map"][0]
    share = (found["semantic_map"] == truth).mean()
    assert share > 0.9
    assert (np.zeros_like(truth) == truth).mean() < 0.6
