"""The rows of the FPN paper's tables: their parts, and that each is a detector."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from numpy.testing import assert_array_equal

import keras_fpn
from keras_fpn.layers import (
    NoTopDown,
    TopDownMerge,
    TopDownWithoutLateral,
    TwoFCBoxHead,
)
from keras_fpn.models import paper_row, paper_rows
from keras_fpn.preprocessing import Preprocessing

PHOTO = np.random.default_rng(0).integers(0, 256, (70, 100, 3)).astype(np.uint8)
ALL = paper_rows()
# The rows of Tables 2 and 3 have the maps of Table 1's; all passed on 2026-11-29.
SOME_IN_CI = [
    pytest.param(
        table,
        row,
        marks=pytest.mark.ci if table == 1 or row == "a" else pytest.mark.slow,
    )
    for table, row in ALL
]


def tiny_row(table, row, **arguments):
    if table != 1:
        arguments = {"num_classes": 2, **arguments}
        if row != "a":
            arguments = {"box_head": TwoFCBoxHead(16, name="box_head"), **arguments}
    return paper_row(
        table,
        row,
        tiny_backbone(),
        channels=8,
        anchor_sizes=(8, 16, 32, 64, 128),
        preprocessing=Preprocessing(min_size=64, max_size=128),
        **arguments,
    )


def given(model, boxes):
    """Proposals for a detector that takes them, as an argument of `detect`."""
    return {"proposals": boxes} if "proposals" in model.extra_inputs else {}


BOXES = [[10, 5, 60, 50], [30, 20, 90, 65], [2, 2, 40, 40]]  # in PHOTO


def test_all_rows_of_the_paper_are_there():
    assert [row for table, row in ALL if table == 1] == list("abcdef")
    assert [row for table, row in ALL if table == 2] == list("abcdef")
    assert [row for table, row in ALL if table == 3] == list("abc")
    assert [row for table, row in ALL if table == "figure 2"] == ["top", "bottom"]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        # Levels of the anchors, of a photo of 64x128 pixels, and anchors per cell.
        ("a", {"P4": 4 * 8 * 15}),
        ("b", {"P5": 2 * 4 * 15}),
        ("c", {"P2": 1536, "P3": 384, "P4": 96, "P5": 24, "P6": 6}),
        ("d", {"P2": 1536, "P3": 384, "P4": 96, "P5": 24, "P6": 6}),
        ("e", {"P2": 1536, "P3": 384, "P4": 96, "P5": 24, "P6": 6}),
        ("f", {"P2": 16 * 32 * 15}),
    ],
)
def test_anchors_are_on_the_levels_of_the_row(row, cells):
    model = tiny_row(1, row)
    x = {
        "images": keras.KerasTensor((1, 64, 128, 3)),
        "image_sizes": keras.KerasTensor((1, 2)),
    }
    anchors = model.trunk(x)["anchors"]
    assert {name: boxes.shape[0] for name, boxes in anchors.items()} == cells


def test_rows_differ_from_the_pyramid_only_in_the_parts_of_their_row():
    whole = tiny_row(1, "c").parts.layers()
    necks = {}
    for row in "de":
        parts = tiny_row(1, row).parts.layers()
        different = {
            name
            for name, layer in parts.items()
            if name != "backbone" and layer.get_config() != whole[name].get_config()
        }
        assert different == {"neck"}
        necks[row] = parts["neck"]
    assert type(necks["d"].merge["C2"]) is NoTopDown
    assert type(necks["e"]) is TopDownWithoutLateral
    assert type(whole["neck"].merge["C2"]) is TopDownMerge


@pytest.mark.parametrize("row", ["a", "b", "f"])
def test_one_map_has_as_many_candidates_as_several(row):
    proposals = tiny_row(1, row).proposals
    assert (proposals.pre_nms_top_k, proposals.post_nms_top_k) == (6000, 1000)
    training = proposals.training_pre_nms_top_k, proposals.training_post_nms_top_k
    assert training == (12000, 2000)


@pytest.fixture(scope="module")
def covered():
    """The classes of layers that stand in a detector with recorded numbers."""
    model = keras_fpn.models.faster_rcnn_fpn(tiny_backbone(), num_classes=2)
    return {type(layer) for layer in model.parts.layers().values()}


@pytest.mark.parametrize(("table", "row"), ALL)
def test_every_layer_is_one_of_a_detector_with_recorded_numbers(table, row, covered):
    # Only these stand in no model that a recording covers; their own tests do.
    new = {"SingleMap", "TopDownWithoutLateral", "StageBoxHead", "NoTopDown"}
    known = covered | {keras.layers.Identity, keras_fpn.layers.ProposalDetections}
    for layer in tiny_row(table, row).parts.layers().values():
        assert type(layer) in known or type(layer).__name__ in new


# On TensorFlow all rows are tried below.
@pytest.mark.ci
@pytest.mark.parametrize(
    "row", ["a"] if keras.backend.backend() == "tensorflow" else ["a", "f"]
)
def test_rows_on_a_single_map_learn_and_are_saved(row, tmp_path):
    _learned_and_saved(1, row, tmp_path)


@pytest.mark.tensorflow_only  # JAX compiles each for half a minute; two are tried above
@pytest.mark.parametrize(("table", "row"), SOME_IN_CI)
def test_every_row_learns_is_saved_and_served(table, row, tmp_path):
    model, expected = _learned_and_saved(table, row, tmp_path)
    _is_served(model, expected, tmp_path)


def _learned_and_saved(table, row, tmp_path):
    """Returns the detector from the file, and what it finds."""
    keras.utils.set_random_seed(0)
    model = tiny_row(table, row)
    image = np.full((1, 64, 96, 3), 30, "float32")
    image[0, 16:48, 24:72] = (230, 120, 40)
    boxes = np.array([[[20, 18, 70, 50], [50, 30, 96, 64], [0, 0, 0, 0]]], "float32")
    x = {"images": image, "image_sizes": np.array([[64, 96]], "float32")}
    x |= given(model, boxes)
    y = {
        "boxes": np.array([[[24, 16, 72, 48]]], "float32"),
        "labels": np.array([[1]]),
    }
    model.compile(keras.optimizers.Adam(0.003))
    trained = model.trainable_variables
    if table == 2:  # RoIs in so small a photo read only one level
        heads = model.box_head, model.box_predictor
        trained = [w for head in heads for w in head.trainable_variables]
    before = [keras.ops.convert_to_numpy(w) for w in trained]
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for variable, old in zip(trained, before, strict=True):
        assert not np.array_equal(variable, old), f"{variable.path} is not trained"
    model.save(tmp_path / "row.keras")
    again = keras.models.load_model(tmp_path / "row.keras")
    [found] = again.detect(PHOTO, **given(again, BOXES))
    [expected] = model.detect(PHOTO, **given(model, BOXES))
    assert len(expected["scores"])
    for name, value in expected.items():
        assert_array_equal(found[name], value)
    return again, found


def _is_served(model, expected, tmp_path):
    import tensorflow as tf

    folder = keras_fpn.export.export_saved_model(model, tmp_path / "served")
    served = tf.saved_model.load(str(folder)).signatures["image_tensor"]
    swapped = np.array([BOXES], "float32")[..., [1, 0, 3, 2]]
    more = {k: tf.constant(v) for k, v in given(model, swapped).items()}
    found = served(inputs=tf.constant(PHOTO[None]), **more)
    count = int(found["num_detections"][0])
    assert count == len(expected["scores"])
    boxes = found["detection_boxes"].numpy()[0, :count, [1, 0, 3, 2]].T
    distances = np.abs(boxes[:, None] - expected["boxes"]).max(axis=-1)
    # Boxes of nearly equal scores may change places.
    assert distances.min(axis=0).max() < 0.05
    assert distances.min(axis=1).max() < 0.05


@pytest.mark.parametrize("table", [2, 3])
def test_the_last_stage_is_the_head_of_row_a(table):
    backbone = tiny_backbone()
    model = paper_row(table, "a", backbone, num_classes=2)
    assert list(model.backbone.output) == ["C2", "C3", "C4"]
    assert model.box_head.stage.weights[0] is backbone.get_layer("C5").weights[0]
    assert model.roi_align.output_size == 14


def test_imagenet_weights_reach_the_stage_in_the_head(monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "keras_fpn.models.ablations.load_imagenet",
        lambda backbone, weights: loaded.append((list(backbone.output), weights)),
    )
    paper_row(3, "a", tiny_backbone(), "imagenet", num_classes=2)
    assert loaded == [(["C2", "C3", "C4", "C5"], "imagenet")]


def test_parts_replace_those_of_the_row():
    neck = keras_fpn.layers.SingleMap("C4", name="neck")
    assert tiny_row(1, "a", neck=neck).neck is neck


@pytest.mark.parametrize(("table", "row"), [(1, "g"), (3, "d"), (4, "a"), ("1", "a")])
def test_an_unknown_row_is_named(table, row):
    received = rf"received table={table!r}, row='{row}'"
    with pytest.raises(ValueError, match=received):
        paper_row(table, row)


@pytest.mark.parametrize("row", ["a", "b", "c"])
def test_an_unknown_backbone_is_named(row):
    with pytest.raises(ValueError, match="received backbone='resnet5'"):
        paper_row(3, row, "resnet5")


def test_a_backbone_without_the_rows_level_raises():
    with pytest.raises(ValueError, match="received level='C4'"):
        paper_row(1, "a", tiny_backbone(("C2", "C3")))
