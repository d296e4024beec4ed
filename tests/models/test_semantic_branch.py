"""The loss of the semantic branch, its errors, and sets of stuff."""

import dataclasses

import numpy as np
import pytest
from models.truths import truth_of
from numpy.testing import assert_allclose
from on_backend import compiled

from keras_fpn.layers import SemanticFPNHead, SemanticPredictor, StuffPredictor
from keras_fpn.models import COCO_STUFF, SemanticBranch, StuffBranch, StuffSet
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.models.stuff_set import known_stuff, semantic_names

PYRAMID = {"P2": np.zeros((2, 2, 3, 4), "float32")}
MAP = np.full((2, 8, 12), 255, "uint8")
MAP[0, :2, :5] = 1
MAP[1, 3] = 0


def branch_of(weight=1.0):
    """A branch whose logits are everywhere 0, 1 and 3."""
    branch = SemanticBranch(SemanticFPNHead(4, norm=None), SemanticPredictor(3), weight)
    branch.semantic_head.build({"P2": (None, None, None, 4)})
    branch.semantic_predictor.build((None, None, None, 4))
    kernel, _ = branch.semantic_predictor.logits.get_weights()
    bias = np.float32([0, 1, 3])
    branch.semantic_predictor.logits.set_weights([0 * kernel, bias])
    return branch


def loss_of(branch, semantic_map=MAP, sample_weight=None):
    targets = {"semantic_map": semantic_map}
    truth = ground_truth(targets, sample_weight, needed=branch.targets)
    sums, count = branch.losses({"pyramid": PYRAMID}, truth, False)
    return sums["semantic_loss"], count


def test_the_loss_is_summed_over_labelled_pixels():
    branch = branch_of()
    total, count = compiled(lambda: loss_of(branch))
    # 10 pixels of class 1 in the first image, 12 of class 0 in the second.
    normalizer = np.log(1 + np.e + np.e**3)
    assert_allclose(total, 10 * (normalizer - 1) + 12 * normalizer, rtol=1e-5)
    assert count == 22


def test_the_weights_of_the_loss_and_of_images_count():
    branch = branch_of(0.5)
    total, count = compiled(lambda: loss_of(branch, MAP, np.float32([1, 0])))
    assert_allclose(total, 0.5 * 10 * (np.log(1 + np.e + np.e**3) - 1), rtol=1e-5)
    assert count == 10


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(B, 8, 12\); received \(2, 4, 6\)"):
        loss_of(branch_of(), MAP[:, ::2, ::2])


def test_boxes_may_be_missing_where_none_are_needed():
    targets = {"semantic_map": MAP}
    truth = ground_truth(targets, needed=SemanticBranch.targets)
    assert truth.boxes.shape == (2, 1, 4)  # padding
    assert not np.asarray(truth.objects).any()
    with_boxes = truth_of(
        [[[0, 0, 4, 4]]] * 2, [[0], [1]], needed=("semantic_map",), **targets
    )
    assert np.asarray(with_boxes.objects).tolist() == [[True, False]] * 2
    with pytest.raises(ValueError, match=r"without \['semantic_map'\].*semantic=True"):
        truth_of([[[0, 0, 4, 4]]], [[0]], needed=("semantic_map",))


def test_cocos_stuff_has_53_classes_in_the_order_of_their_ids():
    named = dict(zip(COCO_STUFF.ids, COCO_STUFF.names, strict=True))
    assert len(named) == len(COCO_STUFF) == 53
    assert list(named) == sorted(named)
    assert (named[92], named[149], named[187]) == ("banner", "road", "sky-other-merged")
    assert named[200] == "rug-merged"
    assert semantic_names(COCO_STUFF)[:2] == ["things", "banner"]


def test_a_set_of_stuff_is_saved_and_checked():
    stuff = StuffSet(["sky", "sea"], [5, 7])
    assert StuffSet.from_config(stuff.get_config()) == stuff
    assert (StuffSet(("sky", "sea")).ids, StuffSet(()).ids) == ((1, 2), ())
    assert known_stuff(stuff, ["sand", "sea"]) == [(1, 1)]
    with pytest.raises(ValueError, match=r"received ids=\(5,\) of 2 classes"):
        StuffSet(("sky", "sea"), (5,))
    with pytest.raises(ValueError, match=r"received names=\('sky', 'sky'\)"):
        StuffSet(("sky", "sky"))


def test_a_branch_of_stuff_belongs_to_its_set():
    predictor = StuffPredictor(2)
    head = SemanticFPNHead()
    branch = StuffBranch(head, predictor, stuff=StuffSet(("sky", "sea")))
    assert branch.semantic_loss_weight == 0.5
    assert branch.class_columns() == ()
    with pytest.raises(ValueError, match="num_stuff=2 and 53 classes of stuff"):
        dataclasses.replace(branch, stuff=COCO_STUFF)
