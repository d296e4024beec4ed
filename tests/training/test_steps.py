import numpy as np
import pytest
from training.small_model import compiled_by_parts

from keras_fpn.training.steps import RecentMeans, as_float, learning_rate


def running(values):
    """Means of the first, the first two, ... of some values, as Keras logs them."""
    return np.cumsum(values) / np.arange(1, len(values) + 1)


def test_means_are_over_the_last_steps():
    recent = RecentMeans(steps=2)
    recent.begin_epoch()
    shown = [
        recent.add(done, {"loss": mean})["loss"]
        for done, mean in enumerate(running([8.0, 4.0, 2.0, 1.0]), start=1)
    ]
    assert shown == pytest.approx([8, 6, 3, 1.5])  # of 8; 8, 4; 4, 2; 2, 1


def test_an_epoch_begins_anew():
    recent = RecentMeans(steps=2)
    for values in ([8.0, 4.0], [3.0, 1.0]):
        recent.begin_epoch()
        for done, mean in enumerate(running(values), start=1):
            shown = recent.add(done, {"loss": mean})
    assert shown == pytest.approx({"loss": 2.0})


def test_of_an_epoch_that_goes_on_only_the_new_steps_count():
    means = running([8.0, 8.0, 4.0, 2.0])  # two steps of an earlier process
    recent = RecentMeans(steps=50)
    recent.begin_epoch(done=2)
    assert recent.add(3, {"loss": means[2]})["loss"] == pytest.approx(20 / 3)  # unknown
    assert recent.add(4, {"loss": means[3]})["loss"] == pytest.approx(2)


def test_several_steps_may_come_at_once():
    recent = RecentMeans(steps=50)
    recent.begin_epoch()
    recent.add(3, {"loss": 2.0})
    assert recent.add(6, {"loss": 3.0})["loss"] == pytest.approx(3)


def test_the_values_of_several_replicas_are_averaged():
    assert as_float(np.array([1.0, 3.0])) == 2.0


def test_of_several_learning_rates_the_highest_is_shown():
    assert learning_rate(compiled_by_parts()) == pytest.approx(0.1)
