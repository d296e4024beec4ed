"""Which file or name weights are, and what of them goes into a detector."""

import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from keras_fpn.models import checkpoints
from keras_fpn.models.checkpoints import (
    classes_of,
    find_weights,
    load_checkpoint,
    load_keras_file,
    published_name,
)
from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.weights import get_checkpoint
from keras_fpn.weights.checkpoint import Digest
from keras_fpn.weights.mapping import Slot, as_is

NAMES = ("small_one", "small_two", "small_three", "large_one")
V2 = "faster_rcnn_resnet50_fpn_v2_coco"


def test_a_name_stays_and_a_file_becomes_a_path(tmp_path):
    assert find_weights("small_two", NAMES) == "small_two"
    file = tmp_path / "a.pth"
    file.touch()
    assert find_weights(str(file), NAMES) == file
    with pytest.raises(ValueError, match="existing file"):
        find_weights(tmp_path, NAMES)


def test_the_three_nearest_names_are_listed():
    expected = r"Near names: \['small_one', 'small_two', '\w+'\]\."
    with pytest.raises(ValueError, match=expected):
        find_weights("small_onw", NAMES)
    # Shares 2 of 5 and 4 letters with "coco": 4 / 9 is near, and 4 / 11 with 7 is not.
    with pytest.raises(ValueError, match=r"Near names: \['coco'\]\."):
        find_weights("coxyz", NAMES)
    with pytest.raises(ValueError, match=r"\. Names: \['coco', 'imagenet', 'la"):
        find_weights("cowxyz7", NAMES)


def test_files_of_other_kinds_than_keras_hold_no_detector(tmp_path):
    for name in ("a.pth", "a.weights.h5", "keras"):
        (tmp_path / name).touch()
        assert load_keras_file(tmp_path / name) is None
    (tmp_path / "a.keras").touch()
    with pytest.raises(ValueError, match="keras"):  # it was looked into
        load_keras_file(tmp_path / "a.keras")


def test_published_files_are_known_by_their_contents(monkeypatch, tmp_path):
    def file(name):
        (tmp_path / name).touch()
        return tmp_path / name

    monkeypatch.setattr(Digest, "of", lambda digest, path: "dd69338a" + 56 * "0")
    names = (V2, "faster_rcnn_resnet50_fpn_coco", "faster_rcnn_resnet18_fpn_scenes")
    assert published_name(file("any.pth"), names) == V2
    assert published_name(file("any.pth"), names[1:]) is None
    assert published_name(file("any.h5"), names) is None
    monkeypatch.setattr(Digest, "of", lambda digest, path: "b275ba" + 26 * "0")
    detectron2 = "faster_rcnn_resnet50_fpn_detectron2_1x"
    assert published_name(file("any.pkl"), (*names, detectron2)) == detectron2
    assert published_name(file("any.pth"), (*names, detectron2)) is None
    assert (
        published_name(file("any.pkl"), ["faster_rcnn_resnet50_fapn_detectron2_1x"])
        is None
    )


def test_classes_are_the_sources():
    assert classes_of(None) is None
    assert classes_of(get_checkpoint("rpn_resnet50_fpn_detectron2_1x")) is None
    source = types.SimpleNamespace(class_names=["a", "b"], category_ids=[4, 9])
    assert (classes_of(source).names, classes_of(source).ids) == (["a", "b"], [4, 9])


@pytest.fixture
def loaded(monkeypatch):
    """What torch files are said to hold, and what was done with them."""
    state = types.SimpleNamespace(tensors={}, kept=[], read=[])
    state.model = three_classes()

    def read_torch(path):
        state.read.append(path)
        return state.tensors

    def load_torchvision(model, tensors, keep_classes):
        assert tensors is state.tensors
        state.kept.append(keep_classes)

    monkeypatch.setattr(checkpoints, "fetch", lambda checkpoint: "fetched")
    monkeypatch.setattr(checkpoints, "read_torch", read_torch)
    monkeypatch.setattr(checkpoints, "load_torchvision", load_torchvision)
    slots = [Slot(BIAS, state.model.layer.bias, as_is)]
    monkeypatch.setattr(checkpoints, "torchvision_slots", lambda model: slots)
    return state


def three_classes():
    """Returns what is read of a detector of three classes, and its last layer."""
    layer = types.SimpleNamespace(bias=object(), weights=[])
    columns = (ClassColumns(layer, background=True),)
    parts = types.SimpleNamespace(class_columns=lambda: columns)
    return types.SimpleNamespace(class_names=["a", "b", "c"], parts=parts, layer=layer)


BIAS = "roi_heads.box_predictor.cls_score.bias"


@pytest.mark.parametrize(("columns", "kept"), [(4, True), (3, False), (5, False)])
def test_a_predictor_is_kept_where_the_classes_are_as_many(loaded, columns, kept):
    loaded.tensors = {BIAS: np.zeros(columns)}  # one of them is the background's
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_checkpoint(loaded.model, Path("a.pth"))
    assert loaded.kept == [kept]
    assert loaded.read == [Path("a.pth")]
    said = [str(warning.message) for warning in caught]
    assert len(said) == (not kept)
    if said:
        assert f"'a.pth' has {columns - 1} classes and this model has 3:" in said[0]


def test_files_without_a_predictor_fit_any_classes(loaded, monkeypatch):
    monkeypatch.setattr(checkpoints, "torchvision_slots", lambda model: [])
    load_checkpoint(loaded.model, V2)
    assert loaded.kept == [True]
    assert loaded.read == ["fetched"]


def test_files_of_another_architecture_fail_without_a_word_on_classes(loaded):
    loaded.tensors = {BIAS: np.zeros(7), "more": np.zeros(1)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"1 surplus \['more'\].*no preset"):
            load_checkpoint(loaded.model, Path("a.pth"))
    assert loaded.kept == []


def test_files_of_weights_alone_are_loaded_as_they_are(monkeypatch):
    given = []
    monkeypatch.setattr(checkpoints, "load_weights_file", lambda *of: given.append(of))
    load_checkpoint("model", Path("own.weights.h5"))
    assert given == [("model", Path("own.weights.h5"))]
