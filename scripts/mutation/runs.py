"""Runs pytest in processes of their own, each in its copy of the checkout.

A process is forked from this one, with all that this one has imported. As a script,
this file does what the forked process would: `python runs.py ORDER.json`.
"""

import compileall
import contextlib
import importlib.util
import inspect
import json
import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from typing import Any

PACKAGE = "keras_fpn"
NOT_COPIED = (".git", ".venv", "out", "__pycache__", "*_cache", "*.egg-info")
WAITING = 10  # times as long as it may compute, a process may last
WRONG_CHECKOUT = 70  # exit code, none of pytest's
TOO_LONG = (-signal.SIGXCPU, "timeout")  # how a process ends that does not end
MEMORY = 8 << 30  # bytes a process may ask for: a fault may ask for all there is


class Runner:
    """Runs jobs side by side.

    A job is a dict: `files` and `tests` (ids; None for all) to run, `options` of
    pytest, `seconds` that each process may compute, `stop_after` so many seconds of
    tests, or None, and `change`, (path, source) of a file to replace in the copy
    meanwhile, or None. Seconds are those of the processor: how busy the machine is must
    decide nothing. What waits for ever is killed after ten times as long.

    Args:
        root: pathlib.Path of the checkout; it is only read.
        folder: pathlib.Path, an empty folder for the copies.
        workers: int, processes at a time.
        plain: bool, whether to start processes rather than fork.
    """

    def __init__(self, root, folder, workers, plain):
        self.plain = plain
        self.copies = [folder / f"copy{number}" for number in range(workers)]
        ignore = shutil.ignore_patterns(*NOT_COPIED)
        for copy in self.copies:
            shutil.copytree(root, copy / "checkout", ignore=ignore, symlinks=True)
            compileall.compile_dir(copy / "checkout" / PACKAGE, quiet=1)

    def run(self, jobs):
        """Yields (job, outcome) as they end; see `read_outcome`."""
        jobs, running, free = iter(jobs), {}, list(self.copies)
        try:
            while True:
                while free and (job := next(jobs, None)) is not None:
                    copy = free.pop()
                    original = exchange(copy / "checkout", job["change"])
                    pid = self.start(copy, job)
                    running[pid] = (copy, job, original, time.monotonic())
                if not running:
                    return
                time.sleep(0.02)
                for pid, (copy, job, original, begun) in list(running.items()):
                    ended = end_of(pid, begun + WAITING * job["seconds"])
                    if ended is not None:
                        del running[pid]
                        free.append(copy)
                        exchange(copy / "checkout", original)
                        outcome = read_outcome(copy / "reports", *ended)
                        outcome["wall"] = round(time.monotonic() - begun, 2)
                        yield job, outcome
        finally:
            for pid in running:
                kill(pid)

    def start(self, copy, job):
        """Starts the process of a job in a copy; returns its id."""
        shutil.rmtree(copy / "temporary", ignore_errors=True)
        (copy / "temporary").mkdir()
        (copy / "reports").unlink(missing_ok=True)
        order = {
            "folder": str(copy),
            "arguments": [*job["options"], *job["files"]],
            "tests": job["tests"],
            "stop_after": job["stop_after"],
            "seconds": job["seconds"],
        }
        if self.plain:
            (copy / "order.json").write_text(json.dumps(order))
            command = [sys.executable, __file__, str(copy / "order.json")]
            return os.posix_spawn(command[0], command, os.environ, setpgroup=0)
        pid = os.fork()
        if pid == 0:
            run_and_exit(order)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # parent and child both: neither may be too late
        return pid


def exchange(checkout, change):
    """Replaces a file of a copy; returns the change that undoes it."""
    if change is None:
        return None
    name, source = change
    path = checkout / name
    original = path.read_text()
    path.write_text(source)
    # Within a second, a file of the same size would pass for the compiled one.
    pathlib.Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)
    return name, original


def end_of(pid, deadline):
    """Returns None while a process runs, then how it ended and what it computed.

    Returns:
        ended: int, the exit code; the negative number of the signal that ended it; or
            "timeout", killed at the deadline.
        seconds: float, of the processor, with those of what it started and awaited.
    """
    done, status, usage = os.wait4(pid, os.WNOHANG)
    if done == 0 and time.monotonic() < deadline:
        return None
    kill(pid)
    if done == 0:
        _, _, usage = os.wait4(pid, 0)
    ended = os.waitstatus_to_exitcode(status) if done else "timeout"
    return ended, usage.ru_utime + usage.ru_stime


def kill(pid):
    """Kills a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def read_outcome(path, ended, seconds):
    """Returns what a process reported: dict of

    ended: int or "timeout", see `end_of`.
    failed: list of the tests that failed.
    around: float, seconds of the processor for all but the tests, imports above all.
    seconds_of: dict of test that passed -> seconds of the processor.
    calls: dict of function, "file:qualified name" -> list of tests that called it.
    """
    if ended == WRONG_CHECKOUT:
        raise RuntimeError(f"the tests imported {PACKAGE} from outside their copy")
    seconds_of, calls, not_passed, failed = {}, {}, set(), []
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        test, outcome, duration, called = json.loads(line)
        seconds_of[test] = seconds_of.get(test, 0.0) + duration
        for function in called:
            calls.setdefault(function, []).append(test)
        if outcome == "failed":
            failed.append(test)
        if outcome != "passed":
            not_passed.add(test)
    return {
        "ended": ended,
        "failed": failed,
        "around": round(seconds - sum(seconds_of.values()), 3),
        "seconds_of": {
            test: round(duration, 3)
            for test, duration in seconds_of.items()
            if test not in not_passed
        },
        "calls": calls,
    }


class Watcher:
    """A pytest plugin: runs the tests of an order in its order, and reports each."""

    def __init__(self, order):
        self.tests = order["tests"]
        self.stop_after = order["stop_after"] or float("inf")
        self.begun = self.now = 0.0
        folder = pathlib.Path(order["folder"])
        self.reports = (folder / "reports").open("a")
        self.checkout = str(folder / "checkout") + os.sep
        self.library = self.checkout + PACKAGE
        self.called = set()
        self.session: Any = None
        if self.tests is None:  # to be measured
            threading.settrace(self.trace)
            sys.settrace(self.trace)

    def trace(self, frame, event, argument):
        """Notes a call of the library; returns None: no line of it is of interest."""
        code = frame.f_code
        # Bodies of modules and classes run when they are imported: no call of a test.
        function = code.co_flags & inspect.CO_OPTIMIZED
        if function and code.co_filename.startswith(self.library):
            self.called.add((code.co_filename, code.co_qualname))

    def pytest_sessionstart(self, session):
        self.session = session

    def pytest_collection_finish(self):
        self.begun = self.now = computed()  # what imports take is no test's

    def pytest_collection_modifyitems(self, items):
        if self.tests is not None:
            place = {test: number for number, test in enumerate(self.tests)}
            items[:] = [item for item in items if item.nodeid in place]
            items.sort(key=lambda item: place[item.nodeid])

    def pytest_collectreport(self, report):
        if report.failed:
            self.write(report.nodeid, "failed", 0.0, [])

    def pytest_runtest_logreport(self, report):
        called = {
            f"{name.removeprefix(self.checkout)}:{function}"
            for name, function in self.called
        }
        self.called.clear()
        before, self.now = self.now, computed()
        seconds = self.now - before
        self.write(report.nodeid, report.outcome, seconds, sorted(called))
        if report.when == "teardown" and self.now - self.begun > self.stop_after:
            self.session.shouldstop = "enough is known of this file"

    def write(self, *report):
        self.reports.write(json.dumps(report) + "\n")
        self.reports.flush()  # all that is known when the process is killed


def computed():
    """Returns float, seconds that this process and what it started computed."""
    return sum(os.times()[:4])


def run_and_exit(order):
    """Runs pytest by the order in this process, and ends it with pytest's exit code."""
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        code = run_pytest(order)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # not what the parent registered for its own end


def run_pytest(order):
    """Runs pytest in the order's copy; returns its exit code."""
    folder = pathlib.Path(order["folder"])
    checkout, temporary = folder / "checkout", folder / "temporary"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    seconds = int(order["seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(checkout)
    sys.path[0] = str(checkout)  # was this file's folder, or its caller's
    sys.dont_write_bytecode = True
    os.environ.pop("CI", None)
    os.environ |= {
        "KERAS_FPN_SHARED": str(folder / "no_recordings"),
        "PYTHONPATH": str(checkout),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
    }
    tempfile.tempdir = None  # asks TMPDIR again

    import pytest

    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={temporary / 'pytest'}"]
    code = int(pytest.main([*options, *order["arguments"]], [Watcher(order)]))
    library = sys.modules.get(PACKAGE)
    if library is not None and str(checkout) not in str(library.__file__):
        return WRONG_CHECKOUT
    return code


if __name__ == "__main__":
    run_and_exit(json.loads(pathlib.Path(sys.argv[1]).read_text()))
