"""The detectors that come with the project: their files, and what they find."""

import dataclasses
import pathlib
import re

import numpy as np
import pytest
from PIL import Image
from plain_loops import iou_by_loop

import keras_fpn
from keras_fpn.cli.input_photos import sample_photo
from keras_fpn.data.scenes import CLASS_NAMES, scene
from keras_fpn.weights import SHIPPED
from keras_fpn.weights.shipped import ShippedCheckpoint

ZOO = pathlib.Path(__file__).resolve().parents[2] / "zoo"
SCENES = "faster_rcnn_resnet18_fpn_scenes"
SAMPLE = (3, 24)  # seed and index of the scene that is the sample


@pytest.mark.parametrize("checkpoint", SHIPPED.values(), ids=SHIPPED)
def test_a_file_is_there_small_and_has_its_recipe(checkpoint):
    size = checkpoint.path().stat().st_size / 2**20
    assert size == pytest.approx(checkpoint.size_mb, abs=0.01)
    assert size < 10
    assert (ZOO / f"{checkpoint.name}.py").is_file()


@pytest.mark.parametrize("checkpoint", SHIPPED.values(), ids=SHIPPED)
def test_a_number_is_the_one_that_the_recipe_measured(checkpoint):
    text = (ZOO / f"{checkpoint.name}.py").read_text()
    metrics = next(iter(checkpoint.metrics.values()))
    assert "box AP" in metrics
    for metric, value in metrics.items():
        stated = metric.removeprefix("box ")
        assert re.search(rf"Measured: .*\b{stated} {value}\b", text, re.DOTALL)


@pytest.mark.parametrize("name", SHIPPED)
def test_with_and_without_weights_a_preset_has_its_classes(name):
    bare = keras_fpn.from_preset(name, load_weights=False)
    assert tuple(bare.class_names) == SHIPPED[name].class_names
    assert bare.category_ids == SHIPPED[name].category_ids
    other = keras_fpn.from_preset(name, load_weights=False, num_classes=2)
    assert len(other.class_names) == 2


def test_scenes_are_told_apart_by_their_own_names():
    assert SHIPPED[SCENES].class_names == CLASS_NAMES


def test_the_sample_is_that_scene():
    with Image.open(sample_photo(SCENES)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), scene(*SAMPLE)["image"])
    assert sample_photo(None).name == "coffee.jpg"


def test_the_boxes_on_the_sample_are_right():
    model = keras_fpn.from_preset(SCENES)
    [found] = model.detect(sample_photo(SCENES), score_threshold=0.5)
    truth = scene(*SAMPLE)
    boxes = np.float32(truth["boxes"])
    overlaps = np.array([[iou_by_loop(a, b) for b in boxes] for a in found["boxes"]])
    nearest = overlaps.argmax(axis=1)
    assert overlaps.max(axis=1).min() > 0.6
    np.testing.assert_array_equal(found["labels"], truth["labels"][nearest])
    assert len(set(nearest)) == len(nearest)  # no object is found twice
    assert len(nearest) >= len(truth["labels"]) - 1


def test_a_damaged_file_and_a_missing_one_are_said():
    checkpoint = SHIPPED[SCENES]
    damaged = dataclasses.replace(checkpoint, sha256="0" * 64)
    with pytest.raises(ValueError, match=r"SHA-256 0{64}; received [0-9a-f]{64}"):
        damaged.path()
    absent = dataclasses.replace(checkpoint, name="absent")
    assert isinstance(absent, ShippedCheckpoint)
    with pytest.raises(FileNotFoundError, match=r"absent\.keras was not installed"):
        absent.path()
