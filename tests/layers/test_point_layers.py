"""The layers of FCOS beside those of dense heads: see test_dense_detections.py."""

import numpy as np
import pytest
from layer_checks import check_layer, randomize
from layers.test_dense_detections import by_loop, floats, random_inputs
from layers.test_dense_head import FREE, pyramid_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

from keras_fpn.layers import DenseHead, PointDetections, PointPredictor
from keras_fpn.point_coder import PointCoder


def test_predictors_keep_what_a_layer_owes():
    check_layer(
        PointPredictor,
        {"num_classes": 3},
        (pyramid_of(2, 3, 4), pyramid_of(2, 3, 4, seed=2)),
        (FREE, FREE),
        (pyramid_of(1, 2, 5), pyramid_of(1, 2, 5, seed=2)),
    )


def test_towers_can_have_a_bias_before_the_norm():
    head = DenseHead(num_convs=1, norm="biased_group")
    outputs_of(head, pyramid_of(1, 2, 3))
    names = [weight.name for weight in head.class_tower[0].weights]
    assert names == ["kernel", "bias", "gamma", "beta"]


def test_distances_are_not_negative_and_centerness_reads_the_boxes_tower():
    predictor = PointPredictor(2)
    classes, boxes = pyramid_of(1, 2, 3), pyramid_of(1, 2, 3, seed=5)
    predictor(classes, boxes)
    randomize(predictor)
    logits, deltas, central = outputs_of(predictor, classes, boxes)
    assert deltas["P3"].shape == (1, 24, 4)
    assert deltas["P3"].min() == 0 < deltas["P3"].max()
    assert central["P4"].shape == (1, 6)
    others = outputs_of(predictor, pyramid_of(1, 2, 3, seed=9), boxes)
    assert_array_equal(others[2]["P3"], central["P3"])
    assert np.abs(others[0]["P3"] - logits["P3"]).max() > 0


def test_distances_start_at_one_stride():
    zeros = {"P3": np.zeros((1, 2, 2, 4), "float32")}
    _, deltas, central = outputs_of(PointPredictor(2), zeros, zeros)
    assert_array_equal(deltas["P3"], 1)
    assert_array_equal(central["P3"], 0)


def inputs_of(batch, counts, seed):
    anchors, logits, deltas, sizes = random_inputs(batch, counts, seed)
    generator = np.random.default_rng(seed)
    central = {
        name: floats(generator.normal(0, 2, rows.shape[:2]))
        for name, rows in logits.items()
    }
    deltas = {name: np.abs(rows) for name, rows in deltas.items()}
    return anchors, logits, deltas, sizes, central


def test_scores_are_the_geometric_mean_with_centerness():
    layer = PointDetections(0.3, max_detections=20, pre_nms_top_k=4)
    anchors, logits, deltas, sizes, central = inputs_of(2, {"P3": 40, "P4": 11}, 3)
    found = outputs_of(layer, anchors, logits, deltas, sizes, central)
    chances = {}
    for name, values in logits.items():
        both = [1 / (1 + np.exp(-v)) for v in (values, central[name][..., None])]
        score = np.sqrt(both[0] * both[1])
        chances[name] = np.log(score / (1 - score))
    expected = by_loop(anchors, chances, deltas, sizes, layer)
    for image, rows in enumerate(expected):
        count = found["num_detections"][image]
        assert count == len(rows) > 2
        assert_allclose(found["scores"][image, :count], rows[:, 0], rtol=1e-4)
        assert_allclose(found["boxes"][image, :count], rows[:, 2:], atol=1e-4)


def test_numbers_of_detections_are_torchvisions():
    config = PointDetections().get_config()
    numbers = [
        config[name] for name in ("score_threshold", "nms_threshold", "max_detections")
    ]
    assert numbers == [0.2, 0.6, 100]
    again = PointDetections.from_config(config)
    assert again.coder == PointCoder()
    assert again.get_config() == config


@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    import tensorflow as tf

    inputs = inputs_of(1, {"P3": 20}, 4)
    layer = PointDetections(max_detections=9, pre_nms_top_k=15)
    expected = outputs_of(layer, *inputs)
    tensors = tf.nest.map_structure(tf.constant, inputs)
    found = tf.function(layer, jit_compile=True)(*tensors)
    assert_allclose(found["boxes"], expected["boxes"], atol=1e-4)
