import re

import pytest

from keras_fpn.levels import level_number, ordered_names, pyramid_name, rows_of_map


def test_level_is_the_number_behind_the_letter():
    assert [level_number(name) for name in ("C2", "P3", "M4", "P10")] == [2, 3, 4, 10]


def test_order_is_by_level_not_by_letters():
    # As Keras hands dicts on: "P10" sorts before "P9".
    assert ordered_names(["P10", "P8", "P9"]) == ["P8", "P9", "P10"]
    assert ordered_names({"C5": 0, "C3": 0, "C4": 0}) == ["C3", "C4", "C5"]


def test_one_level_is_a_pyramid():
    assert ordered_names(["C4"]) == ["C4"]


def test_pyramid_takes_the_bottom_up_level():
    assert [pyramid_name(name) for name in ("C2", "C10")] == ["P2", "P10"]


@pytest.mark.parametrize(
    "name", ["", "P", "4", "p4", "P04", "P0", "PP4", "P4 ", "P-1", "P4.0", "conv4", 4]
)
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"received name={name!r}.")):
        level_number(name)
    with pytest.raises(ValueError, match=re.escape(f"received name={name!r}.")):
        ordered_names(["C3", name])


def test_no_level_is_refused():
    with pytest.raises(ValueError, match=r"at least one level; received names=\[\]"):
        ordered_names([])


def test_two_maps_of_one_level_are_refused():
    with pytest.raises(ValueError, match=r"one map; received names=\['C3', 'P3'\]"):
        ordered_names(["C3", "P3"])


@pytest.mark.parametrize(
    ("names", "missing"),
    [(["C2", "C4"], r"\[3\]"), (["C6", "C2", "C3"], r"\[4, 5\]")],
)
def test_a_gap_is_refused_with_the_missing_levels(names, missing):
    with pytest.raises(ValueError, match=f"contiguous.*missing level {missing}"):
        ordered_names(names)


def test_rows_of_a_map_are_known_if_both_its_sides_are():
    assert rows_of_map((None, 4, 5, 8), 3) == 60
    assert rows_of_map((2, 0, 5, None), 3) == 0
    assert rows_of_map((2, None, 5, 8), 3) is None
    assert rows_of_map((2, 4, None, 8), 3) is None
