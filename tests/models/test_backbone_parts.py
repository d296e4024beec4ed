"""A backbone's name and its model make equal detectors, with what belongs to it."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector
from skimage import data

from keras_fpn import backbones
from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.layers import (
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    PyramidRoIAlign,
    TwoFCBoxHead,
)
from keras_fpn.models import build, faster_rcnn, faster_rcnn_fpn
from keras_fpn.preprocessing import Preprocessing

# Of blocks that smaller ones have, too.
LARGE = {"resnet34", "resnet101", "resnet152", "msra_resnet101"}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def narrow_detector(backbone, **arguments):
    """Returns a detector whose only part of full size is its backbone."""
    return faster_rcnn_fpn(
        backbone=backbone,
        num_classes=2,
        neck=FeaturePyramid(8, name="neck"),
        box_head=TwoFCBoxHead(8, name="box_head"),
        **arguments,
    )


@functools.cache
def named(backbone):
    """Returns the detector of a backbone's name, which tests do not change."""
    return narrow_detector(backbone)


def config(model):
    """Returns a detector's config without what Keras numbers in a process."""
    return without(model.get_config(), ("shared_object_id",))


def without(value, keys):
    if isinstance(value, dict):
        return {k: without(v, keys) for k, v in value.items() if k not in keys}
    if isinstance(value, list | tuple):
        return [without(entry, keys) for entry in value]
    return value


def array(value):
    return keras.ops.convert_to_numpy(value)


def reloaded(backbone, folder):
    backbone.save(folder / "backbone.keras")
    return keras.models.load_model(folder / "backbone.keras")


@pytest.mark.ci
def test_a_name_and_its_model_from_a_file_detect_alike(tmp_path):
    inputs, _ = Preprocessing(64, 96).prepare([data.coffee()])
    by_name = named("mobilenet_v2")
    other = narrow_detector(reloaded(backbones.mobilenet_v2(), tmp_path))
    expected = by_name(inputs, training=False)
    assert int(expected["num_detections"][0]) > 0
    other.set_weights(by_name.get_weights())
    found = other(inputs, training=False)
    for key, value in expected.items():
        np.testing.assert_array_equal(array(found[key]), array(value))


def test_two_maps_of_stride_32_bring_their_parts_under_any_name():
    own = backbones.mobilenet_v3_large()
    for backbone in (own, keras.Model(own.input, own.output, name="renamed")):
        model = narrow_detector(backbone)
        # torchvision's: all five sizes in three ratios on P5, P6 and P7.
        assert list(model.anchors.sizes) == ["P5", "P6", "P7"]
        assert model.anchors.per_cell == 15
        assert model.roi_align.levels == ("P5",)
        assert model.proposals.score_threshold == 0.05


def test_a_given_part_takes_the_place_of_the_backbones():
    proposals = Proposals(score_threshold=0.1)
    model = narrow_detector("mobilenet_v3_large", proposals=proposals)
    assert model.proposals is proposals
    assert model.roi_align.levels == ("P5",)


@pytest.mark.parametrize("size", [{}, {"preprocessing": Preprocessing(320, 640)}])
def test_mobilenet_v2_is_given_the_pixels_of_its_weights(size):
    for backbone in ("mobilenet_v2", backbones.mobilenet_v2()):
        model = narrow_detector(backbone, **size)
        normalize = model.get_layer("normalize")
        # pixels / 127.5 - 1 = (pixels / 255 - 0.5) / 0.5
        assert normalize.mean == model.preprocessing.mean == (0.5, 0.5, 0.5)
        assert normalize.std == model.preprocessing.std == (0.5, 0.5, 0.5)


def test_any_other_backbone_is_given_imagenets_pixels_unless_told_otherwise():
    for model in (named("resnet18"), narrow_detector(tiny_backbone())):
        assert (model.preprocessing.mean, model.preprocessing.std) == IMAGENET
    mean = (0.1, 0.2, 0.3)
    model = narrow_detector("mobilenet_v2", preprocessing=Preprocessing(mean=mean))
    assert model.preprocessing.mean == mean
    assert model.preprocessing.std == (0.5, 0.5, 0.5)


def test_mobilenet_v2_under_another_name_is_any_other_backbone_to_the_pixels():
    own = backbones.mobilenet_v2()
    renamed = keras.Model(own.input, own.output, name="renamed")
    assert narrow_detector(renamed).preprocessing.mean == IMAGENET[0]
    pixels = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    told = narrow_detector(renamed, preprocessing=pixels)
    assert told.get_layer("normalize").mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("given", ["mean", "std"])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mobilenet_v2", dict(zip(("mean", "std"), IMAGENET, strict=True))),
        ("resnet18", {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}),
    ],
)
def test_imagenets_weights_are_not_loaded_for_other_pixels(
    monkeypatch, name, wrong, given
):
    loaded = []
    monkeypatch.setattr(build, "load_imagenet", lambda *a: loaded.append(a))
    pixels = Preprocessing(**{given: wrong[given]})
    with pytest.raises(
        ValueError, match=rf"of '{name}' expect .*{given}=\({wrong[given][0]}, .*Leave"
    ):
        narrow_detector(name, weights="imagenet", preprocessing=pixels)
    assert loaded == []


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_imagenets_weights_are_loaded_for_their_own_pixels(monkeypatch, name):
    loaded = []
    monkeypatch.setattr(build, "load_imagenet", lambda *a: loaded.append(a))
    right = pixel_mean_and_std(named(name).backbone)
    for pixels in (Preprocessing(64, 96), Preprocessing(mean=right[0], std=right[1])):
        model = narrow_detector(name, weights="imagenet", preprocessing=pixels)
        assert loaded.pop() == (model.backbone, "imagenet")


def test_a_name_of_ours_excuses_no_other_stride():
    tiny = tiny_backbone()
    shifted = {f"C{int(name[1]) + 1}": x for name, x in tiny.output.items()}
    with pytest.raises(ValueError, match=r"The map C3 must have stride 8; received"):
        narrow_detector(keras.Model(tiny.input, shifted, name="resnet50"))


def test_a_map_of_another_stride_is_fine_where_nothing_misreads_it():
    tiny = tiny_backbone()
    maps = {"C4": tiny.output["C4"], "C5": tiny.output["C4"]}  # both of stride 16
    backbone = keras.Model(tiny.input, maps)
    anchors = MultiLevelAnchors({"P4": (64,), "P5": (64,), "P6": (128,)})
    first = PyramidRoIAlign(levels=("P4",))
    model = tiny_detector(backbone=backbone, anchors=anchors, roi_align=first)
    assert len(model.detect(data.coffee())[0]["scores"]) > 0
    for given in (
        {},
        {"anchors": anchors},
        {"roi_align": first},
        {"anchors": anchors, "roi_align": PyramidRoIAlign(levels=("P4", "P5"))},
    ):
        with pytest.raises(ValueError, match=r"The map C5 .* strides .*'C5': 16"):
            tiny_detector(backbone=backbone, **given)


def test_a_map_whose_stride_is_no_whole_number_is_refused_with_it():
    images = keras.Input((None, None, 3))
    cut = keras.layers.Conv2D(4, 8, 4)(images)  # (256 - 8) // 4 + 1 = 63 cells
    with pytest.raises(ValueError, match=r"stride 4; .*\{'C2': 4.06"):
        narrow_detector(keras.Model(images, {"C2": cut}))


class _Published(Exception):
    """Stands for the detector, once its parts are found: its weights are not here."""


@pytest.fixture
def without_download(monkeypatch):
    def detector(*_, **__):
        raise _Published

    detector.__name__ = "FasterRCNN"
    family = dataclasses.replace(faster_rcnn.FAMILY, detector=detector)
    monkeypatch.setattr(faster_rcnn, "FAMILY", family)


@pytest.mark.ci
def test_published_weights_go_into_a_model_of_their_epsilon(without_download):
    for backbone in (None, "resnet50", backbones.resnet50(epsilon=0.0)):
        with pytest.raises(_Published):
            faster_rcnn_fpn(backbone, weights="coco")
    with pytest.raises(_Published):  # live norms are another thing
        faster_rcnn_fpn(backbones.resnet50(norm="batch"), weights="coco")
    with pytest.raises(ValueError, match=r"epsilon \[0.0\]; .*'resnet50' .* \[1e-05\]"):
        faster_rcnn_fpn(backbones.resnet50(), weights="coco")


@pytest.mark.ci
def test_published_weights_of_another_backbone_are_refused_for_name_and_model():
    name = "faster_rcnn_resnet50_fpn_coco"
    for backbone in ("resnet18", backbones.resnet18()):
        with pytest.raises(ValueError, match=r"'resnet50'; received backbone='resnet1"):
            faster_rcnn_fpn(backbone, weights=name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.ci) if name in LARGE else name
        for name in backbones.NAMES
    ],
)
def test_a_name_and_its_model_make_equal_detectors(name):
    by_name = named(name)
    by_model = narrow_detector(getattr(backbones, name)())
    assert config(by_name) == config(by_model)
    assert by_model.preprocessing == by_name.preprocessing
