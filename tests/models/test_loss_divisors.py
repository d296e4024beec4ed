"""By how many positives losses are divided."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from on_backend import arrays

from keras_fpn.models import BatchPositives, ImagePositives, MovingPositives

POSITIVES = np.array([4, 0, 7], "float32")
WEIGHTS = np.array([1, 1, 0], "float32")  # the last image only fills the batch


def test_each_image_is_divided_by_its_own_positives_and_their_sum_by_the_images():
    weights, count = arrays(ImagePositives()(POSITIVES, WEIGHTS, True))
    assert_allclose(weights, [0.25, 1, 0])
    assert count == 2


def test_the_whole_batch_is_divided_by_all_of_its_positives():
    weights, count = arrays(BatchPositives()(POSITIVES, WEIGHTS, True))
    assert_allclose(weights, WEIGHTS)
    assert count == 4


def test_the_average_moves_in_training_only():
    divisor = MovingPositives(momentum=0.75, start=8.0)
    weights, count = arrays(divisor(POSITIVES, WEIGHTS, False))
    assert (count, arrays(divisor.average)) == (8, 8)
    assert_allclose(weights, WEIGHTS)
    _, count = divisor(POSITIVES, WEIGHTS, True)
    assert arrays(count) == 7  # 0.75 * 8 + 0.25 * 4
    _, count = divisor(np.zeros(3, "float32"), WEIGHTS, True)
    assert arrays(count) == 5.5  # as if there were one: 0.75 * 7 + 0.25 * 1
    assert arrays(divisor.average) == 5.5


@pytest.mark.tensorflow_only
def test_the_average_is_that_of_all_replicas(monkeypatch):
    # Two equal replicas: the sums double, and the count that is added up again halves.
    divisor = MovingPositives(momentum=0.75, start=8.0)
    module = "keras_fpn.models.loss_divisors"
    monkeypatch.setattr(f"{module}.global_sum", lambda value: 2 * value)
    monkeypatch.setattr(f"{module}.replica_count", lambda: 2)
    _, count = divisor(POSITIVES, WEIGHTS, True)
    assert arrays(divisor.average) == 8  # 0.75 * 8 + 0.25 * (2 * 4)
    assert arrays(count) == 4


def test_its_numbers_are_detectron2s_and_come_back_from_a_config():
    assert (MovingPositives().momentum, MovingPositives().start) == (0.9, 100.0)
    config = MovingPositives(0.5, 3.0, name="mine").get_config()
    again = MovingPositives.from_config(config)
    assert (again.momentum, again.start, again.name) == (0.5, 3.0, "mine")
    assert again.average.trainable is False


@pytest.mark.parametrize("arguments", [(1.5, 10.0), (0.9, 0.0)])
def test_numbers_out_of_range_are_refused(arguments):
    momentum, start = arguments
    with pytest.raises(ValueError, match=f"momentum={momentum}, start={start}"):
        MovingPositives(*arguments)
