"""Weights by name and by file bring one architecture: what is not given is theirs."""

import dataclasses
import zipfile

import keras
import numpy as np
import pytest
from models.test_backbone_parts import config
from models.tiny import tiny_backbone, tiny_detector
from skimage import data

import keras_fpn
from keras_fpn.layers import ConvNorm, Detections, MultiLevelAnchors
from keras_fpn.models import Assignment, faster_rcnn, faster_rcnn_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training.transfer import with_classes
from keras_fpn.weights import SHIPPED
from keras_fpn.weights.checkpoint import Digest

SIZES = {"P2": (8,), "P3": (16,), "P4": (32,), "P5": (64,), "P6": (128,)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A detector with parts that are nobody's defaults, and the path of its file."""
    model = tiny_detector(
        class_names=["a", "b"],
        num_classes=None,
        anchors=MultiLevelAnchors(SIZES, name="anchors"),
        roi_assignment=Assignment(0.4, 0.4, False, 64, 0.5),
        name="mine",
    )
    path = tmp_path_factory.mktemp("saved") / "mine.keras"
    model.save(path)
    return model, path


@pytest.mark.ci
def test_a_file_brings_its_parts_as_load_model_does(saved):
    model, path = saved
    built = faster_rcnn_fpn(weights=path, name="mine")
    assert config(built) == config(model)
    photo = data.coffee()
    [expected], [found] = model.detect(photo), built.detect(photo)
    assert len(expected["scores"]) > 0
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_parts_that_are_given_take_the_places_of_the_files(saved):
    model, path = saved
    detections, backbone = Detections(0.9), tiny_backbone()
    built = faster_rcnn_fpn(backbone, weights=path, detections=detections)
    assert built.detections is detections
    assert built.backbone is backbone
    assert built.anchors.sizes == model.anchors.sizes == SIZES
    assert built.parts.box.roi_sample == model.parts.box.roi_sample
    assert built.parts.box.roi_match == model.parts.box.roi_match
    assert built.preprocessing == model.preprocessing


def test_other_sizes_leave_the_pixels_that_the_file_was_trained_on(tmp_path):
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    model = tiny_detector(preprocessing=Preprocessing(96, 160, 32, mean, std))
    model.save(tmp_path / "mine.keras")
    sizes = Preprocessing(64, 96)
    for other in (
        faster_rcnn_fpn(weights=tmp_path / "mine.keras", preprocessing=sizes),
        with_classes(model, ["a"], [1], sizes),
    ):
        assert other.preprocessing == Preprocessing(64, 96, 32, mean, std)


def test_a_file_says_nothing_of_how_its_layers_were_trained(tmp_path):
    model = tiny_detector()
    model.backbone.trainable = False
    model.save(tmp_path / "frozen.keras")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        built = faster_rcnn_fpn(weights=tmp_path / "frozen.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert built.backbone.trainable_variables
    assert built.box_head.compute_dtype == "bfloat16"


def test_a_shipped_checkpoint_is_the_same_by_name_and_by_path():
    name = "faster_rcnn_resnet18_fpn_scenes"
    by_name = keras_fpn.from_preset(name)
    by_path = faster_rcnn_fpn(weights=SHIPPED[name].path(), name=name)
    assert config(by_name) == config(by_path)
    for one, two in zip(by_name.get_weights(), by_path.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@keras.saving.register_keras_serializable(package="tests")
class Unknown(keras.layers.Layer):
    """Of a class that is registered no more when its file is read."""


def damaged(path):
    path.write_bytes(b"PK")


def without_config(path):
    zipfile.ZipFile(path, "w").close()


def no_detector(path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)


def of_unknown_class(path):
    keras.Sequential([keras.Input((2,)), Unknown()]).save(path)
    keras.saving.get_custom_objects().pop("tests>Unknown")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (damaged, r"^A .keras file must be .*; received .*m\.keras: File is not a zip"),
        (without_config, r"^A .keras file must .*; received .*m\.keras: .*config.json"),
        (no_detector, r"m\.keras, which contains a Sequential\. Pass a file written"),
        (of_unknown_class, r"first\); received .*m\.keras: .*class 'Unknown' of"),
    ],
)
def test_a_file_without_a_detector_is_refused_with_its_name(tmp_path, write, message):
    path = tmp_path / "m.keras"
    write(path)
    with pytest.raises(ValueError, match=message) as refused:
        faster_rcnn_fpn(weights=path)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


class _Found(Exception):
    """Stands for the detector, once its parts are found: its weights are not here."""


def parts_found(monkeypatch, *arguments, **more):
    def detector(parts, *_, **__):
        raise _Found(parts.by_name())

    with monkeypatch.context() as patched:
        family = dataclasses.replace(faster_rcnn.FAMILY, detector=detector)
        patched.setattr(faster_rcnn, "FAMILY", family)
        with pytest.raises(_Found) as found:
            faster_rcnn_fpn(*arguments, **more)
    return found.value.args[0]


def epsilons(backbone):
    norms = [layer for layer in backbone.layers if isinstance(layer, ConvNorm)]
    return {layer.epsilon for layer in norms}


@pytest.mark.ci
def test_a_published_file_is_known_by_its_contents(monkeypatch, tmp_path):
    path = tmp_path / "any name.pth"
    path.write_bytes(b"")
    parts = parts_found(monkeypatch, weights=path)
    assert epsilons(parts["backbone"]) == {1e-5}  # an unknown file: the defaults
    monkeypatch.setattr(Digest, "of", lambda digest, path: "258fb6c6" + 56 * "0")
    parts = parts_found(monkeypatch, "resnet50", weights=path)
    assert epsilons(parts["backbone"]) == {0.0}  # torchvision's, as by its name
    monkeypatch.setattr(Digest, "of", lambda digest, path: "dd69338a" + 56 * "0")
    parts = parts_found(monkeypatch, weights=path)
    assert parts["rpn_head"].num_convs == 2


def test_a_preset_without_weights_has_its_own_backbone_under_its_name():
    name = "faster_rcnn_resnet18_fpn_scenes"
    plain, named = (
        keras_fpn.from_preset(name, load_weights=False, **backbone)
        for backbone in ({}, {"backbone": "resnet18"})
    )
    assert config(named) == config(plain)
    assert named.backbone.get_layer("stem").filters == 24
