"""Each kind of step gives the same without op determinism, as for users, as with it.

The tests' own process asks for sums that repeat, and so must not be the only one that
trains: a kernel whose threads get in each other's way would never be noticed. Steps of
several machines are in `test_distribution_runs.py`.
"""

import functools
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from process_environment import environment_of_its_own

pytestmark = pytest.mark.tensorflow_only

SCRIPT = pathlib.Path(__file__).with_name("training_steps.py")
PLAIN = ("plain",)
# Kinds that must give what another one gives. XLA does not compile sums that repeat.
REFERENCES = dict.fromkeys(("several at once", "mirrored", "compiled by XLA"), "plain")
REST = ("mirrored", "several at once", "accumulated", "clipped", "mixed precision")
XLA = ("compiled by XLA",)
# Sums in another order: 1e-6 of a weight's change as measured, and 2e-4 of those that
# are themselves but rounding, as of a bias in front of a norm. bfloat16 has 8 bits.
TOLERANCE, MIXED_TOLERANCE = 1e-3, 2e-2


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """Function of a kind: the results of its steps, in a process for its group."""

    @functools.cache
    def results(kinds):
        result = tmp_path_factory.mktemp("steps") / "result.npz"
        done = subprocess.run(
            [sys.executable, SCRIPT, result, *kinds],
            env=environment_of_its_own(CUDA_VISIBLE_DEVICES="-1"),
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        with np.load(result) as found:
            return dict(found)

    def of_kind(kind):
        [group] = [group for group in (PLAIN, REST, XLA) if kind in group]
        found = results(group)
        return {
            name.removeprefix(f"{kind}: "): value
            for name, value in found.items()
            if name.startswith(f"{kind}: ")
        }

    return of_kind


@pytest.fixture(scope="module")
def repeated():
    """Function of a kind: the same in this process, with deterministic operations."""
    from training import training_steps

    assert training_steps.is_op_determinism_enabled()

    @functools.cache
    def of_kind(kind):
        found = training_steps.KINDS[kind]()
        return {name.replace("/", "."): value for name, value in found.items()}

    return of_kind


@pytest.mark.ci
@pytest.mark.parametrize("kind", PLAIN + REST + XLA)
def test_steps_train_alike_whether_sums_repeat_or_not(free, repeated, kind):
    found, expected = free(kind), repeated(REFERENCES.get(kind, kind))
    assert found.keys() == expected.keys()
    early, late = found["losses"]
    assert np.isfinite(early)
    assert late < 0.9 * early
    tolerance = MIXED_TOLERANCE if kind == "mixed precision" else TOLERANCE
    np.testing.assert_allclose(
        found["losses"], expected["losses"], rtol=tolerance, atol=0
    )
    changes = [name for name in found if name.startswith("change ")]
    largest = max(np.linalg.norm(expected[name]) for name in changes)
    for name in changes:
        size = np.linalg.norm(expected[name])
        away = np.linalg.norm(found[name] - expected[name])
        assert size > 0, name
        assert away <= tolerance * size + 1e-6 * largest, name
