"""Wrong targets raise an error before they train: forms, labels, units, losses."""

import re

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone

from keras_fpn.layers import DenseHead, FeaturePyramid
from keras_fpn.models import retinanet_fpn, rpn_fpn
from keras_fpn.models.target_check import check_targets, checked_data

SIDE = 64
BOX = [8.0, 8.0, 40.0, 48.0]
NO_BOX = [0.0, 0.0, 0.0, 0.0]


def targets(boxes, labels):
    return {"boxes": np.array(boxes, "float32"), "labels": np.array(labels)}


RIGHT = targets([[BOX, NO_BOX], [BOX, BOX]], [[0, -1], [2, 1]])
WRONG = {
    "a category id": (targets([[BOX]], [[3]]), r"0\.\.2.* received 3\."),
    "x, y, width, height": (
        targets([[BOX, [40, 8, 20, 30]]], [[0, 1]]),
        r"x1 <= x2.* received \[40\.0, 8\.0, 20\.0, 30\.0\]",
    ),
    "fractions": (targets([[[0.1, 0.2, 0.5, 1.01]]], [[0]]), r"pixels.* 1\.010\."),
    "fractions beside padding": (
        targets([[[0.1, 0.2, 0.5, 0.75], BOX]], [[0, -1]]),
        r"pixels.* 0\.750\.",
    ),
}


def inputs(count):
    return {
        "images": np.full((count, SIDE, SIDE, 3), 128, "float32"),
        "image_sizes": np.full((count, 2), SIDE, "float32"),
    }


def tiny_retinanet():
    return retinanet_fpn(
        tiny_backbone(("C3", "C4")),
        neck=FeaturePyramid(16, name="neck"),
        dense_head=DenseHead(1, name="dense_head"),
        num_classes=3,
    )


@pytest.fixture(scope="module")
def model():
    model = tiny_retinanet()
    model.compile(keras.optimizers.SGD(1e-4))
    return model


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arrays_are_refused(model, wrong, message):
    with pytest.raises(ValueError, match=message):
        model.fit(inputs(1), wrong, verbose=0)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_wrong_batches_of_a_data_set_are_refused_with_the_same_words(
    model, wrong, message
):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensors((inputs(1), wrong))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.fit(batches, shuffle=False, verbose=0)


@pytest.mark.tensorflow_only
def test_a_data_set_that_is_checked_has_the_same_batches():
    import tensorflow as tf

    weights = np.ones(2, "float32")
    for batch in [(inputs(2), RIGHT), (inputs(2), RIGHT, weights)]:
        batches = tf.data.Dataset.from_tensors(batch).repeat(3)
        checked = checked_data(batches, None, 3)
        assert checked.element_spec == batches.element_spec
        assert len(checked) == 3
        for one, two in zip(batches, checked, strict=True):
            keras.tree.map_structure(np.testing.assert_array_equal, one, two)


@pytest.mark.tensorflow_only
def test_data_sets_without_objects_and_other_data_are_left_alone():
    import tensorflow as tf

    maps = tf.data.Dataset.from_tensors((inputs(1), {"semantic_map": np.zeros(1)}))
    for data in (maps, tf.data.Dataset.range(2), iter([]), inputs(1), None):
        assert checked_data(data, None, 3) is data


def test_right_arrays_train(model):
    history = model.fit(inputs(2), RIGHT, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    "right",
    [
        RIGHT,
        targets(np.zeros((2, 0, 4)), np.zeros((2, 0), int)),
        targets([[NO_BOX]], [[-1]]),
        targets([[NO_BOX]], [[0]]),  # empty, which no loss reads
        targets([[[0, 0, 1, 1.6]]], [[0]]),  # small, but in pixels
        targets([[[0.1, 0.1, 0.9, 0.9], BOX]], [[0, 0]]),
        targets([[[5, 5, 4, 4]]], [[-1]]),
    ],
)
def test_right_targets_pass(right):
    check_targets(right["boxes"], right["labels"], 3)


def test_labels_of_any_class_are_right_for_a_detector_that_tells_none_apart():
    neck = FeaturePyramid(16, name="neck")
    model = rpn_fpn(tiny_backbone(("C3", "C4")), neck=neck)
    model.compile(keras.optimizers.SGD(1e-4))
    model.fit(inputs(1), targets([[BOX]], [[89]]), verbose=0)


def test_boxes_of_a_loader_are_not_looked_at_again():
    tiny = targets([[[0, 0, 1, 1]]], [[0]])  # there may be a photo with just such a box
    with pytest.raises(ValueError, match="pixels"):
        checked_data(None, tiny, 3)
    read = {**tiny, "photo_sizes": np.array([[48, 48]])}
    assert checked_data(None, read, 3) is None
    with pytest.raises(ValueError, match=r"0\.\.2"):
        checked_data(None, {**read, "labels": np.array([[3]])}, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": np.zeros((1, 1), "float32")}, r"float32 labels \(\w+, 1\)"),
        ({"labels": np.zeros((1,), "int32")}, r"int32 labels \(\w+,"),
        ({"labels": np.eye(3, dtype="int32")[None]}, r"int32 labels \(\w+, 3, 3\)"),
        ({"boxes": np.zeros((1, 1, 5), "float32")}, r"boxes \(\w+, 1, 5\)"),
        ({"boxes": np.zeros((1, 4), "float32")}, r"boxes \(\w+, 4\)"),
        ({"boxes": np.zeros((1, 2, 4), "float32")}, r"boxes \(\w+, 2, 4\)"),
    ],
)
def test_targets_of_another_form_are_refused(model, changed, message):
    with pytest.raises(ValueError, match=f"{message}.*docs/own_data.md"):
        model.fit(inputs(1), {**targets([[BOX]], [[0]]), **changed}, verbose=0)


@pytest.mark.tensorflow_only
def test_a_data_set_of_targets_of_another_form_is_refused_before_it_is_read(model):
    import tensorflow as tf

    wrong = {**targets([[BOX]], [[0]]), "labels": np.zeros((1, 1), "float32")}
    batches = tf.data.Dataset.from_tensors((inputs(1), wrong))
    with pytest.raises(ValueError, match=r"float32 labels \(1, 1\)"):
        model.fit(batches, shuffle=False, verbose=0)


@pytest.mark.parametrize("given", [{"loss": "mse"}, {"loss_weights": [1.0]}])
def test_losses_are_the_detectors_own(model, given):
    [(name, value)] = given.items()
    received = re.escape(f"{name}={value!r}")
    with pytest.raises(ValueError, match=f"'class_loss', 'box_loss'.*{received}"):
        model.compile("sgd", **given)


def test_a_saved_detector_is_loaded_compiled_with_the_state_of_its_optimizer(tmp_path):
    model = tiny_retinanet()
    model.compile(keras.optimizers.SGD(0.125, momentum=0.5))
    model.fit(inputs(2), RIGHT, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.momentum == 0.5
    pairs = zip(model.optimizer.variables, loaded.optimizer.variables, strict=True)
    for one, two in pairs:
        np.testing.assert_array_equal(np.array(one.value), np.array(two.value))
    assert len(loaded.optimizer.variables) > 2
    loaded.fit(inputs(2), RIGHT, verbose=0)
