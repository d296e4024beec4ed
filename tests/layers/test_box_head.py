import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import BoxPredictor, ConvBoxHead, ConvNorm, TwoFCBoxHead


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(layer, *shape):
    layer.build(shape)
    randomize(layer)
    return layer


def relu(values):
    return np.maximum(values, 0)


def dense(layer, inputs):
    return inputs @ arrays(layer.kernel) + arrays(layer.bias)


def test_two_fully_connected_keep_what_a_layer_owes():
    check_layer(
        TwoFCBoxHead,
        {"channels": 6},
        (features(2, 5, 3, 3, 4),),
        ((None, None, 3, 3, 4),),
        (features(1, 7, 3, 3, 4),),
    )


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_convolutions_keep_what_a_layer_owes(norm):
    check_layer(
        ConvBoxHead,
        {"num_convs": 2, "conv_channels": 6, "channels": 5, "norm": norm},
        (features(2, 5, 3, 3, 4),),
        ((None, None, 3, 3, 4),),
        (features(1, 7, 3, 3, 4),),
    )


def test_the_papers_heads_are_the_default():
    assert TwoFCBoxHead().channels == 1024
    head = ConvBoxHead()
    assert (head.num_convs, head.conv_channels, head.channels) == (4, 256, 1024)
    assert head.norm is None


def test_predictor_keeps_what_a_layer_owes():
    check_layer(
        BoxPredictor,
        {"num_classes": 3},
        (features(2, 5, 6),),
        ((None, None, 6),),
        (features(1, 7, 6),),
    )


@pytest.mark.parametrize(
    ("row", "column", "channel"), [(0, 0, 2), (0, 1, 0), (2, 1, 1)]
)
def test_features_are_flattened_row_by_row_channels_innermost(row, column, channel):
    head = TwoFCBoxHead(1)
    head.build((None, None, 3, 2, 4))  # 3 rows, 2 columns, 4 channels
    kernel = np.zeros((24, 1))
    kernel[(row * 2 + column) * 4 + channel] = 1
    head.fc1.kernel.assign(kernel)
    head.fc2.kernel.assign([[1.0]])
    rois = relu(features(2, 3, 3, 2, 4)) + 1
    got = outputs_of(head, rois)[..., 0]
    assert_array_equal(got, rois[:, :, row, column, channel])


def test_both_layers_end_in_a_relu():
    head = built(TwoFCBoxHead(8), None, None, 2, 2, 3)
    rois = features(2, 5, 2, 2, 3)
    hidden = relu(dense(head.fc1, rois.reshape(2, 5, 12)))
    expected = relu(dense(head.fc2, hidden))
    assert 0 < np.count_nonzero(expected) < expected.size
    assert_allclose(outputs_of(head, rois), expected, rtol=1e-4, atol=1e-5)


def test_convolutions_come_before_one_fully_connected_layer():
    head = built(ConvBoxHead(2, 6, 8), None, None, 3, 3, 4)
    rois = features(2, 5, 3, 3, 4)
    hidden = rois.reshape(10, 3, 3, 4)
    for convolution in head.convolutions:
        alone = ConvNorm(6, 3)
        alone.build(hidden.shape)
        alone.set_weights(convolution.get_weights())
        hidden = relu(outputs_of(alone, hidden))
    expected = relu(dense(head.fc, hidden.reshape(2, 5, 54)))
    assert 0 < np.count_nonzero(expected) < expected.size
    assert_allclose(outputs_of(head, rois), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_convs", [0, 1, 4])
def test_there_are_as_many_convolutions_as_asked_for(num_convs):
    head = built(ConvBoxHead(num_convs, 6, 8), None, None, 2, 2, 3)
    assert [layer.name for layer in head.convolutions] == [
        f"conv{number}" for number in range(1, num_convs + 1)
    ]
    assert outputs_of(head, features(1, 2, 2, 2, 3)).shape == (1, 2, 8)


def test_live_norms_of_the_head_learn_in_training_only():
    head = ConvBoxHead(2, 6, 8, norm="batch")
    rois = features(2, 5, 3, 3, 4)
    head(rois)
    head(rois, training=False)
    assert not any(arrays(c.moving_mean).any() for c in head.convolutions)
    head(rois, training=True)
    assert all(arrays(c.moving_mean).any() for c in head.convolutions)


@pytest.mark.parametrize("head", [TwoFCBoxHead(8), ConvBoxHead(1, 6, 8)])
def test_rois_do_not_see_each_other(head):
    built(head, None, None, 3, 3, 4)
    rois = features(2, 6, 3, 3, 4)
    order = [3, 0, 5, 1, 4, 2]
    together = outputs_of(head, rois)
    assert_allclose(outputs_of(head, rois[:, order]), together[:, order], atol=1e-5)


def test_no_rois_have_no_features():
    head = built(TwoFCBoxHead(8), None, None, 3, 3, 4)
    assert outputs_of(head, features(2, 0, 3, 3, 4)).shape == (2, 0, 8)


def test_every_class_has_four_deltas_of_its_own():
    predictor = BoxPredictor(3)
    predictor.build((None, None, 2))
    predictor.class_logits.kernel.assign(np.arange(8).reshape(2, 4))
    predictor.box_deltas.kernel.assign(np.arange(24).reshape(2, 12))
    predictor.box_deltas.bias.assign(np.full(12, 0.5))
    logits, deltas = outputs_of(predictor, np.array([[[0, 1], [10, 0]]], "float32"))
    assert_array_equal(logits[0], [[4, 5, 6, 7], [0, 10, 20, 30]])  # K + 1 columns
    assert deltas.shape == (1, 2, 3, 4)
    assert_array_equal(deltas[0, 0, 0], [12.5, 13.5, 14.5, 15.5])  # second row of 12
    assert_array_equal(deltas[0, 0, 2], [20.5, 21.5, 22.5, 23.5])
    assert_array_equal(deltas[0, 1, 1], [40.5, 50.5, 60.5, 70.5])


def test_predictor_starts_with_almost_equal_scores_and_unmoved_boxes():
    keras.utils.set_random_seed(0)
    predictor = BoxPredictor(90)
    predictor.build((None, None, 1024))
    assert_allclose(arrays(predictor.class_logits.kernel).std(), 0.01, rtol=0.02)
    assert_allclose(arrays(predictor.box_deltas.kernel).std(), 0.001, rtol=0.02)
    assert not arrays(predictor.class_logits.bias).any()
    assert not arrays(predictor.box_deltas.bias).any()
