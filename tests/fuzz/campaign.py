"""Feeds readers hostile files and counts the outcomes.

    python tests/fuzz/campaign.py --inputs 20000 --seed 1

Inputs are numbered and depend on the seed alone. They are read in a child process, so
that a crash or a hang is one outcome among others. Exits with 1 if there is one that a
reader must not have, or if less than 30 % were parsed.
"""

import argparse
import collections
import importlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
hostile = importlib.import_module("fuzz.hostile")


PARSED, REFUSED = "parsed", "refused with a named error"
UNNAMED, FOREIGN = "error without the file's name", "foreign exception"
CRASH, HANG, GROWTH = "crash", "hang over 5 s", "growth over 1 GiB"
WANTED = (PARSED, REFUSED)
_SECONDS = 5  # of processor time
_GROWTH = 2**20  # KiB
_LONGEST = 600  # letters of a message, without the folder


class Inputs:
    """Hostile inputs by number.

    Args:
        targets: list of `fuzz.target.Target`.
        seed: int.
    """

    def __init__(self, targets, seed):
        self.order = [t for t in targets for _ in range(t.share)]
        self.seed = seed
        self._structures = {}

    def __call__(self, number):
        """Returns the Target of an input, and its bytes."""
        target = self.order[number % len(self.order)]
        generator = hostile.generator_of(self.seed, number)
        if target.sound is None or (
            target.structure is not None and generator.random() < 0.75
        ):
            return target, target.written(self._structure(target, number))
        return target, hostile.damaged(target.sound, generator)

    def _structure(self, target, number):
        batch, place = divmod(number // len(self.order), 8)
        key = self.seed * 10**6 + batch * len(self.order) + number % len(self.order)
        if self._structures.get(id(target), (None,))[0] != key:
            found = hostile.structures(target.structure, key)
            self._structures[id(target)] = key, found
        found = self._structures[id(target)][1]
        return found[-1 - place % len(found)]  # the first ones are the simplest


def outcome_of(target, content, folder):
    """Reads an input; returns its outcome and what was said."""
    path = folder / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        target.read(path)
        outcome, said = PARSED, ""
    except ValueError as error:
        said = str(error).replace(str(folder), "")
        short = len(said) <= _LONGEST and "\n" not in said
        # A run is known by its folder.
        where = path.parent.name if target.name.startswith("run/") else path.name
        named = short and (where in said or not target.is_named)
        outcome = REFUSED if named else UNNAMED
    except Exception as error:  # all of them are what this looks for
        outcome, said = FOREIGN, f"{type(error).__name__}: {error}"
    finally:
        path.unlink(missing_ok=True)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > _GROWTH:
        return GROWTH, said
    return outcome, said


def work(arguments):
    """Reads the inputs from `start` to `stop`, and prints a line for each."""
    import fuzz.targets as targets

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = pathlib.Path(arguments.folder)
    targets.prepare(folder)
    inputs = Inputs(targets.all_targets(folder), arguments.seed)
    for number in range(arguments.start, arguments.inputs):
        target, content = inputs(number)
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 20 * _SECONDS)
        outcome, said = outcome_of(target, content, folder)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps([number, target.name, outcome, said[:300]]), flush=True)


def run(arguments):
    """Yields (number, target, outcome, said) of all inputs, whatever they do.

    Raises:
        SystemExit: the child process fails where it reads no input.
    """
    start = arguments.start
    while start < arguments.inputs:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--folder", folder]
            command += ["--seed", str(arguments.seed), "--start", str(start)]
            command += ["--inputs", str(arguments.inputs)]
            with subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            ) as child:
                for line in child.stdout:
                    if line.startswith("["):
                        yield (found := json.loads(line))
                        start = found[0] + 1
        if child.returncode == 1:
            raise SystemExit("The child failed outside the readers: see above.")
        if start < arguments.inputs:
            late = -child.returncode in (signal.SIGVTALRM, signal.SIGALRM)
            yield start, "?", HANG if late else CRASH, f"exit code {child.returncode}"
            start += 1


def main():
    """Runs a campaign; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the first input's number")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        work(arguments)
        return 0
    counts, by_target = collections.Counter(), collections.Counter()
    for number, name, outcome, said in run(arguments):
        counts[outcome] += 1
        by_target[name, outcome] += 1
        if outcome not in WANTED:
            print(f"{number} {name}: {outcome}: {said}", flush=True)
    total = sum(counts.values())
    for (name, outcome), count in sorted(by_target.items()):
        print(f"{name:28}{outcome:32}{count:7}")
    for outcome, count in counts.most_common():
        print(f"{outcome:32}{count:7} {count / total:7.1%}")
    sound = set(counts) <= set(WANTED) and counts[PARSED] >= 0.3 * total
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
