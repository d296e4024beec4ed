import io
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console
from training.small_model import compiled

from keras_fpn.training.progress import Progress, duration
from keras_fpn.training.schedules import WarmupCosine
from keras_fpn.training.steps import learning_rate

LOGS = {"loss": 0.9, "class_loss": 0.5, "box_loss": 0.4}
LOSSES = "loss 0.900 (class 0.500, box 0.400)"


class Training:
    """Calls a Progress as `fit` does; each step takes 2 seconds, the first 20."""

    def __init__(self, terminal=False, width=200, **arguments):
        self.file, self.time = io.StringIO(), 0.0
        console = Console(file=self.file, force_terminal=terminal, width=width)
        defaults = {"total_steps": 100, "steps_per_epoch": 10, "batch_size": 4}
        self.progress = Progress(
            **{**defaults, **arguments}, console=console, clock=lambda: self.time
        )
        model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.005))
        self.progress.set_model(model)

    def fit(self, first, stop, steps, logs=LOGS, ends=True, compiled=()):
        """Runs epochs of so many steps; an epoch's end takes 5 seconds."""
        self.progress.set_params({"steps": steps})
        self.progress.on_train_begin()
        self.time += 18  # the first step is compiled
        for epoch in range(first, stop):
            self.progress.on_epoch_begin(epoch)
            for batch in range(steps):
                self.time += 20 if batch in compiled else 2
                self.progress.on_train_batch_end(batch, logs)
            if ends:
                self.progress.on_epoch_end(epoch, {**logs, "val_AP": 0.25})
                self.time += 5
        self.progress.on_train_end()

    @property
    def lines(self):
        return self.file.getvalue().splitlines()


def test_without_a_terminal_there_is_a_line_from_time_to_time():
    training = Training(interval=6.0)
    training.fit(0, 1, 10, ends=False)
    # Steps end 2, 4, 6, ... seconds after the epoch began. 2 s for 4 images.
    assert training.lines == [
        f"Epoch 1/10, step 3/10; 0:14 left, 3:14 in total; 2 images/s; {LOSSES}; "
        "learning rate 0.005",
        f"Epoch 1/10, step 6/10; 0:08 left, 3:08 in total; 2 images/s; {LOSSES}; "
        "learning rate 0.005",
        f"Epoch 1/10, step 9/10; 0:02 left, 3:02 in total; 2 images/s; {LOSSES}; "
        "learning rate 0.005",
    ]


def test_an_epoch_ends_with_its_means_and_what_was_measured():
    training = Training()
    training.fit(0, 2, 10)
    first, second = training.lines
    assert first == (
        f"Epoch 1/10: {LOSSES}; AP 25.0 %; 10 steps in 0:20; 3:00 left in total"
    )
    # 80 steps of 2 s, and the pauses after 8 epochs, 5 s each.
    assert second.endswith("; 3:20 left in total")


def test_a_run_that_begins_within_an_epoch_counts_on():
    training = Training(start_step=37, interval=6.0)
    training.fit(3, 4, 3)  # the rest of the fourth epoch
    training.fit(4, 5, 10)
    lines = training.lines
    assert lines[0].startswith("Epoch 4/10, step 10/10; ending the epoch; 2 images/s; ")
    assert lines[1].startswith("Epoch 4/10: ")
    assert lines[1].endswith("; 3 steps in 0:06; 2:00 left in total")
    assert lines[2].startswith("Epoch 5/10, step 3/10; 0:14 left, ")


def test_a_last_epoch_may_be_cut_short():
    training = Training(total_steps=13, start_step=10, interval=4.0)
    training.fit(1, 2, 3)
    assert training.lines[0].startswith(
        "Epoch 2/2, step 2/3; 0:02 left, 0:02 in total;"
    )
    assert training.lines[-1].endswith("; 3 steps in 0:06")  # nothing is left


def test_the_first_step_is_not_taken_for_the_speed():
    training = Training(interval=1.0)
    training.fit(0, 1, 2)
    assert training.lines[0].startswith(f"Epoch 1/10, step 1/10; {LOSSES}; ")
    assert "; 2 images/s; " in training.lines[1]


def test_steps_that_are_compiled_later_count_only_in_the_long_run():
    training = Training(interval=1.0, steps_per_epoch=60, total_steps=60)
    training.fit(0, 1, 60, compiled=(3, 10, 30, 55))
    assert all("; 2 images/s; " in line for line in training.lines[6:50])
    # The last 50 steps, from 10 to 59, have three that take 20 seconds.
    assert f"; {4 * 50 / (47 * 2 + 3 * 20):.3g} images/s; " in training.lines[-2]


def test_on_a_terminal_one_line_changes_and_epochs_stay():
    training = Training(terminal=True)
    with training.progress:
        training.fit(0, 1, 10)
    text = training.file.getvalue()
    assert "\x1b[2K" in text  # a line is erased, to be written again
    assert "Epoch 1/10, step 10/10; ending the epoch; 2 images/s" in text
    assert f"Epoch 1/10: {LOSSES}; AP 25.0 %; 10 steps in 0:20" in text


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (200, f"{{when}}; 2 images/s; {LOSSES}; learning rate 0.005"),
        (115, f"{{when}}; 2 images/s; {LOSSES}"),
        (80, "{when}; 2 images/s; loss 0.900"),
        (70, "{when}; loss 0.900"),
        (40, "Epoch 1/10, step 3/10; loss 0.900"),
        (20, "Epoch 1/10, step 3/1"),
    ],
)
def test_a_line_fits_the_terminal(width, line):
    training = Training(terminal=True, width=width, interval=6.0)
    shown = []
    training.progress._show = shown.append
    training.fit(0, 1, 10, ends=False)
    when = "Epoch 1/10, step 3/10; 0:14 left, 3:14 in total"
    assert shown[2] == line.format(when=when)
    assert all(len(one) <= width for one in shown)


def test_an_interrupted_training_gives_the_cursor_back():
    training = Training(terminal=True)
    training.progress.set_params({"steps": 10})
    with training.progress:
        training.progress.on_train_begin()  # and `fit` never ends
    text = training.file.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # shown again


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0:00"),
        (59.6, "1:00"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (100_000, "1 d 3:46:40"),
    ],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_the_learning_rate_is_that_of_the_step_also_within_an_epoch():
    schedule = WarmupCosine(0.1, 8, warmup_steps=2)
    model = compiled(learning_rate=schedule)
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(learning_rate(model))
    )
    x, y = np.ones((4, 2)), np.ones((4, 4))
    model.fit(x, y, batch_size=1, verbose=0, callbacks=[look], shuffle=False)
    expected = [float(schedule(step)) for step in (1, 2, 3, 4)]
    assert seen == pytest.approx(expected, rel=1e-6)


def test_fit_shows_its_own_losses():
    file = io.StringIO()
    progress = Progress(4, 4, 1, console=Console(file=file), interval=0.0)
    x, y = np.ones((4, 2)), np.ones((4, 4))
    with progress:
        history = compiled().fit(
            x, y, batch_size=1, verbose=0, callbacks=[progress], shuffle=False
        )
    lines = file.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[-1].startswith(f"Epoch 1/1: loss {history.history['loss'][0]:.3f}; ")
