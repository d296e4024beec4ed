import keras
import pytest

from keras_fpn.training import TrainingPlan, WarmupMultiStep


def fixed_rate(rate, steps_per_epoch, total_steps):
    return rate


def plan(**changes):
    return TrainingPlan(
        **{
            "name": "plan",
            "build": lambda names, ids: None,
            "batch_size": 16,
            "learning_rate": 0.02,
            "schedule": fixed_rate,
            "optimizer": lambda rate: None,
            "epochs": 3,
            **changes,
        }
    )


def test_another_batch_size_brings_its_learning_rate():
    smaller = plan().with_batch_size(4)
    assert (smaller.batch_size, smaller.learning_rate) == (4, pytest.approx(0.005))


def test_another_batch_size_sees_as_many_images_before_each_change_of_the_rate():
    def drop(rate, steps_per_epoch, total_steps):
        assert (steps_per_epoch, total_steps) == (10, 80)
        return WarmupMultiStep(rate, [60], 0.1, warmup_steps=4, warmup_factor=0.5)

    smaller = plan(epochs=None, steps=80, schedule=drop).with_batch_size(8)
    assert (smaller.steps, smaller.batch_size) == (160, 8)
    schedule = smaller.schedule(smaller.learning_rate, 20, smaller.total_steps(20))
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(schedule)
    )
    for one in (schedule, again):
        rates = [float(one(step)) for step in (0, 4, 8, 119, 120)]
        assert rates == pytest.approx([0.005, 0.0075, 0.01, 0.01, 0.001])


def test_a_plan_in_epochs_or_with_a_fixed_rate_keeps_its_schedule():
    in_epochs = plan().with_batch_size(8)
    assert (in_epochs.epochs, in_epochs.schedule) == (3, plan().schedule)
    fixed = plan(epochs=None, steps=3).with_batch_size(64)
    assert (fixed.steps, fixed.schedule(0.08, 1, 1)) == (1, 0.08)


def test_other_epochs_take_the_place_of_steps():
    longer = plan(epochs=None, steps=25).with_epochs(4)
    assert (longer.epochs, longer.steps) == (4, None)


def test_a_plan_counts_in_epochs_or_in_steps():
    assert plan().total_steps(10) == 30
    assert plan(epochs=None, steps=25).total_steps(10) == 25
    for both in ({"epochs": None}, {"steps": 5}):
        with pytest.raises(ValueError, match="either epochs or steps; received"):
            plan(**both)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"received {name}=0"):
        plan(**{name: 0})
