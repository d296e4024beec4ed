"""What `benchmark.py` makes of the answers of workers that measure nothing."""

import json
import os
import re
import sys

import numpy as np
import pytest
from parity import benchmark
from parity.benchmark_worker import drawn_photo

# Notes its name in a file, then answers each line by the next of its numbers.
STAND_IN = """
import json, pathlib, sys
name, notes, numbers = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
def note(text):
    with notes.open("a") as file:
        file.write(text + "\\n")
note(f"{name} starts")
print(json.dumps({"python": name}), flush=True)
for number, line in zip(numbers, sys.stdin):
    note(name)
    print(json.dumps({"seconds": float(number), "mib": 7.0, "result": 1}), flush=True)
note(f"{name} ends")
"""


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


def stand_in(name, notes, numbers):
    """Returns what starts a worker of that name."""
    command = [sys.executable, "-c", STAND_IN, name, str(notes), *map(str, numbers)]
    return lambda: benchmark.Worker(name, command, dict(os.environ))


def test_sides_take_turns_and_their_warm_up_does_not_count(notes):
    sides = {
        "a": stand_in("a", notes, [90, 80, 1, 2]),
        "b": stand_in("b", notes, [70, 60, 3, 4]),
    }
    about, answers = benchmark.seconds_of(sides, rounds=2)
    assert about == {"a": {"python": "a"}, "b": {"python": "b"}}
    assert [answer["seconds"] for answer in answers["a"]] == [1, 2]
    assert [answer["seconds"] for answer in answers["b"]] == [3, 4]
    turns = [line for line in notes.read_text().split("\n") if line in ("a", "b")]
    assert turns == ["a", "b"] * 4  # two to warm up, two that count


def test_memory_takes_the_last_answer_of_a_fresh_process_each_round(notes):
    sides = {
        "a": stand_in("a", notes, [9, 8, 1, 5]),
        "b": stand_in("b", notes, [7, 6, 3, 5]),
    }
    _, answers = benchmark.memory_of(sides, rounds=2)
    assert [answer["seconds"] for answer in answers["a"]] == [1, 1]
    assert [answer["seconds"] for answer in answers["b"]] == [3, 3]
    of_a_side = ["{0} starts", "{0}", "{0}", "{0}", "{0} ends"]
    wanted = [line.format(name) for name in "abab" for line in of_a_side]
    assert notes.read_text().splitlines() == wanted  # one process at a time


def test_a_worker_that_ends_is_named_with_its_exit_code(notes):
    with pytest.raises(SystemExit, match="worker of a ended with code 0"):
        benchmark.seconds_of({"a": stand_in("a", notes, [9, 8, 1])}, rounds=2)


def test_a_ratio_compares_turn_by_turn():
    # 2 / 1, 2 / 4 and 9 / 3, though the medians are 3 and 2.
    ratio = benchmark.ratios([1.0, 4.0, 3.0], [2.0, 2.0, 9.0])
    assert ratio == {"median": 2.0, "min": 0.5, "max": 3.0}


def test_sides_with_different_numbers_of_turns_are_not_compared():
    with pytest.raises(ValueError, match="shorter"):
        benchmark.ratios([1.0, 4.0], [2.0])


def answers_of(seconds, mib):
    return [
        {"seconds": value, "mib": memory, "result": 14}
        for value, memory in zip(seconds, mib, strict=True)
    ]


@pytest.mark.parametrize(
    ("quantity", "lines"),
    [
        (
            "seconds",
            [
                "this checkout: median 2.000 s, 1.000 to 4.000; result 14",
                "old: median 4.000 s, 3.000 to 4.000; result 14",
                "old takes 2.000 times as much as this checkout, 1.000 to 3.000 turn "
                "by turn",
            ],
        ),
        (
            "mib",
            [
                "this checkout: median 500 MiB, 500 to 600; result 14",
                "old: median 250 MiB, 250 to 300; result 14",
                "old takes 0.500 times as much as this checkout, 0.500 to 0.500 turn "
                "by turn",
            ],
        ),
    ],
)
def test_the_report_says_how_much_more_the_others_take(quantity, lines):
    answers = {
        benchmark.OURS: answers_of([1.0, 2.0, 4.0], [500.0, 500.0, 600.0]),
        "old": answers_of([3.0, 4.0, 4.0], [250.0, 250.0, 300.0]),
    }
    figures = benchmark.report(answers, quantity)
    assert list(benchmark.lines_of(figures, quantity)) == lines


@pytest.fixture
def recordings(tmp_path):
    """A folder that looks like the recordings'."""
    (tmp_path / "fasterrcnn_resnet50_fpn.npz").touch()
    return str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "preset", "batch", "rounds"),
    [
        ([], benchmark.SHIPPED, 1, 8),
        (["--step"], benchmark.SHIPPED, 8, 8),
        (["--step", "--memory", "--batch", "2"], benchmark.SHIPPED, 2, 3),
        (["--recorded"], benchmark.RECORDED, 1, 8),
        (["--recorded", "--step", "--rounds", "5"], benchmark.RECORDED, 1, 5),
    ],
)
def test_what_is_not_given_depends_on_what_there_is(
    arguments, preset, batch, rounds, recordings, tmp_path
):
    folder = recordings if "--recorded" in arguments else str(tmp_path / "absent")
    given = [one for one in arguments if one != "--recorded"]
    parsed = benchmark.parse(["--folder", folder, *given])
    assert (parsed.preset, parsed.batch, parsed.rounds) == (preset, batch, rounds)
    assert bool(parsed.reference) == (preset == benchmark.RECORDED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "no_such"], "must be a checkout of keras_fpn; received .*such"),
        (["--rounds", "0"], "--rounds must be at least 1; received 0"),
        (["--batch", "-1"], "--batch must be at least 1; received -1"),
        (["--preset", benchmark.RECORDED], "there is no .*fasterrcnn_resnet50_fpn.npz"),
        (["--torchvision", "python"], f"received {benchmark.SHIPPED}"),
        (
            ["--preset", "mask_rcnn_resnet50_fpn_coco"],
            "no .*/maskrcnn_resnet50_fpn.npz",
        ),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        benchmark.parse(["--folder", str(tmp_path), *arguments])
    assert re.search(message, capsys.readouterr().err)


def test_a_side_gets_its_own_checkout_and_no_determinism(
    recordings, tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    monkeypatch.setenv("PYTHONPATH", "mine")
    parsed = benchmark.parse(["--folder", recordings, "--step"])
    command, environment = benchmark.call_of(parsed, "python", str(tmp_path))
    assert json.loads(command[-1])["checkout"] == str(tmp_path)
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), "mine"]
    assert "TF_DETERMINISTIC_OPS" not in environment
    command, environment = benchmark.call_of(parsed, "other", None)
    assert command[0] == "other"
    assert "PYTHONPATH" not in environment  # torchvision's Python has its own packages


def test_drawn_photos_are_red_within_their_boxes_and_light_outside():
    photo, boxes = drawn_photo(3)
    assert photo.shape == (480, 640, 3)
    outside = np.ones(photo.shape[:2], bool)
    for x1, y1, x2, y2 in boxes.astype(int):
        np.testing.assert_array_equal(
            photo[(y1 + y2) // 2, (x1 + x2) // 2], (210, 120, 140)
        )
        assert 0 <= x1 < x2 < 640
        assert 0 <= y1 < y2 < 480
        outside[y1 : y2 + 1, x1 : x2 + 1] = False
    assert outside.any()
    assert photo[outside].min() >= 200


def test_drawn_photos_repeat_and_differ_from_each_other():
    np.testing.assert_array_equal(drawn_photo(0)[0], drawn_photo(0)[0])
    assert not np.array_equal(drawn_photo(0)[1], drawn_photo(1)[1])
