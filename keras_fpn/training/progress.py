"""Shows how a training goes: speed, losses, learning rate, time left."""

import collections
import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from keras_fpn.report.text import percent
from keras_fpn.training.steps import RecentMeans, StepCallback, as_float, learning_rate

_REFRESH = 0.25  # seconds between changes of the line on a terminal
_TIMED_STEPS = 50  # that the speed is the mean of
_USUAL = 3  # times the median: among the first steps, longer ones were compiled
_SHOWN_METRICS = (
    "val_AP",
    "val_AP50",
    "val_mask_AP",
    "val_AR1000",
    "val_mask_AR1000",
    "val_mIoU",
    "val_PQ",
)


class Progress(StepCallback):
    """Shows the progress of `fit`, called once or several times, on stderr.

    On a terminal one line is rewritten at every step; elsewhere, as in a log file, a
    new line is written from time to time. Each epoch ends with a line that stays: the
    mean losses, and AP in percent if a callback before this one measured `val_AP`.

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
        super().__init__(steps_per_epoch, start_step)
        self.total_steps, self.batch_size = total_steps, batch_size
        self.console = console or Console(stderr=True)
        self.interval = _REFRESH if self.console.is_terminal else interval
        self._times = _Times(clock)
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
        super().on_epoch_begin(epoch, logs)
        self._times.begin_epoch(self.step)
        self._recent.begin_epoch(self.step_of_epoch)
        self._shown = self._times.now()

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self._times.end_step(self.step)
        means = self._recent.add(self.step_of_epoch, logs)
        last = batch + 1 == self.params["steps"]
        now = self._times.now()
        if now - self._shown >= self.interval or (last and self._live is not None):
            self._shown = now
            self._show(self._line(means, last))

    def on_epoch_end(self, epoch, logs=None):
        values = {name: as_float(value) for name, value in (logs or {}).items()}
        texts = [_losses(values)]
        texts += [_measured(n, values[n]) for n in _SHOWN_METRICS if n in values]
        done = self.step - self.first_step
        seconds = duration(self._times.since_epoch_began())
        texts.append(f"{done} step{'' if done == 1 else 's'} in {seconds}")
        if self.step < self.total_steps and self._times.seconds_per_step is not None:
            texts.append(f"{self._left()} left in total")
        self._print(f"{self._epoch()}: {'; '.join(filter(None, texts))}")

    def on_train_end(self, logs=None):
        self._stop()

    def _epoch(self):
        epochs = -(-self.total_steps // self.steps_per_epoch)
        return f"Epoch {self.epoch + 1}/{epochs}"

    def _left(self):
        """Returns the time until the training ends, str."""
        steps = self.total_steps - self.step
        epochs = -(-steps // self.steps_per_epoch)
        return duration(self._times.expected(steps, epochs))

    def _line(self, means, last):
        """Returns the text that is shown within an epoch; on a terminal, what fits."""
        seconds, step = self._times.seconds_per_step, self.step_of_epoch
        # The last epoch may be cut short.
        steps = min(self.steps_per_epoch, self.total_steps - self.step + step)
        when = [f"{self._epoch()}, step {step}/{steps}"]
        if last:
            when.append("ending the epoch")
        elif seconds is not None:
            left = duration(self._times.expected(steps - step))
            when.append(f"{left} left, {self._left()} in total")
        speed = ""
        if seconds is not None:
            speed = f"{self.batch_size / max(seconds, 1e-9):.3g} images/s"
        rate = f"learning rate {learning_rate(self.model):.3g}"
        total = _losses({n: v for n, v in means.items() if n == "loss"})
        return self._fitting(
            [*when, speed, _losses(means), rate],
            [*when, speed, _losses(means)],
            [*when, speed, total],
            [*when, total],
            [when[0], total],
        )

    def _fitting(self, *choices):
        """Returns the first text that fits the terminal, or the last, cut off."""
        lines = ["; ".join(filter(None, choice)) for choice in choices]
        if not self.console.is_terminal:
            return lines[0]
        width = self.console.width
        return next((one for one in lines if len(one) <= width), lines[-1][:width])

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
    """Times steps and the pauses between epochs.

    Args:
        clock: function that returns seconds.
    """

    def __init__(self, clock):
        self.now = clock
        self._durations = collections.deque(maxlen=_TIMED_STEPS)
        self._pause = 0.0  # at the end of the previous epoch
        self._began = 0.0  # the current epoch
        self._step = 0  # the last one that is timed
        self._last: float | None = None  # when it ended, if that is known

    def begin_fit(self):
        """Notes that a call of `fit` begins, whose first step is compiled."""
        self._last = None

    def begin_epoch(self, step):
        """Notes that an epoch begins or is resumed, after `step` steps."""
        self._began, self._step = self.now(), step
        if self._last is not None:
            self._pause = self._began - self._last
            self._last = self._began

    def end_step(self, step):
        """Notes that `step` steps of the training have ended."""
        now, steps = self.now(), step - self._step
        if self._last is not None and steps > 0:
            self._durations.append((now - self._last) / steps)
        self._last, self._step = now, step

    @property
    def seconds_per_step(self):
        """float, mean of the last steps; None, not known yet."""
        if not self._durations:
            return None
        if len(self._durations) == self._durations.maxlen:
            return statistics.fmean(self._durations)
        most = _USUAL * statistics.median(self._durations)
        return statistics.fmean(one for one in self._durations if one <= most)

    def since_epoch_began(self):
        """Returns seconds, float."""
        return self.now() - self._began

    def expected(self, steps, epochs=0):
        """Returns the seconds of a number of steps and ends of epochs, float."""
        return steps * self.seconds_per_step + epochs * self._pause


def duration(seconds):
    """Returns "0:42", "2:03:00", or "1 d 2:03:00", str, of seconds, float."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if not days and not hours:
        return f"{minutes}:{seconds:02}"
    text = f"{hours}:{minutes:02}:{seconds:02}"
    return f"{days} d {text}" if days else text


def _measured(name, value):
    """Returns "mask AP 34.6 %", str, of a validation number, 0..1, and its name."""
    return f"{name.removeprefix('val_').replace('_', ' ')} {percent(value)} %"


def _losses(means):
    """Returns "loss 0.9 (class 0.5, box 0.4)", str, of numbers by name."""
    parts = {n.removesuffix("_loss"): v for n, v in means.items() if _is_part(n)}
    text = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
    if "loss" not in means:
        return text
    return f"loss {means['loss']:.3f}" + (f" ({text})" if text else "")


def _is_part(name):
    return name.endswith("_loss") and not name.startswith("val_")
