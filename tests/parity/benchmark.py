"""Seconds or memory of keras_fpn, beside another checkout of it or torchvision.

    python tests/parity/benchmark.py --against CHECKOUT --step
    python tests/parity/benchmark.py --torchvision /path/to/other/python --memory
    python tests/parity/benchmark.py --torchvision /path/to/other/python \
        --preset mask_rcnn_resnet50_fpn_coco

Each side is a process of its own, and one works at a time, in turns: what slows the
machine for a while slows all, so ratios mean more than seconds. Masks are returned in
the size of the photo. Weights and photos are
the recordings' (see tests/conftest.py for where they are looked for); without them,
those of a small detector that came with keras_fpn, and drawn photos. KERAS_BACKEND
chooses the backend; `taskset` leaves fewer cores.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKER = pathlib.Path(__file__).with_name("benchmark_worker.py")
TWINS = "_resnet50_fpn_"  # in the names of what the worker builds in torchvision
RECORDED = "faster_rcnn_resnet50_fpn_coco"
SHIPPED = "faster_rcnn_resnet18_fpn_bccd"
OURS = "this checkout"
WARM_UP = 2  # the first turn traces and compiles, the second still finds its memory
UNITS = {"seconds": "s", "mib": "MiB"}


class Worker:
    """A process that does one turn for each line it gets, and answers in JSON.

    Args:
        name: str, the side that it works for.
        command: list of str.
        environment: dict of str.
    """

    def __init__(self, name, command, environment):
        self.name = name
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, env=environment, **pipes)
        self.about = self._answer()

    def turn(self):
        """Returns one turn's answer: dict with "seconds", "mib" and "result"."""
        with contextlib.suppress(BrokenPipeError):  # it ended, which `_answer` says
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            sys.exit(f"The worker of {self.name} ended with code {code}; see above.")
        return json.loads(line)

    def close(self):
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def seconds_of(sides, rounds):
    """Has all sides take turns.

    Args:
        sides: dict, name -> function that starts its worker.
        rounds: int, turns of each side that count, after its warm-up.

    Returns:
        dict of name -> its worker's `about`, and dict of name -> answers, in order.
    """
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, start in sides.items():
            workers[name] = stack.enter_context(contextlib.closing(start()))
        for _ in range(WARM_UP):
            for worker in workers.values():
                worker.turn()
        answers = {name: [] for name in sides}
        for _ in range(rounds):
            for name, worker in workers.items():
                answers[name].append(worker.turn())
        return {name: worker.about for name, worker in workers.items()}, answers


def memory_of(sides, rounds):
    """Does the same with a fresh worker for every round, whose last answer counts."""
    about, answers = {}, {name: [] for name in sides}
    for _ in range(rounds):
        for name, start in sides.items():
            with contextlib.closing(start()) as worker:
                answer = [worker.turn() for _ in range(WARM_UP + 1)][-1]
                answers[name].append(answer)
                about[name] = worker.about
    return about, answers


def spread(values):
    """Returns the median, least and greatest of numbers, as a dict."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
    }


def ratios(ours, others):
    """Returns the spread of other / ours, turn by turn: above 1, ours takes less."""
    return spread([other / own for own, other in zip(ours, others, strict=True)])


def report(answers, quantity):
    """Returns the figures of all sides.

    Args:
        answers: dict, side -> list of answers, `OURS` among them.
        quantity: str, "seconds" or "mib".

    Returns:
        dict, side -> its "result", the spread of the quantity by its name, and but for
        `OURS` its "ratio".
    """
    figures = {}
    ours = [answer[quantity] for answer in answers[OURS]]
    for name, of_side in answers.items():
        values = [answer[quantity] for answer in of_side]
        figures[name] = {quantity: spread(values), "result": of_side[0]["result"]}
        if name != OURS:
            figures[name]["ratio"] = ratios(ours, values)
    return figures


def lines_of(figures, quantity):
    """Yields the figures as lines of text."""
    for name, of_side in figures.items():
        value, digits = of_side[quantity], 3 if quantity == "seconds" else 0
        between = f"{value['min']:.{digits}f} to {value['max']:.{digits}f}"
        median = f"{value['median']:.{digits}f} {UNITS[quantity]}"
        yield f"{name}: median {median}, {between}; result {of_side['result']:.6g}"
    for name, of_side in figures.items():
        if "ratio" in of_side:
            ratio = of_side["ratio"]
            yield (
                f"{name} takes {ratio['median']:.3f} times as much as {OURS}, "
                f"{ratio['min']:.3f} to {ratio['max']:.3f} turn by turn"
            )


def parse(argv=None):
    """Returns the arguments, those that were not given filled in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = os.environ.get("KERAS_FPN_SHARED") or ROOT.parent / "shared"
    add = parser.add_argument
    add("--against", metavar="CHECKOUT", help="another checkout to compare with")
    add("--torchvision", metavar="PYTHON", help="a Python that has torchvision")
    add("--step", action="store_true", help="a training step instead of a detection")
    add(
        "--memory",
        action="store_true",
        help="instead of seconds, the most memory that was resident, in MiB over what "
        "was after importing; a fresh process every round (Linux only)",
    )
    add("--preset", help=f"default: {RECORDED}; {SHIPPED} without recordings")
    add("--folder", default=pathlib.Path(shared) / "parity", help="of the recordings")
    add("--batch", type=int, help="photos at a time; default: 1, or 8 drawn for a step")
    add("--rounds", type=int, help="default: 8; 3 with --memory")
    add("--json", metavar="FILE", help="write the figures and versions to a file too")
    arguments = parser.parse_args(argv)
    _fill_in(arguments)
    _check(arguments, parser.error)
    return arguments


def _fill_in(arguments):
    if arguments.preset is None:
        recorded = _recording(arguments, RECORDED).is_file()
        arguments.preset = RECORDED if recorded else SHIPPED
    arguments.reference = None
    if arguments.preset.endswith("_coco"):
        arguments.reference = _recording(arguments, arguments.preset).stem
    if arguments.batch is None:
        arguments.batch = 8 if arguments.step and not arguments.reference else 1
    if arguments.rounds is None:
        arguments.rounds = 3 if arguments.memory else 8
    if arguments.against:
        arguments.against = str(pathlib.Path(arguments.against).resolve())


def _recording(arguments, preset):
    """Returns where the recording of one of torchvision's models lies."""
    name = preset.removesuffix("_coco").replace("_rcnn", "rcnn")
    return pathlib.Path(arguments.folder) / f"{name}.npz"


def _check(arguments, error):
    path = _recording(arguments, arguments.preset)
    if arguments.reference and not path.is_file():
        error(f"--preset {arguments.preset} needs its recording; there is no {path}.")
    other = arguments.against
    if other and not (pathlib.Path(other) / "keras_fpn" / "__init__.py").is_file():
        error(f"--against must be a checkout of keras_fpn; received {other}.")
    if arguments.torchvision and not (
        arguments.reference and TWINS in arguments.preset
    ):
        error(
            f"--torchvision needs a preset such as {RECORDED}; received "
            f"{arguments.preset}."
        )
    if arguments.step and arguments.reference and arguments.preset != RECORDED:
        error(f"--step has only boxes, for {RECORDED}; received {arguments.preset}.")
    for name in ("batch", "rounds"):
        if getattr(arguments, name) < 1:
            error(f"--{name} must be at least 1; received {getattr(arguments, name)}.")
    if arguments.memory and not pathlib.Path("/proc/self/clear_refs").exists():
        error("--memory needs Linux; there is no /proc/self/clear_refs.")


def sides_of(arguments):
    """Returns a dict, name of a side -> function that starts its worker."""
    sides = {OURS: (sys.executable, str(ROOT))}
    if arguments.against:
        same = arguments.against == str(ROOT)  # which shows how much is noise
        name = "the same again" if same else arguments.against
        sides[name] = (sys.executable, arguments.against)
    if arguments.torchvision:
        sides["torchvision"] = (arguments.torchvision, None)
    return {
        name: functools.partial(Worker, name, *call_of(arguments, python, checkout))
        for name, (python, checkout) in sides.items()
    }


def call_of(arguments, python, checkout):
    """Returns the command and the environment of a side's worker.

    Args:
        arguments: as `parse` returns them.
        python: str, the interpreter.
        checkout: str, where keras_fpn is; None for torchvision.
    """
    task = {
        "checkout": checkout,
        "folder": str(arguments.folder),
        "cores": cores(),
    }
    for name in ("preset", "reference", "batch", "step", "memory"):
        task[name] = getattr(arguments, name)
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    # Users' trainings run without, and what it costs would hide the rest.
    environment.pop("TF_DETERMINISTIC_OPS", None)
    path = environment.pop("PYTHONPATH", "")
    if checkout:  # before an installed keras_fpn; the worker makes sure
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [checkout, path]))
    return [python, str(WORKER), json.dumps(task)], environment


def cores():
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def main():
    """Measures, prints, and writes what was asked for."""
    arguments = parse()
    work = "a training step" if arguments.step else "a detection"
    print(f"{work} of {arguments.preset}, batch {arguments.batch}, {cores()} cores")
    measure = memory_of if arguments.memory else seconds_of
    quantity = "mib" if arguments.memory else "seconds"
    about, answers = measure(sides_of(arguments), arguments.rounds)
    figures = report(answers, quantity)
    for name, versions in about.items():
        made_of = ", ".join(f"{part} {version}" for part, version in versions.items())
        print(f"{name}: {made_of}")
    print(*lines_of(figures, quantity), sep="\n")
    if arguments.json:
        written = {
            "work": "step" if arguments.step else "detect",
            "preset": arguments.preset,
            "batch": arguments.batch,
            "rounds": arguments.rounds,
            "cores": cores(),
            "sides": {name: about[name] | figures[name] for name in figures},
        }
        pathlib.Path(arguments.json).write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
