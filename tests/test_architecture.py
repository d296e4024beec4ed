"""docs/architecture.svg shows the imports as they are."""

import itertools
import re
import sys

import pytest

from scripts.draw_architecture import (
    FILES,
    PICTURE,
    drawing,
    placed,
    read_imports,
    reduced,
    rows_of,
)


def test_the_committed_picture_is_up_to_date():
    assert PICTURE.read_text("utf-8") == drawing(), (
        "run: python scripts/draw_architecture.py"
    )


def test_every_folder_is_in_the_picture():
    layers, _ = read_imports()
    shown = re.findall(r"<text [^>]*>([^<]*)</text>", drawing())
    for unit in (unit for layer in layers for unit in layer):
        assert {unit, f"{unit}/", f"{unit}.py"} & set(shown), unit


def test_arrows_that_follow_from_others_are_left_out():
    imports = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert reduced(imports) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": set()}


def test_a_unit_stands_above_what_it_imports_also_in_one_layer():
    imports = {FILES: set(), "a": {FILES}, "b": {"a"}, "c": {FILES}}
    rows = rows_of([[FILES], ["a", "b", "c"]], imports)
    assert rows == {FILES: 0, "a": 1, "c": 1, "b": 2}


def test_boxes_and_passing_arrows_of_a_row_do_not_overlap():
    imports = {FILES: set(), "a": {FILES}, "b": {FILES}, "c": {"a", "b"}, "d": {FILES}}
    rows = {FILES: 0, "a": 1, "b": 1, "c": 2, "d": 2}
    x = placed(rows, imports)
    in_row = sorted([x["a"], x["b"], x["d", FILES, 1]])
    assert min(b - a for a, b in itertools.pairwise(in_row)) > 60
    assert abs(x["c"] - x["d"]) > 60


@pytest.fixture(autouse=True)
def same_path(monkeypatch):
    """`read_imports` may put the tests' folder into sys.path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
