import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import DenseHead, DensePredictor

FREE = dict.fromkeys(("P3", "P4"), (None, None, None, 4))


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pyramid_of(batch, height, width, seed=0):
    return {
        "P3": maps(batch, 2 * height, 2 * width, 4, seed=seed),
        "P4": maps(batch, height, width, 4, seed=seed + 1),
    }


def test_towers_keep_what_a_layer_owes():
    check_layer(
        DenseHead,
        {"num_convs": 2, "norm": "group"},
        (pyramid_of(2, 3, 4),),
        (FREE,),
        (pyramid_of(1, 2, 5),),
    )


def test_predictors_keep_what_a_layer_owes():
    check_layer(
        DensePredictor,
        {"num_classes": 3, "num_anchors": 2},
        (pyramid_of(2, 3, 4), pyramid_of(2, 3, 4, seed=2)),
        (FREE, FREE),
        (pyramid_of(1, 2, 5), pyramid_of(1, 2, 5, seed=2)),
    )


def test_the_towers_are_two_and_shared_by_all_levels():
    same = maps(1, 3, 4, 4)
    head = DenseHead(num_convs=3)
    classes, boxes = outputs_of(head, {"P3": same, "P4": same})
    assert_array_equal(classes["P3"], classes["P4"])
    assert np.abs(classes["P3"] - boxes["P3"]).max() > 0
    assert classes["P3"].min() == 0  # a ReLU ends each
    assert len(head.weights) == 2 * 3 * 2  # kernel and bias


def test_predictions_go_row_by_row_with_a_cells_anchors_and_their_classes_together():
    # One channel, cells 1 to 6. Logit c of anchor a is the value plus 10 * a + c.
    values = np.arange(1, 7, dtype="float32").reshape(1, 2, 3, 1)
    predictor = DensePredictor(3, 2)
    predictor({"P3": values}, {"P3": values})
    for layer in (predictor.class_logits, predictor.box_deltas):
        kernel = np.zeros(layer.kernel.shape)
        kernel[1, 1] = 1
        layer.kernel.assign(kernel)
    predictor.class_logits.bias.assign([0, 1, 2, 10, 11, 12])
    predictor.box_deltas.bias.assign([0, 1, 2, 3, 10, 11, 12, 13])
    logits, deltas = outputs_of(predictor, {"P3": values}, {"P3": 100 * values})
    assert logits["P3"].shape == (1, 12, 3)
    assert_allclose(logits["P3"][0, 4], [3, 4, 5])  # cell 3, anchor 0
    assert_allclose(logits["P3"][0, 11], [16, 17, 18])  # cell 6, anchor 1
    assert_allclose(deltas["P3"][0, 11], [610, 611, 612, 613])


def test_at_the_start_every_class_is_improbable():
    predictor = DensePredictor(2, 3)
    zeros = {"P3": np.zeros((1, 2, 2, 4), "float32")}
    logits, deltas = outputs_of(predictor, zeros, zeros)
    assert_allclose(1 / (1 + np.exp(-logits["P3"])), 0.01, rtol=1e-5)
    assert_array_equal(deltas["P3"], 0)
    assert 0.005 < arrays(predictor.class_logits.kernel).std() < 0.015


def test_a_head_without_convolutions_is_refused():
    with pytest.raises(ValueError, match="received num_convs=0"):
        DenseHead(num_convs=0)
