import itertools

import pytest
from data.tiny_sets import write

from keras_fpn.data.data_yaml import read_entries
from keras_fpn.data.yolo_files import find_files

ULTRALYTICS = """\
# Classes of a data set
path: ../datasets/coco8 # root
train: images/train
val: images/val
test: # none

names:
  0: person
  1: "traffic: light"
  2: it's
  3: 'don''t # ask'
  4: no

download: |
  names: [x]
  from y import z
"""
ROBOFLOW = """\
train: ../train/images
names: ['Platelets', "R,BC", W BC]

roboflow:
  names: nested
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ULTRALYTICS,
            {
                "train": "images/train",
                "names": {
                    "0": "person",
                    "1": "traffic: light",
                    "2": "it's",
                    "3": "don't # ask",
                    "4": "no",
                },
            },
        ),
        (
            ROBOFLOW,
            {"train": "../train/images", "names": ["Platelets", "R,BC", "W BC"]},
        ),
        ("names:\n- a # first\n- b#c\n-  'd: e'\n", {"names": ["a", "b#c", "d: e"]}),
        ("names: [a,\n  b, 'c#', ]\n", {"names": ["a", "b", "c#"]}),
        ("names: {0: a, 1: 'b, c'}\n", {"names": {"0": "a", "1": "b, c"}}),
        (
            "names:\n  0:\n    - a\n    - b\n  1: [c, d]\n",
            {"names": {"0": ["a", "b"], "1": ["c", "d"]}},
        ),
        ('"names": ["\\u00e9", "a\\"b"]\n', {"names": ["é", 'a"b']}),
        ("---\ntrain: C:\\data\\x\n...\n", {"train": "C:\\data\\x"}),
        ("names: []\ntrain: ~\n", {"names": []}),
        ("", {}),
    ],
)
def test_the_usual_forms_are_read(text, expected):
    assert read_entries(text, ["names", "train"], "data.yaml") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: a\n  b: c\n", "line 2: mapping values are not allowed here"),
        ("names: [&x a, *x]\n", r"line 1: aliases \(\*name\) are not supported"),
        ("names: [a, b\n", "line 2: expected ',' or ']'"),
        ("names: [[a]]\n", "line 1: a list or map in place of a text"),
        ("names: {0: a, 1: {2: b}}\n", "line 1: a list or map in place of a text"),
        ("names: [a] b\n", "line 1: expected <block end>"),
        ("names:\n  0: a\n  0: b\n", "line 3: the key '0' twice"),
        ("names: [a]\ntrain: x\nnames: [b]\n", "line 3: the key 'names' twice"),
        ("names:\n  0: a\n   1: b\n", "line 3: mapping values are not allowed here"),
        ("names:\n\t- a\n", r"line 2: found character '\\t'"),
        ('names: ["\\x"]\n', "line 1: expected escape sequence"),
        ("names: \0\n", "special characters are not allowed"),
        ("- a\n- b\n", "line 1: anything but a map here"),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
    ],
)
def test_other_forms_are_refused_rather_than_guessed(text, message):
    with pytest.raises(ValueError, match=rf"path='data\.yaml': .*{message}.*\[a, b\]"):
        read_entries(text, ["names"], "data.yaml")


BOMB = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(9 * [f'*{below}'])}]\n"
    for below, name in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB + "names: *i\n", "line 2: aliases"),
        ("names: !!python/object/apply:os.mkdir [made]\n", "line 1: the tag .*mkdir"),
        ("names: [!!python/name:os.mkdir '']\n", "line 1: the tag .*mkdir"),
        ("names: " + 50_000 * "[", "line 1: lists or maps are nested too deeply"),
        ("names:\n" + 50_000 * "- ", "line 2: lists or maps are nested too deeply"),
        ("names: [" + 400_000 * "a, " + "]", "it has over 524288 characters"),
    ],
)
def test_a_hostile_file_gives_one_error_and_runs_nothing(
    tmp_path, monkeypatch, text, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        read_entries(text, ["names"], "data.yaml")
    assert len(str(error.value)) < 400
    assert list(tmp_path.iterdir()) == []


def test_names_must_be_a_list_or_a_map(tmp_path):
    path = write(tmp_path / "data.yaml", "train: .\nnames: |\n  cat\n  dog\n")
    with pytest.raises(ValueError, match=r"names='cat\\ndog\\n', path=.*as \[a, b\]"):
        find_files(path, "train", None)


def test_entries_that_nobody_asks_for_may_have_any_form():
    text = "x: [[1, 2], {b: c}]\ny: !!tag |\n   z\nnames: [a]\n"
    assert read_entries(text, ["names"], "data.yaml") == {"names": ["a"]}
