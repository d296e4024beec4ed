"""Trees of parts: named, saved, joined, and refused where they do not fit."""

from dataclasses import dataclass
from typing import Any

import keras
import pytest
from models.tiny import tiny_backbone, tiny_detector

from keras_fpn.layers import BoxPredictor, FeaturePyramid, RPNHead
from keras_fpn.models import (
    BoxBranch,
    Detector,
    Match,
    Parts,
    RegionBranch,
    TwoStageParts,
    faster_rcnn_fpn,
)
from keras_fpn.preprocessing import Preprocessing

NAMES = [
    "backbone",
    "neck",
    "coarse_level",
    "anchors",
    "rpn_head",
    "proposals",
    "rpn_match",
    "rpn_sample",
    "roi_align",
    "box_head",
    "box_predictor",
    "detections",
    "roi_match",
    "roi_sample",
]


@dataclass(frozen=True)
class Pair(Parts):
    first: Any
    second: Any = "default"


@dataclass(frozen=True)
class Tree(Parts):
    neck: Any
    pair: Pair
    steps: tuple = ()


def dense(name):
    return keras.layers.Dense(1, name=name)


def test_fields_of_branches_are_named_without_the_branch():
    assert TwoStageParts.names() == NAMES
    model = tiny_detector()
    assert list(model.parts.by_name()) == NAMES
    assert model.parts.by_name()["rpn_match"] == Match(0.3, 0.7, True)


def test_parts_go_to_the_branches_that_have_their_fields():
    tree = Tree.of({"second": 2, "neck": 0, "first": 1})
    assert tree == Tree(0, Pair(1, 2))
    assert Tree.of({"neck": 0, "first": 1}) == Tree(0, Pair(1, "default"))
    with pytest.raises(ValueError, match=r"received 'secnd'. Near names: \['second'"):
        Tree.of({"neck": 0, "first": 1, "secnd": 2})
    with pytest.raises(ValueError, match=r"received 'xyz'. Names: \['first', 'neck'"):
        Tree.of({"neck": 0, "first": 1, "xyz": 2})


def test_layers_are_found_in_branches_and_in_tuples_of_branches():
    neck, first, one, two = (dense(name) for name in "abcd")
    tree = Tree(neck, Pair(first, 3), (Pair(one), Pair(two)))
    assert tree.layers() == {
        "neck": neck,
        "first": first,
        "first_1": one,
        "first_2": two,
    }
    assert Tree(neck, Pair(first, 3), (one, two)).layers() == {
        "neck": neck,
        "first": first,
        "steps_1": one,
        "steps_2": two,
    }


def test_two_layers_of_one_name_are_refused_with_both():
    @dataclass(frozen=True)
    class Twice(Parts):
        one: Pair
        two: Pair

    with pytest.raises(ValueError, match=r"two parts 'first': .*name=a.* and .*name=b"):
        Twice(Pair(dense("a")), Pair(dense("b"))).layers()


def test_what_is_saved_is_built_anew():
    parts = tiny_detector().parts
    saved = keras.saving.serialize_keras_object(parts)
    again = keras.saving.deserialize_keras_object(saved)
    assert isinstance(again.region, RegionBranch)
    assert isinstance(again.box, BoxBranch)
    assert again.box.roi_sample == parts.box.roi_sample
    assert again.neck is not parts.neck
    assert again.neck.get_config() == parts.neck.get_config()


def test_the_layers_are_the_models_attributes_and_are_saved_once():
    model = tiny_detector()
    for name, layer in model.parts.layers().items():
        assert getattr(model, name) is layer
    weights = [id(weight) for weight in model.weights]
    assert len(set(weights)) == len(weights)
    expected = sum(len(layer.weights) for layer in model.parts.layers().values())
    assert len(weights) == expected + 1  # and the training step
    assert not model.training_step.trainable


def test_a_builder_takes_any_part_by_its_name_and_no_other_name():
    head = RPNHead(1, num_convs=2, name="rpn_head")
    assert tiny_detector(rpn_head=head).rpn_head is head
    with pytest.raises(ValueError, match=r"received 'boxhead'. Near names: \['box_hea"):
        faster_rcnn_fpn(tiny_backbone(), boxhead=None or head)


def test_a_preset_is_no_part():
    with pytest.raises(ValueError, match=r"weights='one', or call keras_fpn\.load\('o"):
        faster_rcnn_fpn(tiny_backbone(), preset="one")


def test_a_predictor_of_other_classes_is_refused():
    predictor = BoxPredictor(7, name="box_predictor")
    with pytest.raises(ValueError, match=r"class_names, 3; received .*num_classes=7"):
        tiny_detector(num_classes=3, box_predictor=predictor)


def test_columns_of_classes_are_found_in_tuples_of_branches():
    branch = tiny_detector().parts.box
    expected = branch.class_columns()
    found = Tree(None, Pair(None), (branch, branch)).class_columns()
    assert found == [*expected, *expected]
    assert len(expected) == 2


def test_a_part_named_like_an_attribute_of_every_model_is_refused():
    @dataclass(frozen=True)
    class Named(Parts):
        backbone: Any
        layers_: Any
        losses: Any

    parts = Named(tiny_backbone(("C2",)), None, dense("losses"))
    with pytest.raises(ValueError, match=r"received parts named \['losses'\]"):
        Plain(parts, Preprocessing(64, 64), ["a"], [1])


def test_levels_that_the_pyramid_lacks_are_named():
    from keras_fpn.layers import PyramidRoIAlign

    roi_align = PyramidRoIAlign(levels=("P2", "P7"), name="roi_align")
    with pytest.raises(ValueError, match=r"without \['P7'\]"):
        tiny_detector(roi_align=roi_align)


@dataclass(frozen=True)
class PlainParts(Parts):
    backbone: Any
    neck: Any


class Plain(Detector):
    """One map; what it finds is told by its test."""

    outputs_to_have: tuple[str, ...] = ()

    @staticmethod
    def stages(parts, images, image_sizes):
        return {"image_sizes": image_sizes, "P2": parts.backbone(images)["C2"]}

    @classmethod
    def results(cls, parts, stages, **limits):
        return dict.fromkeys(cls.outputs_to_have, stages["P2"])


def plain(**attributes):
    kind = type("PlainOne", (Plain,), attributes)
    backbone = tiny_backbone(("C2",))
    parts = PlainParts(backbone, FeaturePyramid(4, name="neck"))
    return kind(parts, Preprocessing(64, 64), ["a"], [1])


def test_two_losses_of_one_name_are_refused():
    names = ("box_loss", "class_loss", "box_loss")
    with pytest.raises(ValueError, match=r"received .*, \['box_loss'\] twice"):
        plain(loss_names=names, outputs_to_have=("scores", "num_detections"))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["scores", "num_detections", "depth"], r"unknown \['depth'\], missing \[\]"),
        (["boxes"], r"unknown \[\], missing \['num_detections', 'scores'\]"),
    ],
)
def test_outputs_that_nobody_can_read_are_refused(outputs, message):
    with pytest.raises(ValueError, match=message):
        plain(outputs_to_have=outputs)
