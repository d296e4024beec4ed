import numpy as np
from numpy.testing import assert_array_equal
from on_backend import outputs_of

from keras_fpn.ops.top_k import top_k_padded

SCORES = np.array([[0.5, -2.0, 3.0], [1.0, 2.0, 0.0]], "float32")


def test_the_highest_come_first_with_their_indices():
    values, indices = outputs_of(lambda x: top_k_padded(x, 2), SCORES)
    assert_array_equal(values, [[3, 0.5], [2, 1]])
    assert_array_equal(indices, [[2, 0], [1, 0]])


def test_fewer_scores_are_padded_and_indices_stay_in_range():
    values, indices = outputs_of(lambda x: top_k_padded(x, 5), SCORES)
    assert_array_equal(values[:, :3], [[3, 0.5, -2], [2, 1, 0]])
    assert_array_equal(values[:, 3:], -np.inf)
    assert ((indices >= 0) & (indices < 3)).all()
