"""What scripts/benchmark_neck.py measures, with the smallest detector."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "scripts" / "benchmark_neck.py"


@pytest.mark.ci
@pytest.mark.parametrize(
    ("options", "quantities"),
    [((), {"seconds", "cpu"}), (("--step", "--memory"), {"mib"})],
)
def test_both_necks_are_measured_and_compared(options, quantities):
    small = ["--backbone", "resnet18", "--side", "96", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *small, *options],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    for quantity in quantities:
        for neck in ("FPN", "FaPN"):
            figure = rf"^{neck} {quantity} {{'median': [0-9.]+, 'min'"
            assert re.search(figure, done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.count("FaPN / FPN") == len(quantities)
