import keras
import numpy as np
from layer_checks import check_layer
from numpy.testing import assert_allclose
from on_backend import arrays, outputs_of

from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import MeanProbabilities, RefinedBoxes

CODER = BoxCoder((20.0, 20.0, 10.0, 10.0), beta=0.0)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def boxes_and_sizes(batch, count):
    corners = np.abs(drawn(batch, count, 2)) * 20
    boxes = np.concatenate([corners, corners + 5 + np.abs(drawn(batch, count, 2))], -1)
    return boxes.astype("float32"), np.full((batch, 2), 100, "float32")


def test_refined_boxes_keep_what_a_layer_owes():
    check_layer(
        RefinedBoxes,
        {"coder": CODER},
        (drawn(2, 5, 1, 4), *boxes_and_sizes(2, 5)),
        ((None, None, 1, 4), (None, None, 4), (None, 2)),
        (drawn(3, 7, 1, 4), *boxes_and_sizes(3, 7)),
        half="float32",
    )


def test_mean_probabilities_keep_what_a_layer_owes():
    check_layer(
        MeanProbabilities,
        {},
        ([drawn(2, 5, 3, seed=n) for n in range(3)],),
        ([(None, None, 3)] * 3,),
        ([drawn(3, 7, 3, seed=n) for n in range(3)],),
        half="float32",
    )


def test_a_box_moves_by_its_delta_and_stays_in_its_image():
    rois = np.array([[[10, 20, 30, 40]], [[10, 20, 30, 40]]], "float32")
    # A quarter of the width to the right, twice as high.
    deltas = np.array([[[[5, 0, 0, 10 * np.log(2)]]]] * 2, "float32")
    sizes = np.array([[100, 100], [42, 32]], "float32")
    found = outputs_of(RefinedBoxes(CODER), deltas, rois, sizes)
    assert_allclose(found[0], [[15, 10, 35, 50]], atol=1e-4)
    assert_allclose(found[1], [[15, 10, 32, 42]], atol=1e-4)


def test_the_mean_is_of_probabilities_and_not_of_logits():
    stages = [np.log([[[0.9, 0.1]]]), np.log([[[0.2, 0.8]]]) + 7, np.zeros((1, 1, 2))]
    logits = outputs_of(MeanProbabilities(), [floats.astype("f4") for floats in stages])
    found = arrays(keras.ops.softmax(logits))
    assert_allclose(found[0, 0], [(0.9 + 0.2 + 0.5) / 3, (0.1 + 0.8 + 0.5) / 3], 1e-5)


def test_a_class_that_no_stage_allows_stays_impossible():
    certain = np.array([[[200.0, 0.0, 0.0]]], "float32")
    logits = outputs_of(MeanProbabilities(), [certain, certain])
    assert_allclose(arrays(keras.ops.softmax(logits))[0, 0], [1, 0, 0])
