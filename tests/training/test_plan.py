import pytest

from keras_fpn.training import TrainingPlan


def plan(**changes):
    return TrainingPlan(
        **{
            "name": "plan",
            "build": lambda names, ids: None,
            "batch_size": 16,
            "learning_rate": 0.02,
            "schedule": lambda rate, steps_per_epoch, total_steps: rate,
            "optimizer": lambda rate: None,
            "epochs": 3,
            **changes,
        }
    )


def test_another_batch_size_brings_its_learning_rate():
    smaller = plan().with_batch_size(4)
    assert (smaller.batch_size, smaller.learning_rate) == (4, pytest.approx(0.005))


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
