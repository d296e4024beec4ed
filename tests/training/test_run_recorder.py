import keras
import numpy as np
import pytest
from training.small_model import SETTINGS, compiled, state_of

from keras_fpn.training import run_recorder
from keras_fpn.training.run_folder import Position, RunFolder
from keras_fpn.training.run_recorder import RunRecorder

STEPS = 5  # of an epoch
X = np.random.default_rng(0).normal(size=(STEPS, 2)).astype("float32")
Y = np.random.default_rng(1).normal(size=(STEPS, 4)).astype("float32")


class Noting(RunFolder):
    """Records the positions that were saved."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.saved = []

    def save(self, model, position, skipped=None):
        super().save(model, position, skipped)
        self.saved.append((position.epoch, position.batch))


class Value(keras.callbacks.Callback):
    """Stands in for an evaluation with given results."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_AP"] = self.values[epoch]


def fit(model, callbacks, first=0, stop=1, start_batch=0, steps=STEPS):
    """One call of `fit` with batches of one, which may begin within an epoch."""
    part = slice(start_batch, start_batch + steps)
    return model.fit(
        X[part],
        Y[part],
        batch_size=1,
        initial_epoch=first,
        epochs=stop,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    ).history


def test_checkpoints_stand_where_the_next_step_is(tmp_path):
    folder, model = Noting(tmp_path, SETTINGS), compiled()
    saver = RunRecorder(folder, range(STEPS), save_every=2)
    fit(model, [saver], 0, 2)
    assert folder.saved == [(0, 2), (0, 4), (1, 0), (1, 2), (1, 4), (2, 0)]
    folder.saved.clear()
    saver = RunRecorder(folder, range(STEPS), save_every=2, start_step=2 * STEPS + 3)
    fit(model, [saver], 2, 3, start_batch=3, steps=2)  # the rest of an epoch
    assert folder.saved == [(2, 4), (3, 0)]
    folder.saved.clear()
    fit(model, [saver], 3, 4, steps=3)  # an epoch that is cut short
    assert folder.saved == [(3, 2), (3, 3)]


def test_after_the_last_step_of_an_epoch_there_is_one_checkpoint_only(tmp_path):
    folder = Noting(tmp_path, SETTINGS)
    fit(compiled(), [RunRecorder(folder, range(STEPS), save_every=5)])
    assert folder.saved == [(1, 0)]


def test_an_epoch_that_a_callback_stops_is_resumed_where_it_stopped(tmp_path):
    folder, model = Noting(tmp_path, SETTINGS), compiled()
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(
            model, "stop_training", batch == 2
        )
    )
    fit(model, [RunRecorder(folder, range(STEPS)), stop])
    assert folder.saved == [(0, 3)]


def test_a_fit_cut_in_two_by_a_new_process_ends_equal(tmp_path):
    """Momentum, averages, accumulated gradients and the epoch's mean loss."""
    settings = {
        "use_ema": True,
        "ema_momentum": 0.7,
        "gradient_accumulation_steps": 2,
        "learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 20),
    }
    whole = compiled(**settings)
    folder = RunFolder(tmp_path / "whole", SETTINGS)
    saver = RunRecorder(folder, range(STEPS))
    expected = fit(whole, [saver], 0, 3)

    cut = compiled(**settings)
    saver = RunRecorder(RunFolder(tmp_path / "cut", SETTINGS), range(STEPS))
    fit(cut, [saver], 0, 1)
    fit(cut, [saver], 1, 2, steps=3)

    again = compiled(**settings)
    folder = RunFolder(tmp_path / "cut", SETTINGS)
    assert folder.restore(again) == Position(1, 3)
    saver = RunRecorder(folder, range(STEPS), start_step=STEPS + 3)
    rest = fit(again, [saver], 1, 2, start_batch=3, steps=2)
    last = fit(again, [saver], 2, 3)
    for value, former in zip(state_of(again), state_of(whole), strict=True):
        assert value.tobytes() == former.tobytes()
    assert rest["loss"] + last["loss"] == expected["loss"][1:]


def test_fit_leaves_the_weights_of_the_last_step_not_their_averages(tmp_path):
    model = compiled(use_ema=True)
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    saver = RunRecorder(RunFolder(tmp_path, SETTINGS), range(STEPS))
    fit(model, [saver, note], 0, 2)
    for weight, last in zip(model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(weight, last)


def test_the_best_model_is_that_of_the_best_epoch(tmp_path):
    folder, model = RunFolder(tmp_path, SETTINGS), compiled()
    weights = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()[0])
    )
    saver = RunRecorder(folder, range(STEPS), Value([float("nan"), 0.4, 0.3]))
    fit(model, [saver, note], 0, 3)
    assert folder.best_value == 0.4
    best = keras.models.load_model(folder.best).get_weights()[0]
    np.testing.assert_array_equal(best, weights[1])
    assert not np.array_equal(best, weights[2])


def test_the_logs_of_an_epoch_outlive_the_process_and_are_replaced(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    fit(compiled(), [RunRecorder(folder, range(STEPS), Value([0.1, 0.2]))], 0, 2)
    again = RunFolder(tmp_path, SETTINGS)
    assert again.epochs == folder.epochs
    assert [(one["epoch"], one["val_AP"]) for one in again.epochs] == [
        (0, 0.1),
        (1, 0.2),
    ]
    # The second epoch is trained again, and its number is not finite this time.
    again.add_epoch(1, {"loss": 0.5, "val_AP": np.nan})
    again.add_epoch(2, {"loss": np.float32(0.25)})
    expected = [{"epoch": 1, "loss": 0.5, "val_AP": None}, {"epoch": 2, "loss": 0.25}]
    assert RunFolder(tmp_path, SETTINGS).epochs[1:] == expected


def test_steps_between_checkpoints_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="received save_every=0"):
        RunRecorder(RunFolder(tmp_path, SETTINGS), range(STEPS), save_every=0)


def test_a_checkpoint_is_written_when_the_last_one_is_old(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(run_recorder.time, "monotonic", lambda: now[0])
    folder = Noting(tmp_path, SETTINGS)

    def later(batch, logs):
        now[0] += 4.0

    clock = keras.callbacks.LambdaCallback(on_train_batch_begin=later)
    fit(compiled(), [clock, RunRecorder(folder, range(STEPS), save_seconds=7.0)], 0, 2)
    # After 8 s, 16 s and so on; an epoch takes 20 s.
    assert folder.saved == [(0, 2), (0, 4), (1, 0), (1, 2), (1, 4), (2, 0)]
