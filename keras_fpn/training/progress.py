"""Shows how a training goes: speed, losses, learning rate, time left."""

import collections
import time
from collections.abc import Callable

import keras
from rich.console import Console
from rich.live import Live
from rich.text import Text

from keras_fpn.training.recent_means import RecentMeans, as_float, learning_rate

_REFRESH = 0.25  # seconds between changes of the line on a terminal
_TIMED_STEPS = 50  # that the speed is the mean of
_SHOWN_METRICS = ("val_AP", "val_AP50")


class Progress(keras.callbacks.Callback):
    """Shows the progress of `fit`, called once or several times, on stderr.

    On a terminal one line is rewritten at every step; elsewhere, as in a log file, a
    new line is written from time to time. Each epoch ends with a line that stays: the
    mean losses, and `val_AP` if a callback before this one measured it.

    Use it in a `with` statement: an interrupted `fit` does not tell its callbacks.

    Args:
        total_steps: of the whole training, from its first epoch on.
        steps_per_epoch: of a whole epoch.
        batch_size: images per step over all replicas.
        start_step: steps that were taken before, by an earlier process.
        console: None, stderr.
        interval: seconds between lines where there is no terminal.
        clock: function that returns seconds.
    """

    def __init__(
        self,
        total_steps: int,
        steps_per_epoch: int,
        batch_size: int,
        start_step: int = 0,
        console: Console | None = None,
        interval: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__()
        self.console = console or Console(stderr=True)
        self.interval = _REFRESH if self.console.is_terminal else interval
        self.length, self.batch_size = steps_per_epoch, batch_size
        self._times = _Times(total_steps, steps_per_epoch, start_step, clock)
        self._recent = RecentMeans()
        self._live: Live | None = None
        self._shown = 0.0  # when a line was shown last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def on_train_begin(self, logs=None):
        self._times.begin_fit()
        if self.console.is_terminal and self._live is None:
            self._live = Live(console=self.console, transient=True)
            self._live.start()
            self._live.update(Text("Compiling the first step ..."))

    def on_epoch_begin(self, epoch, logs=None):
        self._times.begin_epoch(epoch)
        self._recent.begin_epoch(self._times.step - epoch * self.length)
        self._shown = self._times.now()

    def on_train_batch_end(self, batch, logs=None):
        times = self._times
        times.end_step(batch)
        means = self._recent.add(times.step - times.epoch * self.length, logs)
        last = batch + 1 == self.params["steps"]
        now = times.now()
        if now - self._shown >= self.interval or (last and self._live is not None):
            self._shown = now
            self._show(self._line(means, last))

    def on_epoch_end(self, epoch, logs=None):
        times = self._times
        texts = [_losses({n: as_float(v) for n, v in (logs or {}).items()})]
        texts += [
            f"{name} {as_float(logs[name]):.3f}"
            for name in _SHOWN_METRICS
            if name in (logs or {})
        ]
        steps = f"{times.done} step{'' if times.done == 1 else 's'}"
        texts.append(f"{steps} in {duration(times.since_epoch_began())}")
        left = times.left()
        if left is not None and left > 0:
            texts.append(f"{duration(left)} left in total")
        self._print(f"{self._epoch()}: {'; '.join(filter(None, texts))}")

    def on_train_end(self, logs=None):
        self._stop()

    def _epoch(self):
        return f"Epoch {self._times.epoch + 1}/{self._times.epochs}"

    def _line(self, means, last):
        """Returns the text that is shown within an epoch."""
        times = self._times
        step = times.step - times.epoch * self.length
        texts = [f"{self._epoch()}, step {step}/{times.epoch_steps}"]
        if last:
            texts.append("ending the epoch")
        elif times.seconds_per_step is not None:
            left = duration(times.left_in_epoch())
            texts.append(f"{left} left, {duration(times.left())} in total")
        if times.seconds_per_step is not None:
            speed = self.batch_size / max(times.seconds_per_step, 1e-9)
            texts.append(f"{speed:.3g} images/s")
        texts.append(_losses(means))
        texts.append(f"learning rate {learning_rate(self.model):.3g}")
        return "; ".join(filter(None, texts))

    def _show(self, line):
        if self._live is not None:
            self._live.update(Text(line))
        else:
            self._print(line)

    def _print(self, line):
        self.console.out(line, highlight=False)

    def _stop(self):
        if self._live is not None:
            self._live.stop()
            self._live = None


class _Times:
    """Counts and times steps, also in epochs that an earlier process began.

    Attributes:
        step: int, steps of the training so far.
        epoch: int, the current epoch, from 0.
        done: int, steps of it that this process took.
        epochs: int, of the training.
        seconds_per_step: float, mean of the last steps; None, not known yet.
    """

    def __init__(self, total_steps, length, start_step, clock):
        self.total, self.length, self.step = total_steps, length, start_step
        self.now = clock
        self.epoch = self.done = 0
        self.epochs = -(-total_steps // length)
        self._durations = collections.deque(maxlen=_TIMED_STEPS)
        self._pause: float | None = None  # at the end of the previous epoch
        self._began = 0.0
        self._last: float | None = None  # when the last step ended, if that is known

    def begin_fit(self):
        """Notes that a call of `fit` begins: its first step is compiled."""
        self._last = None

    def begin_epoch(self, epoch):
        """Notes that an epoch begins or is resumed."""
        now = self._began = self.now()
        if self._last is not None:
            self._pause = now - self._last
            self._last = now
        self.epoch, self.done = epoch, 0

    def end_step(self, batch):
        """Notes that step `batch` of this call's epoch has ended, counted from 0."""
        now, steps = self.now(), batch + 1 - self.done
        if self._last is not None and steps > 0:
            self._durations.append((now - self._last) / steps)
        self._last = now
        self.done += steps
        self.step += steps

    @property
    def seconds_per_step(self):
        if not self._durations:
            return None
        return sum(self._durations) / len(self._durations)

    @property
    def epoch_steps(self):
        """int, steps of the current epoch, whichever process takes them."""
        return min(self.length, self.total - self.epoch * self.length)

    def since_epoch_began(self):
        """Returns seconds, float."""
        return self.now() - self._began

    def left_in_epoch(self):
        """Returns the seconds until the last step of this epoch, float."""
        end = self.epoch * self.length + self.epoch_steps
        return (end - self.step) * self.seconds_per_step

    def left(self):
        """Returns the seconds until the training ends, float; None, not known yet."""
        if self.seconds_per_step is None:
            return None
        seconds = (self.total - self.step) * self.seconds_per_step
        if self._pause is not None:
            pauses = -(-(self.total - self.step) // self.length)
            seconds += pauses * self._pause
        return seconds


def duration(seconds):
    """Returns "0:42", "2:03:00", or "1 d 2:03:00", str, of seconds, float."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if not days and not hours:
        return f"{minutes}:{seconds:02}"
    text = f"{hours}:{minutes:02}:{seconds:02}"
    return f"{days} d {text}" if days else text


def _losses(means):
    """Returns "loss 0.9 (class 0.5, box 0.4)", str, of numbers by name."""
    parts = {n.removesuffix("_loss"): v for n, v in means.items() if _is_part(n)}
    text = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
    if "loss" not in means:
        return text
    return f"loss {means['loss']:.3f}" + (f" ({text})" if text else "")


def _is_part(name):
    return name.endswith("_loss") and not name.startswith("val_")
