"""Files of proposals: both forms give the same, and wrong files say what is wrong."""

import json
import pickle

import numpy as np
import pytest

from keras_fpn.data import read_proposals, write_proposals

BOXES = np.array([[1, 2, 30.25, 40], [0, 0, 5, 5]], np.float32)
SCORES = np.array([0.5, 0.75], np.float32)


def check(found, expected):
    assert found.keys() == expected.keys()
    for image_id, (boxes, scores) in expected.items():
        assert [a.dtype for a in found[image_id]] == [np.float32] * 2
        assert found[image_id][0].shape == (len(scores), 4)
        np.testing.assert_array_equal(found[image_id][0], boxes)
        np.testing.assert_array_equal(found[image_id][1], scores)


def results():
    return [
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 29.25, 38], "score": 0.5},
        {"image_id": 3, "category_id": 1, "bbox": [4, 4, 1, 0], "score": 1},
        {"image_id": 7, "category_id": 9, "bbox": [0, 0, 5, 5], "score": 0.75},
    ]


def detectron():
    return {
        "ids": [7, np.int64(9), "11"],
        "boxes": [BOXES, np.zeros((0, 4), np.float32), BOXES[:1].astype(np.float64)],
        "objectness_logits": [SCORES, np.zeros(0, np.float32), np.array([-3.0])],
        "bbox_mode": 0,
    }


EXPECTED = {7: (BOXES, SCORES), 9: (BOXES[:0], SCORES[:0]), 11: (BOXES[:1], [-3])}


def written(path, content):
    if path.suffix == ".json":
        path.write_text(json.dumps(content))
    else:
        path.write_bytes(pickle.dumps(content))
    return path


def test_coco_results_are_read_by_image(tmp_path):
    found = read_proposals(written(tmp_path / "p.json", results()))
    check(found, {7: (BOXES, SCORES), 3: ([[4, 4, 5, 4]], [1])})


def test_a_pickle_of_detectron2_is_read(tmp_path):
    check(read_proposals(written(tmp_path / "p.pkl", detectron())), EXPECTED)
    without_mode = {k: v for k, v in detectron().items() if k != "bbox_mode"}
    check(read_proposals(written(tmp_path / "p.pkl", without_mode)), EXPECTED)


def test_sides_and_the_names_of_detectron_are_understood(tmp_path):
    content = detectron()
    sides = [np.append(b[:, :2], b[:, 2:] - b[:, :2], axis=1) for b in content["boxes"]]
    old = {
        "indexes": content["ids"],
        "boxes": sides,
        "scores": content["objectness_logits"],
        "bbox_mode": 1,
    }
    check(read_proposals(written(tmp_path / "p.pkl", old)), EXPECTED)


def test_what_is_written_is_read_again(tmp_path):
    random = np.random.default_rng(0)
    corners = random.uniform(0, 500, (50, 2)).astype(np.float32)
    ends = corners + random.uniform(0.01, 300, (50, 2)).astype(np.float32)
    boxes = np.concatenate([corners, ends], axis=1)
    scores = random.uniform(0, 1, 50).astype(np.float32)
    write_proposals(
        {5: (boxes, scores), 6: (boxes[:1], scores[:1])}, tmp_path / "p.json"
    )
    found = read_proposals(tmp_path / "p.json")
    assert list(found) == [5, 6]
    np.testing.assert_allclose(found[5][0], boxes, rtol=1e-6)
    np.testing.assert_array_equal(found[5][1], scores)


def changed(number, **values):
    rows = results()
    rows[number] |= values
    return rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"images": []},
            "a list of boxes with scores; .* with a dict. Is it a file of",
        ),
        (
            changed(1, image_id="7"),
            r"integer image_id.*'7'.*number 1 in path='.*p\.json",
        ),
        (changed(1, image_id=True), "integer image_id.*True"),
        (changed(0, bbox=[1, 2, 3]), r"a bbox of 4 numbers.*\[1, 2, 3\].*number 0"),
        (changed(0, bbox=None), "a bbox of 4 numbers.*None"),
        (changed(2, score="high"), "and a score; received .*'high'.*number 2"),
        ([{"image_id": 1}], "and a score; received"),
        ([7], "and a score; received 7, number 0"),
        (
            changed(2, score=float("nan")),
            r"finite .* score nan for image_id=7 in path=",
        ),
        (changed(2, bbox=[0, 0, float("inf"), 1]), "finite .* for image_id=7"),
        (
            changed(1, bbox=[4, 4, -1, 3]),
            r"x1 <= x2.*\[4.0, 4.0, 3.0, 7.0\].*image_id=3",
        ),
    ],
)
def test_wrong_results_are_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_proposals(written(tmp_path / "p.json", content))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ids": None}, "lists 'ids', 'boxes' .* without 'ids'"),
        ({"objectness_logits": 3}, "without 'objectness_logits'"),
        ({"ids": [7, 9]}, r"as many ids as boxes .*'ids': 2, 'boxes': 3"),
        ({"bbox_mode": 4}, "bbox_mode 0 .xyxy. or 1 .xywh.; .* bbox_mode=4"),
        ({"ids": [7, 9, 7]}, r"one entry .* two of image_id=7 in path='.*p\.pkl"),
        ({"ids": [7, 9, "a"]}, "An image id must be an integer; received 'a'"),
        ({"boxes": [BOXES, BOXES, BOXES]}, r"scores of shape \(0,\) for image_id=9"),
        ({"boxes": [BOXES[:, :3], [], BOXES[:1]]}, r"shape \(2, 3\) .* image_id=7"),
        ({"boxes": [BOXES * np.nan, [], BOXES[:1]]}, "finite boxes .* for image_id=7"),
        ({"boxes": [-BOXES, [], BOXES[:1]]}, "x1 <= x2 .* for image_id=7"),
        ({"boxes": [["abcd"] * 2, [], BOXES[:1]]}, "for image_id=7"),
        ({"boxes": [[[1, 2, 3, None]], [], BOXES[:1]], "bbox_mode": 1}, "image_id=7"),
        ({"boxes": [[[1, 2, 3, {}]], [], BOXES[:1]], "bbox_mode": 1}, "image_id=7"),
        ({"boxes": [[[1, 2], [3]], [], BOXES[:1]]}, r"p\.pkl"),
        ({"objectness_logits": [[1, [2]], [], [3]]}, r"p\.pkl"),
        ({"ids": [7, 9, "7" * 5000]}, "received '7{60}' in path"),
        ({"bbox_mode": "1" * 999}, "bbox_mode=1{60}\\."),
    ],
)
def test_wrong_pickles_are_named(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        read_proposals(written(tmp_path / "p.pkl", detectron() | values))


def test_code_in_a_pickle_is_an_error_and_does_not_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    file = written(tmp_path / "p.pkl", detectron() | {"ids": Attack()})
    with pytest.raises(ValueError, match=r"which names 'builtins\.exec'"):
        read_proposals(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[], 3, None])
def test_a_pickle_of_something_else_says_so(tmp_path, content):
    with pytest.raises(ValueError, match=r"must be a dict .*p\.pkl' without 'ids'"):
        read_proposals(written(tmp_path / "p.pkl", content))


def test_a_missing_or_truncated_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"must exist .*none\.json"):
        read_proposals(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('[{"image_id": 1')
    with pytest.raises(ValueError, match=r"half\.json', which fails at line 1"):
        read_proposals(tmp_path / "half.json")
