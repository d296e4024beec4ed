"""Learning rates, worked by hand and as the schedulers of PyTorch give them."""

import keras
import numpy as np
import pytest

from keras_fpn.training import WarmupCosine, WarmupMultiStep, scaled_learning_rate


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_a_warm_up_rises_in_a_line_from_its_factor_to_the_rate():
    schedule = WarmupMultiStep(0.02, [100], warmup_steps=10, warmup_factor=0.1)
    # A tenth at step 0, halfway between it and 1 at step 5, and 1 from step 10 on.
    expected = [0.002, 0.011, 0.02, 0.02]
    np.testing.assert_allclose(rates(schedule, [0, 5, 10, 11]), expected, rtol=1e-6)


def test_each_milestone_multiplies_the_rate_from_its_own_step_on():
    schedule = WarmupMultiStep(0.02, [6, 8], gamma=0.1, warmup_steps=0)
    expected = [0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002]
    np.testing.assert_allclose(
        rates(schedule, [0, 5, 6, 7, 8, 1000]), expected, rtol=1e-5
    )


def test_without_milestones_the_rate_stays():
    assert rates(WarmupMultiStep(0.5, [], warmup_steps=0), [0, 10**6]) == [0.5, 0.5]


def test_a_cosine_is_half_way_down_in_the_middle_and_stays_at_its_end():
    schedule = WarmupCosine(1.0, total_steps=100, final_factor=0.2, warmup_steps=0)
    # 0.2 + 0.8 * (1 + cos(pi t)) / 2 for t = 0, 1/4, 1/2, 1 and beyond.
    expected = [1.0, 0.2 + 0.8 * (1 + 2**-0.5) / 2, 0.6, 0.2, 0.2]
    np.testing.assert_allclose(
        rates(schedule, [0, 25, 50, 100, 500]), expected, rtol=1e-5
    )


def test_a_warm_up_multiplies_the_cosine():
    warm = WarmupCosine(1.0, 100, warmup_steps=50, warmup_factor=0.0)
    bare = WarmupCosine(1.0, 100, warmup_steps=0)
    np.testing.assert_allclose(float(warm(25)), 0.5 * float(bare(25)), rtol=1e-6)


def test_the_rate_is_in_proportion_to_the_batch():
    assert scaled_learning_rate(0.02, 2) == pytest.approx(0.0025)
    assert scaled_learning_rate(0.1, 64, reference=32) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="received batch_size=0"):
        scaled_learning_rate(0.02, 0)


@pytest.mark.parametrize(
    "schedule",
    [
        WarmupMultiStep(0.3, [5, 9], 0.2, 4, 0.25),
        WarmupCosine(0.3, 20, 0.1, 4, 0.25),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_schedule_comes_back_from_its_configuration(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    steps = [0, 2, 4, 5, 8, 9, 20]
    assert rates(again, steps) == rates(schedule, steps)


def test_schedules_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"received milestones=\[9, 5\]"):
        WarmupMultiStep(0.1, [9, 5])
    with pytest.raises(ValueError, match=r"warmup_steps=-1, warmup_factor=0\.5"):
        WarmupMultiStep(0.1, [5], warmup_steps=-1, warmup_factor=0.5)
    with pytest.raises(ValueError, match=r"warmup_factor=1\.5"):
        WarmupCosine(0.1, 5, warmup_factor=1.5)
    with pytest.raises(ValueError, match="received total_steps=0"):
        WarmupCosine(0.1, 0)
