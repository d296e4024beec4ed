"""SIGTERM and Ctrl-C save a training and end it; the same one resumes exactly."""

import os
import signal
import threading

import keras
import numpy as np
import pytest
from training.mean_box import MeanBox

from keras_fpn.data import RandomFlip
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.training import SGD, Terminated, TrainingPlan, prepare_training
from keras_fpn.training.termination import noted_termination


@pytest.fixture(autouse=True)
def usual():
    """Where the tests run in the background, Ctrl-C may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ask(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def handler(number=signal.SIGTERM):
    return signal.getsignal(number)


ENDINGS = pytest.mark.parametrize(
    ("number", "its_own", "ending"),
    [
        (signal.SIGTERM, signal.SIG_DFL, Terminated),
        (signal.SIGINT, signal.default_int_handler, KeyboardInterrupt),
    ],
)


@ENDINGS
def test_the_first_signal_is_noted_and_a_second_would_end_the_process(
    number, its_own, ending, caplog
):
    caplog.set_level("INFO")
    with noted_termination() as asked:
        assert asked() is None
        ask(number)
        assert asked() is ending
        assert handler(number) is its_own
    assert handler(number) is its_own
    assert caplog.text.count("Once more ends it at once.") == 1


def test_a_second_ctrl_c_ends_the_work_at_once():
    with noted_termination() as asked:
        ask(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            ask(signal.SIGINT)
        assert asked() is KeyboardInterrupt
    assert handler(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_stay():
    def mine(number, frame):
        given.append(number)

    given, before = [], signal.signal(signal.SIGTERM, mine)
    try:
        with noted_termination() as asked:
            ask()
            assert given == [signal.SIGTERM]
            assert asked() is None
        assert handler() is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_nothing_changes_in_other_threads_or_if_it_is_not_wanted():
    found = []

    def note():
        with noted_termination() as asked:
            found.append((handler(), asked()))

    thread = threading.Thread(target=note)
    thread.start()
    thread.join()
    with noted_termination(wanted=False) as asked:
        found.append((handler(), asked()))
    assert found == [(signal.SIG_DFL, None)] * 2


PLAN = TrainingPlan(
    name="terminated",
    build=MeanBox,
    batch_size=2,
    learning_rate=0.5,
    schedule=lambda rate, steps_per_epoch, total_steps: rate,
    optimizer=lambda rate: SGD(rate, momentum=0.9),
    epochs=2,
    augment=(RandomFlip(),),
)


@ENDINGS
@pytest.mark.parametrize(
    ("step", "saved"), [(3, "checkpoint-0000-000003"), (5, "checkpoint-0001-000000")]
)
def test_a_training_that_is_asked_to_end_resumes_exactly(
    tmp_path, step, saved, number, its_own, ending
):
    dataset = scene_dataset(10, seed=3, size=(64, 96), objects=(1, 3))

    def run(name, callbacks=()):
        training = prepare_training(PLAN, dataset, tmp_path / name)
        training.run(callbacks)
        return [*training.model.get_weights(), *training.folder.epochs]

    whole, steps = run("whole"), []

    def ask_after(batch, logs):
        steps.append(batch)
        if len(steps) == step:
            ask(number)

    asking = keras.callbacks.LambdaCallback(on_train_batch_begin=ask_after)
    with pytest.raises(ending) as ended:
        run("ended", [asking])
    assert getattr(ended.value, "code", 143) == 143
    assert len(steps) == step
    files = sorted(path.stem for path in (tmp_path / "ended").glob("*.keras"))
    assert saved in files
    assert "last" not in files
    resumed = run("ended")
    assert len(resumed) == len(whole) > 2
    for one, other in zip(whole, resumed, strict=True):
        if isinstance(one, dict):
            assert other["loss"] == one["loss"]
        else:
            np.testing.assert_array_equal(other, one)
