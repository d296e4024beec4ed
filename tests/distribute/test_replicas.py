import keras
import numpy as np
import pytest
from on_backend import arrays

from keras_fpn.distribute.replicas import global_sum, replica_count


class Replicas:
    """Stands in for the context of TensorFlow in one of several equal replicas."""

    def __init__(self, count):
        self.num_replicas_in_sync = count

    def all_reduce(self, operation, value):
        assert operation.name == "SUM"
        return keras.tree.map_structure(
            lambda one: one * self.num_replicas_in_sync, value
        )


@pytest.fixture
def replicas(monkeypatch):
    """Function of a number of replicas; None, outside of all replicas."""

    def pretend(count):
        import tensorflow as tf

        context = None if count is None else Replicas(count)
        monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: context)

    return pretend


def test_alone_a_sum_is_the_value():
    assert replica_count() == 1
    assert arrays(global_sum(np.float32(3))) == 3


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(("count", "expected"), [(None, 1), (1, 1), (2, 2), (8, 8)])
def test_sums_and_counts_are_of_all_replicas(replicas, count, expected):
    replicas(count)
    assert replica_count() == expected
    assert global_sum(3) == 3 * expected


@pytest.mark.tensorflow_only
def test_lists_are_summed_each_by_itself(replicas):
    from keras_fpn.distribute.replicas_tensorflow import all_reduced

    replicas(2)
    assert all_reduced([1, 10]) == [2, 20]
    replicas(1)
    assert all_reduced([1, 10]) == [1, 10]
