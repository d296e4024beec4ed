import pytest

from keras_fpn.data.yolo_yaml import read_entries

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
        ("names: |\n  a\n  b\n", "goes on over several lines"),
        ("names: a\n  b\n", "goes on over several lines"),
        ("names: |\n", r"starts with \|"),
        ("names: &x [a]\n", "starts with &"),
        ("names: [*x]\n", r"starts with \*"),
        ("names: [a, b\n", r"a \] is missing"),
        ("names: [[a]]\n", "brackets in brackets"),
        ("names: [a] b\n", r"text behind the \]"),
        ("names: {a, b}\n", "a part is not 'key: value'"),
        ("names:\n  0: a\n  0: b\n", "a key is there twice"),
        ("names:\n  0: a\n   1: b\n", "goes on over several lines"),
        ("names:\n    0: a\n  1: b\n", "not indented with spaces alike"),
        ("names:\n\t- a\n", "not indented with spaces alike"),
        ("names:\n  a\n  b\n", "neither '- item' nor 'key: value'"),
        ('names: ["\\x"]\n', "is no quoted text"),
    ],
)
def test_other_forms_are_refused_rather_than_guessed(text, message):
    with pytest.raises(ValueError, match=f"names: .*path='data.yaml': .*{message}"):
        read_entries(text, ["names"], "data.yaml")


def test_entries_that_nobody_asks_for_may_have_any_form():
    text = "x: &a [[1, 2], {b: *c}]\ny: !!tag |\n   z\nnames: [a]\n"
    assert read_entries(text, ["names"], "data.yaml") == {"names": ["a"]}
