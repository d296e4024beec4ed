"""What scripts/mutate.py changes, where, and that it can go on where it was stopped."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = '''"""A docstring with 1 + 1 and True."""
import math

__all__ = ["area" + "s"]
LIMIT = 1e-6


@decorated(cached=True)
class Box(Base, flag=True):
    """Not 2 < 3."""

    def area(self, width: "1 < 2" = 2, *, strict: bool = False) -> "3 + 4":
        if width <= 0 and not strict:
            raise ValueError(f"Width must be above 0; received {width + 1}")
        warnings.warn("at 3", stacklevel=2)
        pairs = zip(width, strict=True)
        return -max(width, (self.mean) * 2.5) + np.floor(width)  # 7 * 8
'''

# Line, function, before, afters; by hand, in the order of the source.
EXPECTED = [
    (5, "", "1e-6", ("0.0001",)),
    (12, "Box.area", "2", ("3", "4")),
    (12, "Box.area", "False", ("True",)),
    (13, "Box.area", "<=", ("<", ">")),
    (13, "Box.area", "0", ("1",)),
    (13, "Box.area", "and", ("or",)),
    (13, "Box.area", "not", ("",)),
    (17, "Box.area", "-", ("",)),
    (17, "Box.area", "max", ("min",)),
    (17, "Box.area", "*", ("/",)),
    (17, "Box.area", "2.5", ("5.0", "1.25")),
    (17, "Box.area", "+", ("-",)),
    (17, "Box.area", "floor", ("ceil",)),
]

# A checkout of one module and its tests. No test looks at `half`, as half of 0 is a
# third of it, too; and `wait` waits for ever if it does not wait for its argument.
MODULE = """def double(number):
    return number * 2


def half(number):
    return number / 2


def wait(done):
    while not done:
        pass
"""
TESTS = """from keras_fpn import boxes


def test_double():
    assert boxes.double(3) == 6


def test_half():
    assert boxes.half(0) == 0


def test_wait():
    boxes.wait(True)
"""
NOTICED = {(2, "*"): True, (2, "2"): True, (6, "/"): False, (6, "2"): False}
NOTICED |= {(10, "not"): True}


@pytest.fixture
def places(monkeypatch, repository_root):
    monkeypatch.syspath_prepend(str(repository_root / "scripts"))
    from mutation import places

    return places


@pytest.fixture
def checkout(tmp_path):
    """pathlib.Path of the small checkout."""
    for name, text in {
        "keras_fpn/__init__.py": "",
        "keras_fpn/boxes.py": MODULE,
        "tests/test_boxes.py": TESTS,
        "setup.cfg": "[tool:pytest]\npythonpath = .\n",
    }.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "checkout"


def measured(root, checkout, *options, fails=False):
    """Runs the script on a checkout; returns what it printed and its results."""
    script, output = root / "scripts" / "mutate.py", checkout.parent / "result.json"
    command = [sys.executable, script, "--checkout", checkout, "--output", output]
    process = subprocess.run(
        [*map(str, command), *options],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    text = process.stdout + process.stderr
    assert (process.returncode != 0) == fails, text
    return text, json.loads(output.read_text()) if output.exists() else None


def noticed(results):
    return {(m["line"], m["before"]): m["noticed"] for m in results["mutants"]}


def files_of(folder):
    return {p: p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file()}


def test_each_operator_and_constant_is_a_place_and_no_word_for_readers_is(places):
    found = [(p.line, p.function, p.before, p.afters) for p in places.places(SOURCE)]
    assert found == EXPECTED


def test_every_fault_compiles_and_changes_its_one_token(places):
    for place in places.places(SOURCE):
        for after in place.afters:
            changed = places.mutated(SOURCE, place.start, place.end, after)
            assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))
            lines = zip(SOURCE.splitlines(), changed.splitlines(), strict=True)
            differ = [n for n, (one, other) in enumerate(lines, 1) if one != other]
            assert differ == [place.line]


@pytest.mark.parametrize(
    ("source", "afters"),
    [
        ("a < b", ["<=", ">="]),
        ("a is not b", ["is"]),
        ("a not in b", ["in"]),
        ("(a) - (b)", ["+"]),
        ("a // b", ["*"]),
        ("a += b", ["-="]),
        ("a[::-1]", ["", "2"]),
        ("ops.argmax(a, axis=1)", ["argmin", "2"]),
        ("'é' * b; a / b", ["*"]),  # positions are counted in bytes
        ("1e9", ["10000.0"]),
        ("'text' + a", []),
        ("a + [b]", []),
        ("self.mean", []),
    ],
)
def test_the_change_of_each_kind(places, source, afters):
    assert [a for place in places.places(source) for a in place.afters] == afters


@pytest.mark.usefixtures("places")
def test_each_file_gets_one_fault_and_the_rest_by_size():
    import mutate

    # 10 faults: one each, then 7 for 21 + 7 + 0 of 28 places: 5.25, 1.75, 0.
    sizes = {"large": 21, "small": 7, "one": 1}
    assert mutate.shares(sizes, 10, seed=1) == {"large": 6, "small": 3, "one": 1}
    assert sum(mutate.shares(sizes, 2, seed=1).values()) == 2
    assert mutate.shares(sizes, 1000, seed=1) == sizes  # no place is drawn twice


@pytest.mark.ci
def test_what_tests_do_not_look_at_is_listed_and_a_stopped_run_goes_on(
    repository_root, checkout
):
    before = files_of(checkout)
    text, results = measured(repository_root, checkout, "--at-least=70", fails=True)
    assert files_of(checkout) == before, "the checkout is not to be edited"
    assert noticed(results) == NOTICED
    assert "keras_fpn/boxes.py:6:19  / -> *    return number / 2" in text
    assert "all                 5        3   60.0 %" in text

    output = checkout.parent / "result.json"
    results["mutants"][0]["by"] = "the first run"
    for mutant in results["mutants"][2:]:
        del mutant["noticed"]
    output.write_text(json.dumps(results))
    text, results = measured(repository_root, checkout, "--plain", "--at-least=60")
    assert "[  3/5]" in text
    assert "[  2/5]" not in text
    assert results["mutants"][0]["by"] == "the first run"
    assert noticed(results) == NOTICED

    (checkout / "keras_fpn" / "boxes.py").write_text(MODULE.replace("2", "3"))
    text, _ = measured(repository_root, checkout, fails=True)
    assert "must be of the same draw and sources; received sources=" in text


def test_without_faults_nothing_is_noticed(repository_root, checkout):
    _, results = measured(repository_root, checkout, "--control")
    assert len(results["mutants"]) == 5
    assert not any(mutant["noticed"] for mutant in results["mutants"])


def test_tests_that_fail_without_a_fault_are_named(repository_root, checkout):
    path = checkout / "tests" / "test_boxes.py"
    path.write_text(TESTS.replace("== 6", "== 7"))
    text, _ = measured(repository_root, checkout, fails=True)
    assert "failed: ['tests/test_boxes.py::test_double']" in text
    assert "not noticed" not in text


def test_a_folder_without_the_package_is_refused(repository_root, tmp_path):
    text, _ = measured(repository_root, tmp_path / "empty", fails=True)
    assert f"{tmp_path / 'empty'} must hold keras_fpn" in text
