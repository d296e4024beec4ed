"""The builder: names, parts, classes, weights from everywhere, and refusals."""

import math
import re

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector

import keras_fpn
from keras_fpn.layers import FeaturePyramid, MultiLevelAnchors, RPNHead
from keras_fpn.models import faster_rcnn_fpn
from keras_fpn.models.build import _strides


def test_the_graph_reads_as_the_figure():
    model = tiny_detector()
    assert [layer.name for layer in model.layers] == [
        "images",
        "image_sizes",
        "normalize",
        "tiny",
        "neck",
        "coarse_level",
        "anchors",
        "rpn_head",
        "proposals",
        "roi_align",
        "box_head",
        "box_predictor",
        "detections",
    ]


def test_default_anchors_follow_the_backbones_levels():
    backbone = tiny_backbone(levels=("C3", "C4", "C5"))
    model = tiny_detector(backbone=backbone)
    # 2^(l + 3) pixels on level l: 64 on P3, as in the paper; P6 is the RPN's own.
    sizes = {"P3": (64,), "P4": (128,), "P5": (256,), "P6": (512,)}
    assert model.anchors.sizes == sizes


def test_given_parts_are_used():
    head = RPNHead(num_anchors=6, shared=False, name="rpn_head")
    sizes = {f"P{level}": (8 * 2**level, 10 * 2**level) for level in range(2, 7)}
    model = tiny_detector(rpn_head=head, anchors=MultiLevelAnchors(sizes))
    assert model.rpn_head is head
    assert model.anchors.per_cell == 6


def test_without_names_classes_are_numbered_and_ids_count_from_one():
    model = tiny_detector(num_classes=2)
    assert model.class_names == ["class 0", "class 1"]
    assert model.category_ids == [1, 2]


def test_without_classes_they_are_cocos_90_columns():
    model = faster_rcnn_fpn(backbone=tiny_backbone(), neck=FeaturePyramid(16))
    assert len(model.class_names) == 90
    assert model.class_names[0] == "person"
    assert model.class_names[11] == "N/A"  # COCO never used its id 12
    assert model.category_ids == list(range(1, 91))


def test_keras_file_brings_weights_and_classes(tmp_path):
    model = tiny_detector(class_names=["a", "b"], num_classes=None)
    model.save(tmp_path / "model.keras")
    other = tiny_detector_without_classes(weights=tmp_path / "model.keras")
    assert other.class_names == ["a", "b"]
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_other_number_of_classes_keeps_all_but_the_predictor_and_says_so(tmp_path):
    model = tiny_detector(class_names=["a", "b"], num_classes=None)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match=r"has 2 classes and this model has 5"):
        other = tiny_detector_without_classes(
            weights=tmp_path / "model.keras", num_classes=5
        )
    kept, new = other.box_head.get_weights(), other.box_predictor.get_weights()
    for one, two in zip(kept, model.box_head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert new[0].shape == (32, 6)  # five classes and the background


def test_weights_file_of_another_architecture_is_refused_by_part(tmp_path):
    tiny_detector().save(tmp_path / "model.keras")
    with pytest.raises(
        ValueError, match=r"model\.keras', whose neck has other weights"
    ):
        tiny_detector_without_classes(
            weights=tmp_path / "model.keras", neck=FeaturePyramid(8, name="neck")
        )


def test_weights_h5_loads(tmp_path):
    model = tiny_detector()
    model.save_weights(tmp_path / "own.weights.h5")
    other = tiny_detector_without_classes(
        weights=tmp_path / "own.weights.h5", num_classes=3
    )
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(other.box_head.fc1.kernel),
        keras.ops.convert_to_numpy(model.box_head.fc1.kernel),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "cocoo"}, r"weights='cocoo'.*Near names: \['coco'"),
        (
            {"weights": "faster_rcnn_resnet50_fpn"},
            r"Near names: \['faster_rcnn_resnet50_fpn_coco'",
        ),
        ({"weights": "missing/file.pth"}, "missing/file.pth"),
        ({"backbone": "resnet51"}, r"backbone='resnet51'"),
        ({"backbone": "resnet101", "weights": "coco"}, "backbone='resnet101'"),
        ({"num_classes": 0}, r"\{'num_classes': 0\}"),
        (
            {"num_classes": 2, "class_names": ["a", "b", "c"]},
            r"'num_classes': 2, 'class_names': 3",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        faster_rcnn_fpn(**arguments)


def test_backbone_without_a_dict_of_levels_is_refused():
    images = keras.Input((None, None, 3))
    plain = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    with pytest.raises(ValueError, match="received outputs of type KerasTensor"):
        faster_rcnn_fpn(backbone=plain)


def test_backbone_with_a_gap_in_its_levels_is_refused():
    with pytest.raises(ValueError, match=r"missing level \[4\]"):
        faster_rcnn_fpn(backbone=tiny_backbone(levels=("C2", "C3", "C5")))


def test_backbone_with_levels_of_other_names_is_refused():
    backbone = tiny_backbone()
    renamed = keras.Model(
        backbone.input, {f"P{level[1]}": x for level, x in backbone.output.items()}
    )
    with pytest.raises(ValueError, match=r"received \['P2', 'P3', 'P4', 'P5'\]"):
        faster_rcnn_fpn(backbone=renamed)


def test_backbone_whose_maps_have_other_strides_is_refused():
    backbone = tiny_backbone()
    shifted = {f"C{int(name[1]) + 1}": x for name, x in backbone.output.items()}
    expected = "The map C3 must have stride 8; received maps of strides {'C3': 4, "
    with pytest.raises(ValueError, match=re.escape(expected)):
        faster_rcnn_fpn(backbone=keras.Model(backbone.input, shifted))


def test_strides_are_pixels_by_cells_on_both_axes():
    # What comes out of an image of 256 x 256 pixels.
    shapes = {
        "C3": (1, 32, 32, 8),
        "C2": (1, 63, 63, 8),
        "C4": (1, 16, 32, 8),
        "C5": (1, 8, None, 8),
        "C6": (1, None, None, 8),
    }
    asked = []

    class Backbone:
        def compute_output_shape(self, shape):
            asked.append(shape)
            return shapes

    strides = _strides(Backbone())
    assert asked == [(1, 256, 256, 3)]
    assert list(strides) == ["C2", "C3", "C4", "C5", "C6"]
    assert (strides["C2"], strides["C3"]) == (256 / 63, 8)
    assert isinstance(strides["C3"], int)
    assert all(math.isnan(strides[name]) for name in ("C4", "C5", "C6"))


def test_anchors_for_other_levels_are_refused():
    anchors = MultiLevelAnchors({"P2": (32,), "P3": (64,)})
    with pytest.raises(ValueError, match=r"sizes for \['P2', 'P3'\]"):
        tiny_detector(anchors=anchors)


def tiny_detector_without_classes(**arguments):
    """Returns the tiny detector as its weights leave it, not filled anew."""
    reference = tiny_detector()
    parts = {
        name: type(part).from_config(part.get_config())
        for name, part in reference.parts.by_name().items()
        if name in ("neck", "proposals", "box_head", "detections")
    }
    defaults = {
        "backbone": tiny_backbone(),
        "preprocessing": reference.preprocessing,
        **parts,
    }
    return keras_fpn.models.faster_rcnn_fpn(**{**defaults, **arguments})


def test_what_is_frozen_comes_back_frozen():
    model = tiny_detector()
    model.backbone.layers[1].trainable = False
    again = type(model).from_config(model.get_config())
    frozen = [layer.name for layer in again._flatten_layers() if not layer.trainable]
    assert frozen == [model.backbone.layers[1].name]
    model.trainable = False
    again = type(model).from_config(model.get_config())
    assert not again.trainable_weights
