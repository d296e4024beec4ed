"""Cascade R-CNN, with and without masks, as far as it is not Faster or Mask R-CNN."""

import dataclasses

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from models.tiny_cascade import CODERS, tiny_cascade, two_stages
from models.truths import floats, truth_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of
from skimage import data

from keras_fpn.layers import (
    BoxPredictor,
    Detections,
    MeanProbabilities,
    RefinedBoxes,
)
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.models import (
    CascadeStage,
    Match,
    cascade_mask_rcnn_fpn,
    cascade_rcnn_fpn,
)
from keras_fpn.models.cascade_branch import CascadeBranch
from keras_fpn.models.roi_branch import SampledRoIs
from keras_fpn.training.transfer import with_classes

PHOTO = np.ascontiguousarray(data.coffee())


@pytest.fixture(scope="module")
def model():
    return tiny_cascade(cascade_mask_rcnn_fpn)


def test_the_papers_stages_are_the_default():
    parts = cascade_rcnn_fpn(tiny_backbone(), num_classes=5).parts
    matches = [(stage.match.lower, stage.match.upper) for stage in parts.box.cascade]
    assert matches == [(0.5, 0.5), (0.6, 0.6), (0.7, 0.7)]
    coders = [stage.refined_boxes.coder.weights for stage in parts.box.cascade]
    assert coders == [(10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15)]
    assert parts.box.detections.coder == parts.box.cascade[-1].refined_boxes.coder
    assert parts.box.loss_names == tuple(
        f"{it}_loss_{n}" for n in (1, 2, 3) for it in ("class", "box")
    )


def test_each_stage_reads_the_boxes_of_the_one_before(model):
    inputs, _ = model.preprocessing.prepare([PHOTO])
    stages = arrays(model.trunk(inputs, training=False))
    branch, rois, probabilities = model.parts.box, stages["rois"], []
    for stage in branch.cascade:
        features = branch.roi_align(stages["pyramid"], rois)
        logits, deltas = stage.predictions(features)
        probabilities.append(arrays(keras.ops.softmax(logits)))
        last, rois = rois, stage.refined_boxes(deltas, rois, stages["image_sizes"])
    assert np.abs(arrays(rois) - stages["rois"]).max() > 1  # boxes do move
    mean = np.log(np.mean(probabilities, axis=0))
    expected = branch.detections(mean, deltas, last, stages["image_sizes"])
    found = model(inputs, training=False)
    for name, value in expected.items():
        assert_allclose(arrays(found[name]), arrays(value), rtol=1e-3, atol=1e-2)
    assert int(found["num_detections"][0]) > 5


class Fixed(keras.layers.Layer):
    """A predictor that moves every box by the same deltas."""

    class_agnostic = True

    def __init__(self, delta):
        super().__init__()
        self.delta = delta

    def call(self, hidden):
        batch, rois = keras.ops.shape(hidden)[:2]
        deltas = keras.ops.broadcast_to(
            keras.ops.convert_to_tensor(self.delta), (batch, rois, 1, 4)
        )
        return keras.ops.zeros((batch, rois, 3)), deltas


def branch_of(*deltas):
    """A cascade without weights whose stages move boxes by the given deltas."""
    stages = tuple(
        CascadeStage(
            lambda features, training: features,
            Fixed(floats(delta)),
            RefinedBoxes(coder),
            Match(iou, iou),
        )
        for delta, coder, iou in zip(deltas, CODERS, (0.5, 0.7), strict=True)
    )
    return CascadeBranch(
        lambda pyramid, rois: keras.ops.convert_to_tensor(rois) * 1.0,
        stages,
        MeanProbabilities(),
        Detections(coder=CODERS[-1]),
    )


def losses_of(branch, sampled, truth, size=(100, 100)):
    def compute(boxes):
        rois = SampledRoIs(boxes, sampled.labels, sampled.matches)
        stages = {"pyramid": {}, "image_sizes": floats([size])}
        return list(branch.losses(stages, rois, truth, True))

    return outputs_of(compute, sampled.boxes)


def test_losses_by_hand():
    # Stage 1 moves boxes right by a tenth of their width; stage 2 leaves them.
    branch = branch_of([1, 0, 0, 0], [0, 0, 0, 0])
    truth = truth_of([[12, 10, 32, 30]], [[1]])
    boxes = floats([[[10, 10, 30, 30], [60, 60, 80, 80], [0, 0, 0, 0]]])
    labels = np.array([[POSITIVE, NEGATIVE, IGNORED]], "int32")
    sampled = SampledRoIs(boxes, labels, np.zeros((1, 3), "int32"))
    (first, count), (second, later) = losses_of(branch, sampled, truth)
    assert (count, later) == (2, 2)
    # Uniform over two classes and the background.
    assert_allclose(first["class_loss_1"], 2 * np.log(3), rtol=1e-5)
    assert_allclose(second["class_loss_2"], 2 * np.log(3), rtol=1e-5)
    # The deltas of stage 1 are right, and so is the box that stage 2 gets.
    assert_allclose(first["box_loss_1"], 0, atol=1e-4)
    assert_allclose(second["box_loss_2"], 0, atol=1e-4)


def test_a_stage_labels_boxes_by_its_own_iou():
    # IoU 60/100 with the object: enough for the first stage, not for the second.
    branch = branch_of([0, 0, 0, 0], [0, 0, 0, 0])
    truth = truth_of([[0, 0, 10, 10]], [[0]])
    boxes = floats([[[0, 0, 10, 6]]])
    sampled = SampledRoIs(
        boxes, np.array([[POSITIVE]], "int32"), np.zeros((1, 1), "int32")
    )
    (first, _), (second, count) = losses_of(branch, sampled, truth)
    # The center is 2 / 6 of the height below, the height 10 / 6.
    expected = 10 * 2 / 6 + 5 * np.log(10 / 6)
    assert_allclose(first["box_loss_1"], expected, rtol=1e-4)
    assert second["box_loss_2"] == 0
    assert count == 1


def test_boxes_that_become_empty_do_not_count():
    # A tenth of the width per unit: 200 units are 20 widths, beyond the image.
    branch = branch_of([200, 0, 0, 0], [0, 0, 0, 0])
    truth = truth_of([[10, 10, 30, 30]], [[0]])
    sampled = SampledRoIs(
        floats([[[10, 10, 30, 30]]]),
        np.array([[POSITIVE]], "int32"),
        np.zeros((1, 1), "int32"),
    )
    (_, count), (second, later) = losses_of(branch, sampled, truth)
    assert (count, later) == (1, 0)
    assert second == {"class_loss_2": 0, "box_loss_2": 0}


def test_gradients_into_the_pyramid_are_divided_by_the_stages():
    from gradients import loss_and_gradients

    from keras_fpn.models.cascade_branch import _scaled_gradient

    variable = keras.Variable(floats([1.0, 2.0]))

    def loss(inputs):
        scaled = _scaled_gradient(variable * inputs, 0.25)
        return {"loss": keras.ops.sum(scaled)}

    losses, [gradient] = loss_and_gradients(loss, [variable], floats([3.0, 5.0]))
    assert_allclose(losses["loss"], 13, rtol=1e-6)
    assert_allclose(gradient, [0.75, 1.25], rtol=1e-6)


def targets():
    boxes = floats([[[10, 10, 50, 50], [60, 20, 100, 90]]] * 2)
    return {
        "boxes": boxes,
        "labels": np.array([[0, 2], [1, 1]]),
        "masks": np.full((2, 2, 8, 8), 255, "uint8"),
        "mask_windows": boxes,
    }


@pytest.mark.ci
def test_every_loss_falls_in_training():
    model = tiny_cascade(cascade_mask_rcnn_fpn)
    for number in (1, 2):  # formula weights are too large to learn with
        predictor = getattr(model, f"box_predictor_{number}")
        for weight in predictor.weights:
            weight.assign(0.01 * weight)
    draw = np.random.default_rng(0)
    inputs = {
        "images": draw.uniform(0, 255, (2, 96, 128, 3)).astype("float32"),
        "image_sizes": floats([[96, 128]] * 2),
    }
    model.compile(keras.optimizers.Adam(1e-3))
    found = model.fit(inputs, targets(), epochs=12, batch_size=2, verbose=0).history
    assert set(found) == {"loss", *model.loss_names}
    assert np.isfinite(list(found.values())).all()
    for name in ("class_loss_1", "class_loss_2"):
        assert found[name][-1] < 0.9 * found[name][0], name


def test_known_classes_keep_their_columns_and_all_keep_the_box():
    source = tiny_cascade(class_names=["a", "b", "c"])
    model = with_classes(source, ["new", "c"], [7, 8])
    for number in (1, 2):
        own, theirs = (
            getattr(each, f"box_predictor_{number}") for each in (model, source)
        )
        for column, wanted in ((1, 2), (2, 3)):  # "c" and the background
            assert_array_equal(
                arrays(own.class_logits.kernel)[:, column],
                arrays(theirs.class_logits.kernel)[:, wanted],
            )
        assert_array_equal(
            arrays(own.box_deltas.kernel), arrays(theirs.box_deltas.kernel)
        )


def test_stages_that_do_not_fit_are_named():
    stages = two_stages(3)
    with pytest.raises(ValueError, match=r"at least one stage; received cascade=\(\)"):
        tiny_cascade(cascade=(), detections=Detections(name="detections"))
    own = dataclasses.replace(
        stages[1], box_predictor=BoxPredictor(3, name="box_predictor_2")
    )
    with pytest.raises(ValueError, match=r"<BoxPredictor name=box_predictor_2"):
        tiny_cascade(cascade=(stages[0], own))
    with pytest.raises(ValueError, match=r"\(20.*received detections.coder=.*10"):
        tiny_cascade(detections=Detections(coder=CODERS[0], name="detections"))
    with pytest.raises(ValueError, match=r"box_predictor_1.num_classes=4"):
        tiny_cascade(cascade=two_stages(4))
