import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import RPNHead


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pyramid_of(batch, height, width, seed=0):
    return {
        "P3": maps(batch, 2 * height, 2 * width, 4, seed=seed),
        "P4": maps(batch, height, width, 4, seed=seed + 1),
    }


def passing_head(pyramid, num_anchors, **options):
    """A head whose 3 x 3 convolutions pass their input on, predictors still zero."""
    head = RPNHead(num_anchors, **options)
    head(pyramid)
    for convolutions, objectness, deltas in head.towers.values():
        for convolution in convolutions:
            kernel = np.zeros(convolution.kernel.shape)
            kernel[1, 1] = np.eye(kernel.shape[-1])
            convolution.kernel.assign(kernel)
        for predictor in (objectness, deltas):
            predictor.kernel.assign(np.zeros(predictor.kernel.shape))
    return head


@pytest.mark.parametrize("num_convs", [2, 3])
def test_keeps_what_a_layer_owes(num_convs):
    check_layer(
        RPNHead,
        {"num_anchors": 2, "num_convs": num_convs, "shared": False},
        (pyramid_of(2, 3, 4),),
        (dict.fromkeys(("P3", "P4"), (None, None, None, 4)),),
        (pyramid_of(1, 2, 5),),
    )


def test_predictions_go_row_by_row_with_a_cells_anchors_together():
    # One channel, cells 1 to 6. Anchor a's logit is the cell's value times 10^a; delta
    # d of anchor a is the value plus 10 * a + d.
    pyramid = {"P3": np.arange(1, 7, dtype="float32").reshape(1, 2, 3, 1)}
    head = passing_head(pyramid, 2)
    _, objectness, deltas = head.towers["P3"]
    objectness.kernel.assign(np.array([1, 10]).reshape(1, 1, 1, 2))
    deltas.kernel.assign(np.ones((1, 1, 1, 8)))
    deltas.bias.assign([0, 1, 2, 3, 10, 11, 12, 13])
    logits, moves = outputs_of(head, pyramid)
    expected = [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60]
    assert_allclose(logits["P3"], [expected], rtol=1e-6)
    assert moves["P3"].shape == (1, 12, 4)
    assert_allclose(moves["P3"][0, 4], [3, 4, 5, 6], rtol=1e-6)  # cell 3, anchor 0
    assert_allclose(moves["P3"][0, 11], [16, 17, 18, 19], rtol=1e-6)  # cell 6, anchor 1


@pytest.mark.parametrize("num_convs", [1, 2])
def test_negative_features_end_at_the_relu(num_convs):
    pyramid = {"P3": np.array([-5, 5], "float32").reshape(1, 1, 2, 1)}
    head = passing_head(pyramid, 1, num_convs=num_convs)
    _, objectness, _ = head.towers["P3"]
    objectness.kernel.assign(-np.ones((1, 1, 1, 1)))
    logits, _ = outputs_of(head, pyramid)
    assert_array_equal(logits["P3"], [[0, -5]])  # the predictor itself has none


def test_shared_weights_say_the_same_of_the_same_map_on_every_level():
    same = maps(2, 4, 5, 4)
    head = RPNHead(3)
    logits, deltas = outputs_of(head, {"P3": same, "P4": same})
    assert_array_equal(logits["P3"], logits["P4"])
    assert_array_equal(deltas["P3"], deltas["P4"])
    assert len(head.weights) == 6  # three convolutions, each kernel and bias
    assert [layer.name for layer in head.towers["P4"][0]] == ["conv1"]


def test_unshared_weights_differ_by_level():
    same = maps(2, 4, 5, 4)
    head = RPNHead(3, num_convs=2, shared=False)
    logits, _ = outputs_of(head, {"P3": same, "P4": same})
    assert not np.array_equal(logits["P3"], logits["P4"])
    assert len(head.weights) == 2 * 8
    names = [layer.name for layer in head.towers["P4"][0]]
    assert names == ["conv1_P4", "conv2_P4"]


def test_the_papers_head_is_the_default():
    config = RPNHead().get_config()
    assert (config["num_anchors"], config["num_convs"]) == (3, 1)
    assert config["shared"] is True


def test_both_kinds_start_near_zero():
    keras.utils.set_random_seed(0)
    head = RPNHead(3)
    head.build({"P3": (None, 4, 4, 64)})
    convolutions, objectness, deltas = head.towers["P3"]
    for layer in (*convolutions, objectness, deltas):
        assert layer.kernel_initializer.stddev == 0.01
        assert_allclose(arrays(layer.kernel).std(), 0.01, rtol=0.2)
        assert not arrays(layer.bias).any()


@pytest.mark.parametrize(
    ("height", "width", "anchors"), [(4, 6, 48), (None, 6, None), (4, None, None)]
)
def test_the_number_of_predictions_is_known_with_height_and_width(
    height, width, anchors
):
    shapes = {"P3": (None, height, width, 8)}
    objectness, deltas = RPNHead(2).compute_output_shape(shapes)
    assert objectness == {"P3": (None, anchors)}
    assert deltas == {"P3": (None, anchors, 4)}


def test_one_row_of_cells_is_a_map_too():
    logits, deltas = outputs_of(RPNHead(3), {"P6": maps(1, 1, 2, 4)})
    assert logits["P6"].shape == (1, 6)
    assert deltas["P6"].shape == (1, 6, 4)


@pytest.mark.parametrize("num_convs", [0, -1])
def test_a_head_without_convolutions_is_refused(num_convs):
    message = f"one convolution; received num_convs={num_convs}"
    with pytest.raises(ValueError, match=message):
        RPNHead(num_convs=num_convs)


def test_a_pyramid_with_a_gap_is_refused():
    with pytest.raises(ValueError, match=r"missing level \[4\]"):
        RPNHead().build({"P3": (None, 8, 8, 4), "P5": (None, 2, 2, 4)})
