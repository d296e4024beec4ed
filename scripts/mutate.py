"""Measures how many small faults in the library the fast tests notice.

    python scripts/mutate.py --seed 1 --count 100 --output mutation-1.json

One operator or constant at a time is changed in geometry, ops, layers, models,
preprocessing and metrics; the nearest tests run, without the reference's recordings;
what they did not notice is listed. Every file gets one fault, and a share of the rest
by the number of its places, drawn by the seed. The file of results is written after
every fault, and the same command resumes where it was stopped.

The checkout is never edited: faults are put into copies in a temporary folder. First,
each test file that is near runs once without a fault: it must pass, and shows what each
test takes and calls. A fault gets the nearest tests that call its function and fit into
`--budget` seconds, until one fails; an endless loop counts as noticed. Processes are
forked after Keras was imported and before the library is, which saves the eight seconds
of that import; `--plain` starts each anew.

Why no tool: mutmut 3 changes no module's constants and no decorated class, which every
layer here is, and draws no sample; cosmic-ray edits the checkout itself and pays the
import for every fault.
"""

import argparse
import configparser
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time

from mutation import nearest, places, runs

GEOMETRY = "levels boxes box_coder anchors matcher sampler losses chance"
FOLDERS = "ops layers models preprocessing metrics"
# Recordings are not to be had everywhere, and recipes take minutes.
LEFT_OUT = ("tests/parity/", "tests/test_mutate.py", "tests/test_zoo.py")
PORTION = 10  # faults
PRELOADED = "numpy keras PIL.Image pycocotools.coco rich.console"


def main(argv=None):
    """Measures what the command line asks for and prints it; returns the exit code."""
    arguments = parse(argv)
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    root = arguments.checkout.resolve()
    sources = dict(targets(root, backend, arguments.only))
    if not sources:
        raise SystemExit(f"{root} must hold {runs.PACKAGE}; nothing to change is there")
    found = {name: places.places(source) for name, source in sources.items()}
    record = Record(arguments, root, backend, drawn(found, arguments))
    imports = nearest.Imports(root, LEFT_OUT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not arguments.plain:
        preload(imports.outside(), backend)
    near = {name: imports.nearest(name) for name in sources if found[name]}
    options = ["-o", "addopts=", "--import-mode=importlib", "-m", fast_marks(root)]
    todo = [mutant for mutant in record.content["mutants"] if "noticed" not in mutant]
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        runner = runs.Runner(
            root, pathlib.Path(folder), arguments.workers, arguments.plain
        )
        try:
            while todo:  # in small portions: the first result comes soon
                portion, todo = todo[:PORTION], todo[PORTION:]
                measure_tests(runner, options, near, record, portion)
                if arguments.list:
                    print_nearest(near, record, portion)
                else:
                    run_mutants(runner, options, near, sources, record, portion)
        except KeyboardInterrupt:
            print("stopped; the same command resumes from here")
    if arguments.list:
        return 0
    share = print_table(record.content["mutants"], record.content["seconds"])
    return int(arguments.at_least is not None and share < arguments.at_least)


def parse(argv):
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    here = pathlib.Path(__file__).resolve().parent.parent
    add("--seed", type=int, default=1, help="of the draw (%(default)s)")
    add("--count", type=int, default=100, help="faults to try (%(default)s)")
    add("--output", type=pathlib.Path, required=True, help="JSON file of results")
    add("--checkout", type=pathlib.Path, default=here, help="(this one)")
    add("--only", default="", metavar="TEXT", help="files whose path has this in it")
    add("--workers", type=int, default=2, help="processes at a time (%(default)s)")
    add("--budget", type=float, default=20, help="seconds of tests (%(default)s)")
    add("--at-least", type=float, metavar="PERCENT", help="exit code 1 below it")
    add("--list", action="store_true", help="only list the nearest tests of each file")
    add("--control", action="store_true", help="no faults: nothing may be noticed")
    add("--plain", action="store_true", help="start processes instead of forking")
    return parser.parse_args(argv)


def targets(root, backend, only):
    """Yields (path in the checkout, source) of the files to change."""
    paths = [root / runs.PACKAGE / f"{name}.py" for name in GEOMETRY.split()]
    for folder in FOLDERS.split():
        paths += sorted((root / runs.PACKAGE / folder).rglob("*.py"))
    for path in paths:
        name = path.relative_to(root).as_posix()
        elsewhere = backend != "tensorflow" and path.stem.endswith("_tensorflow")
        if path.is_file() and only in name and not elsewhere:
            yield name, path.read_text()


def drawn(found, arguments):
    """Returns list of dict, the faults of the draw in the order they are tried."""
    sizes = {name: len(in_file) for name, in_file in found.items() if in_file}
    mutants = []
    for name, number in shares(sizes, arguments.count, arguments.seed).items():
        chance = random.Random(f"{arguments.seed} {name}")
        order = [(place, chance.choice(place.afters)) for place in found[name]]
        chance.shuffle(order)
        for place, after in order[:number]:
            mutant = {"path": name} | dataclasses.asdict(place) | {"after": after}
            del mutant["afters"]
            mutants.append(mutant)
    mutants.sort(key=lambda mutant: (mutant["path"], mutant["start"]))
    random.Random(arguments.seed).shuffle(mutants)
    return mutants


def shares(sizes, count, seed):
    """Returns dict of file -> number of faults: one each, the rest by size."""
    names = sorted(sizes)
    random.Random(seed).shuffle(names)
    given = dict.fromkeys(names[:count], 1)
    rest, total = count - len(given), sum(sizes.values())
    for _ in range(rest):
        room = [name for name in given if given[name] < sizes[name]]
        if not room:
            break
        lacking = {n: rest * sizes[n] / total - (given[n] - 1) for n in room}
        given[max(room, key=lacking.__getitem__)] += 1
    return given


def preload(outside, backend):
    """Imports what every test process would, as far as this checkout uses it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wanted = {name.split(".")[0] for name in outside}
    for name in [*PRELOADED.split(), backend, "pytest"]:
        if name.split(".")[0] in wanted:
            importlib.import_module(name)


def fast_marks(root):
    """Returns str, the marks of pytest's -m: the checkout's own, without parity."""
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    words = shlex.split(settings.get("tool:pytest", "addopts", fallback=""))
    own = words[words.index("-m") + 1] if "-m" in words else "not slow"
    return f"({own}) and not slow and not parity"


class Record:
    """The file of results: what was asked, how long tests take, what was noticed."""

    def __init__(self, arguments, root, backend, mutants):
        self.path = arguments.output
        self.saved = time.monotonic()
        asked = {
            "seed": arguments.seed,
            "count": arguments.count,
            "only": arguments.only,
            "budget": arguments.budget,
            "control": arguments.control,
            "backend": backend,
            "sources": sources_hash(root),
        }
        if self.path.exists():
            self.content = json.loads(self.path.read_text())
            for name, value in asked.items():
                if self.content.get(name) != value:
                    raise SystemExit(
                        f"{self.path} must be of the same draw and sources; received "
                        f"{name}={value}, it has {self.content.get(name)}: name "
                        "another file in --output"
                    )
            return
        git = ["git", "-C", str(root), "rev-parse", "HEAD"]
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
        self.content = asked | {
            "commit": commit,
            "cores": os.cpu_count(),
            "workers": arguments.workers,
            "seconds": 0.0,
            "tests": {},  # test file -> what its tests take and call
            "mutants": mutants,
        }

    def save(self):
        """Writes the file anew, whole or not at all."""
        now = time.monotonic()
        self.content["seconds"] = round(self.content["seconds"] + now - self.saved, 1)
        self.saved = now
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(json.dumps(self.content))
        os.replace(part, self.path)


def sources_hash(root):
    """Returns str, SHA-256 of all that decides a result."""
    digest = hashlib.sha256()
    here = pathlib.Path(__file__).parent
    for base, pattern in (
        (root, f"{runs.PACKAGE}/**/*.py"),
        (root, "tests/**/*.py"),
        (root, "setup.cfg"),
        (here, "mutation/*.py"),
    ):
        for path in sorted(base.glob(pattern)):
            name = path.relative_to(base).as_posix()
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def measure_tests(runner, options, near, record, mutants):
    """Runs the near test files without a fault; notes what each test takes and calls.

    Of a file it notes `seconds_of`, test -> seconds, `around`, what its imports take,
    and `calls`, function -> numbers of the tests that call it. It is stopped when it
    took the budget: what comes later is not used.
    """
    measured, budget = record.content["tests"], record.content["budget"]
    while True:
        unknown = {
            nearest.chosen(mutant, near[mutant["path"]], measured, budget)[1]
            for mutant in mutants
        }
        jobs = [
            {"files": [name], "tests": None, "options": options, "change": None}
            | {"stop_after": budget, "seconds": 5 * budget + 30}
            for name in sorted(unknown - {None})
        ]
        if not jobs:
            return
        for job, outcome in runner.run(jobs):
            [name] = job["files"]
            # 2: stopped; 5: no test of the file is a fast one.
            if outcome["failed"] or outcome["ended"] not in (0, 2, 5, *runs.TOO_LONG):
                raise SystemExit(
                    f"{name} must pass before faults are tried; it ended with "
                    f"{outcome['ended']}, failed: {outcome['failed']}"
                )
            place = {test: number for number, test in enumerate(outcome["seconds_of"])}
            measured[name] = {
                "around": outcome["around"],
                "seconds_of": outcome["seconds_of"],
                "calls": {
                    function: [place[test] for test in tests if test in place]
                    for function, tests in outcome["calls"].items()
                    if function.split(":")[0] in near
                },
            }
            record.save()
            print(f"measured {outcome['wall']:6.1f} s  {name}", flush=True)


def run_mutants(runner, options, near, sources, record, mutants):
    """Tries faults and prints what came of each."""
    jobs = [
        job_of(mutant, near[mutant["path"]], sources[mutant["path"]], options, record)
        for mutant in mutants
    ]
    for job, outcome in runner.run(jobs):
        mutant, ended = job["mutant"], outcome["ended"]
        # Without any test left to run (5) nothing was noticed either.
        mutant["noticed"] = bool(job["tests"]) and ended not in (0, 5)
        mutant["by"] = (outcome["failed"] or [f"ended with {ended}"])[0]
        mutant["tests"] = len(job["tests"])
        mutant["seconds"] = outcome["wall"]
        record.save()
        tried = ["noticed" in mutant for mutant in record.content["mutants"]]
        result = "noticed    " if mutant["noticed"] else "NOT NOTICED"
        print(
            f"[{sum(tried):3}/{len(tried)}] {outcome['wall']:5.1f} s  {result}  "
            f"{described(mutant)}  {mutant['by'] if mutant['noticed'] else ''}",
            flush=True,
        )


def job_of(mutant, ranks, source, options, record):
    """Returns dict, the job of `runs.Runner` that tries a fault."""
    measured = record.content["tests"]
    tests, _ = nearest.chosen(mutant, ranks, measured, record.content["budget"])
    changed = source
    if not record.content["control"]:
        start, end = mutant["start"], mutant["end"]
        changed = places.mutated(source, start, end, mutant["after"])
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    seconds = sum(measured[name]["around"] for name in files)
    seconds += sum(measured[t.split("::")[0]]["seconds_of"][t] for t in tests)
    return {
        "mutant": mutant,
        "files": files,
        "tests": tests,
        "options": ["-x", *options],
        "change": (mutant["path"], changed),
        "stop_after": None,
        "seconds": 3 * seconds + 2,
    }


def described(mutant):
    """Returns str, file:line, before -> after, in one line."""
    change = f"{mutant['before']} -> {mutant['after'] or 'nothing'}"
    return f"{mutant['path']}:{mutant['line']}:{mutant['column']}  {change}"


def print_nearest(near, record, mutants):
    """Prints the tests that each fault of the draw gets."""
    for mutant in mutants:
        tests, _ = nearest.chosen(
            mutant,
            near[mutant["path"]],
            record.content["tests"],
            record.content["budget"],
        )
        print(described(mutant))
        for name in dict.fromkeys(test.split("::")[0] for test in tests):
            number = sum(test.startswith(name + "::") for test in tests)
            print(f"    {number:3} tests of {name}")


def print_table(mutants, seconds):
    """Prints the faults not noticed and the share noticed; returns it, percent."""
    tried = [mutant for mutant in mutants if "noticed" in mutant]
    print("\nnot noticed")
    for mutant in sorted(tried, key=lambda mutant: (mutant["path"], mutant["start"])):
        if not mutant["noticed"]:
            print(f"  {described(mutant)}    {mutant['text']}")
    rows: dict[str, list[bool]] = {}
    for mutant in tried:
        parts = mutant["path"].split("/")
        rows.setdefault(parts[1] if len(parts) > 2 else "geometry", []).append(
            mutant["noticed"]
        )
    rows = dict(sorted(rows.items())) | {"all": [m["noticed"] for m in tried]}
    print(f"\n{'':14} faults  noticed    share")
    for name, noticed in rows.items():
        share = 100 * sum(noticed) / max(len(noticed), 1)
        print(f"{name:14} {len(noticed):6}  {sum(noticed):7}  {share:5.1f} %")
    print(f"{seconds:.0f} s in all")
    return share


if __name__ == "__main__":
    sys.exit(main())
