"""What scripts/benchmark_neck.py measures, with the smallest detector."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "scripts" / "benchmark_neck.py"


SLOW = pytest.mark.slow  # Last run: 2026-11-29, both passed.
TIMES = {"seconds", "cpu"}


@pytest.mark.parametrize(
    ("options", "sides", "quantities"),
    [
        pytest.param((), ("FPN", "FaPN"), TIMES, marks=pytest.mark.ci),
        pytest.param(("--step", "--memory"), ("FPN", "FaPN"), {"mib"}, marks=SLOW),
        pytest.param(
            ("--compare", "points", "--step"), ("two", "adaptive"), TIMES, marks=SLOW
        ),
    ],
)
def test_both_sides_are_measured_and_compared(options, sides, quantities):
    small = ["--backbone", "resnet18", "--side", "96", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *small, *options],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    for quantity in quantities:
        for side in sides:
            figure = rf"^{side} {quantity} {{'median': [0-9.]+, 'min'"
            assert re.search(figure, done.stdout, re.MULTILINE), done.stdout
    ratio = f"{sides[1]} / {sides[0]}, turn by turn"
    assert done.stdout.count(ratio) == len(quantities)
