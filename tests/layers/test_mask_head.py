import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import ConvNorm, FCNMaskHead, MaskDetections, MaskPredictor


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_head_keeps_what_a_layer_owes(norm):
    check_layer(
        FCNMaskHead,
        {"num_convs": 2, "channels": 6, "norm": norm},
        (features(2, 5, 3, 3, 4),),
        ((None, None, 3, 3, 4),),
        (features(1, 7, 3, 3, 4),),
    )


def test_the_predictor_keeps_what_a_layer_owes():
    check_layer(
        MaskPredictor,
        {"num_classes": 3, "channels": 5},
        (features(2, 5, 3, 3, 4),),
        ((None, None, 3, 3, 4),),
        (features(1, 7, 3, 3, 4),),
    )


def test_the_papers_head_is_the_default():
    head, predictor = FCNMaskHead(), MaskPredictor(80)
    assert (head.num_convs, head.channels, head.norm) == (4, 256, None)
    predictor.build((None, None, 14, 14, 256))
    assert predictor.upsample.filters == 256


def test_convolutions_come_one_after_another():
    head = FCNMaskHead(2, 6)
    head.build((None, None, 3, 3, 4))
    randomize(head)
    rois = features(2, 5, 3, 3, 4)
    hidden = rois.reshape(10, 3, 3, 4)
    for number, convolution in enumerate(head.convolutions, start=1):
        assert convolution.name == f"conv{number}"
        alone = ConvNorm(6, 3)
        alone.build(hidden.shape)
        alone.set_weights(convolution.get_weights())
        hidden = np.maximum(outputs_of(alone, hidden), 0)
    expected = hidden.reshape(2, 5, 3, 3, 6)
    assert 0 < np.count_nonzero(expected) < expected.size
    assert_allclose(outputs_of(head, rois), expected, rtol=1e-3, atol=1e-4)


def test_live_norms_of_the_head_learn_in_training_only():
    head = FCNMaskHead(2, 6, norm="batch")
    rois = features(2, 5, 3, 3, 4)
    head(rois)
    assert not any(arrays(c.moving_mean).any() for c in head.convolutions)
    head(rois, training=True)
    assert all(arrays(c.moving_mean).any() for c in head.convolutions)


def test_every_cell_becomes_four_by_the_kernels_place():
    predictor = MaskPredictor(2, channels=1)
    predictor.build((None, None, 1, 2, 1))
    kernel = np.array([[1.0, 2.0], [3.0, -4.0]]).reshape(2, 2, 1, 1)
    predictor.upsample.kernel.assign(kernel)
    predictor.mask_logits.kernel.assign(np.array([[[[1.0, -1.0]]]]))
    predictor.mask_logits.bias.assign([0.5, 0.0])
    hidden = np.array([1.0, 10.0], "float32").reshape(1, 1, 1, 2, 1)
    logits = outputs_of(predictor, hidden)
    assert logits.shape == (1, 1, 2, 4, 2)
    # The ReLU is between the two layers: 0 where the kernel is negative.
    upsampled = np.array([[1, 2, 10, 20], [3, 0, 30, 0]])
    assert_array_equal(logits[0, 0, :, :, 0], upsampled + 0.5)
    assert_array_equal(logits[0, 0, :, :, 1], -upsampled)


def test_the_masks_keep_what_a_layer_owes():
    labels = np.array([[0, 2, -1], [1, -1, -1]], "float32")
    check_layer(
        MaskDetections,
        {},
        (features(2, 3, 4, 4, 3), labels),
        ((None, 3, 4, 4, 3), (None, 3)),
        (features(1, 3, 4, 4, 3, seed=1), labels[:1]),
        half="float32",
    )


def test_each_detection_has_the_mask_of_its_class_and_padding_none():
    logits = features(2, 3, 4, 4, 5)
    labels = np.array([[4, 0, 2, -1, -1], [3, -1, -1, -1, -1]], "int32")
    masks = outputs_of(MaskDetections(), logits, labels)
    assert masks.shape == (2, 5, 4, 4)
    for image, row in np.ndindex(2, 5):
        label = labels[image, row]
        if label < 0:
            assert not masks[image, row].any()
            continue
        expected = 1 / (1 + np.exp(-logits[image, row, :, :, label]))
        assert_allclose(masks[image, row], expected, rtol=1e-5)


def test_rows_of_a_free_number_are_filled_up():
    logits = keras.Input((None, 4, 4, 5))
    masks = MaskDetections()(logits, keras.Input((7,), dtype="int32"))
    assert masks.shape == (None, 7, 4, 4)
