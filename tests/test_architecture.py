"""docs/architecture.md and its picture say what the code does."""

import itertools
import re
import sys

import keras
import numpy as np
import pytest

from keras_fpn.layers import MultiLevelAnchors
from keras_fpn.layers.pyramid_roi_align import levels_of_boxes
from keras_fpn.matcher import IGNORED, POSITIVE
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.models.region_branch import RPN_MATCH
from keras_fpn.preprocessing import resized_size
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


def page():
    return PICTURE.with_suffix(".md").read_text("utf-8")


def test_every_function_of_the_page_is_in_its_file():
    rows = re.findall(r"\| `([\w.]+)` \| `([\w/]+\.py)` \|", page())
    assert len(rows) > 20
    for name, file in rows:
        text = (PICTURE.parents[1] / "keras_fpn" / file).read_text("utf-8")
        for part in name.split("."):
            defined = rf"^ *(def|class) {part}\b|^{part} = "
            assert re.search(defined, text, re.MULTILINE), (name, file)


def test_every_file_of_the_page_exists():
    folder = PICTURE.parents[1]
    for file in re.findall(r"`((?:\w+/)*\w+\.py)`", page()):
        assert (folder / "keras_fpn" / file).is_file() or (folder / file).is_file(), (
            file
        )


def test_the_pages_box_has_the_anchors_and_the_level_that_it_says():
    assert resized_size((480, 640), 800, 1333) == (800, 1066)
    box = np.array([100, 50, 300, 250]) * np.array([1066 / 640, 800 / 480] * 2)
    assert "box (166.6, 83.3, 499.7, 416.7)" in page()
    np.testing.assert_allclose(box, [166.6, 83.3, 499.7, 416.7], atol=0.05)
    maps = {
        f"P{level}": np.zeros((1, -(-800 // 2**level), -(-1088 // 2**level), 1))
        for level in range(2, 7)
    }
    layer = MultiLevelAnchors(
        {f"P{level}": (2 ** (level + 3),) for level in range(2, 7)}
    )
    by_level = layer(maps, np.zeros((1, 800, 1088, 3)))
    anchors = np.concatenate([np.asarray(by_level[name]) for name in sorted(maps)])
    assert f"N = {len(anchors):,} boxes" in page()
    truth = ground_truth(
        {"boxes": box[None, None].astype(np.float32), "labels": np.array([[0]])}
    )
    labels, _ = RPN_MATCH(keras.ops.convert_to_tensor(anchors[None]), truth)
    labels = np.asarray(labels)
    counts = (labels == POSITIVE).sum(), (labels == IGNORED).sum()
    assert f"{counts[0]} positive, {counts[1]} ignored" in page()
    [level] = np.asarray(levels_of_boxes(box[None].astype(np.float32), 2, 5))
    assert f"333 pixels wide, P{level}." in page()


@pytest.fixture(autouse=True)
def same_path(monkeypatch):
    """`read_imports` may put the tests' folder into sys.path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
