"""The keypoint head and predictor: heat maps from the features of RoIs."""

import numpy as np
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose
from on_backend import arrays

from keras_fpn.layers import KeypointHead, KeypointPredictor


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_the_head_keeps_what_a_layer_owes():
    check_layer(
        KeypointHead,
        {"num_convs": 2, "channels": 6},
        (features(2, 3, 4, 4, 5),),
        ((None, None, 4, 4, 5),),
        (features(1, 2, 4, 4, 5),),
    )


def test_the_predictor_keeps_what_a_layer_owes():
    check_layer(
        KeypointPredictor,
        {"num_keypoints": 3},
        (features(2, 3, 4, 4, 5),),
        ((None, None, 4, 4, 5),),
        (features(1, 2, 4, 4, 5),),
    )


def test_the_papers_head_is_the_default():
    head = KeypointHead()
    assert (head.num_convs, head.channels) == (8, 512)
    assert KeypointPredictor().num_keypoints == 17


def test_the_head_is_its_convolutions_and_no_value_is_negative():
    head = KeypointHead(2, 6)
    head.build((None, None, 4, 4, 5))
    randomize(head)
    inputs = features(1, 2, 4, 4, 5)
    found = arrays(head(inputs))
    first, second = head.convolutions
    assert_allclose(found[0], arrays(second(first(inputs[0]))), rtol=1e-5)
    assert found.min() == 0 < found.max()


def test_each_cell_spreads_over_its_surroundings():
    predictor = KeypointPredictor(1)
    predictor.build((None, None, 2, 2, 1))
    kernel = np.zeros((4, 4, 1, 1), "float32")
    kernel[1:3, 1:3] = 1.0  # the two by two cells of a cell at twice the resolution
    predictor.upsample.set_weights([kernel, np.array([0.5], "float32")])
    inputs = np.array([[1.0, 2.0], [3.0, 5.0]], "float32").reshape(1, 1, 2, 2, 1)
    found = arrays(predictor(inputs))[0, 0, ..., 0]
    # From [1 1 2 2 ...] + 0.5 by interpolation: 1/4 and 3/4 of neighbors.
    row = np.array([1, 1, 1, 1.25, 1.75, 2, 2, 2])
    assert_allclose(found[0], row + 0.5)
    assert_allclose(found[:, 0], np.array([1, 1, 1, 1.5, 2.5, 3, 3, 3]) + 0.5)
