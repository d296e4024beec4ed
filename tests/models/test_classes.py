import re

import pytest

from keras_fpn.models.classes import Classes, resolved_classes
from keras_fpn.weights.coco_classes import COCO_CATEGORY_IDS, COCO_CLASS_NAMES

OWN = Classes(["cat", "dog"], [17, 18])


def resolved(own=OWN, **asked):
    classes = resolved_classes(own, **asked)
    return classes.names, classes.ids


def test_without_any_wish_they_are_those_of_the_weights():
    assert resolved() == (["cat", "dog"], [17, 18])
    assert resolved(num_classes=2) == (["cat", "dog"], [17, 18])


def test_without_weights_they_are_cocos():
    names, ids = resolved(None)
    assert (names, ids) == (list(COCO_CLASS_NAMES), list(COCO_CATEGORY_IDS))
    assert len(names) == 90


def test_another_number_has_names_by_label_and_ids_from_one():
    assert resolved(num_classes=3) == (["class 0", "class 1", "class 2"], [1, 2, 3])
    assert resolved(num_classes=1) == (["class 0"], [1])


def test_names_alone_have_ids_from_one():
    assert resolved(class_names=["a", "b"]) == (["a", "b"], [1, 2])
    assert resolved(class_names=("a",)) == (["a"], [1])


def test_ids_alone_keep_the_names_where_they_are_as_many():
    assert resolved(category_ids=(5, 6)) == (["cat", "dog"], [5, 6])
    assert resolved(category_ids=[7]) == (["class 0"], [7])


def test_names_and_ids_are_taken_together():
    asked = {"num_classes": 2, "class_names": ["a", "b"], "category_ids": [9, 4]}
    assert resolved(**asked) == (["a", "b"], [9, 4])


@pytest.mark.parametrize(
    "asked",
    [
        {"num_classes": 0},
        {"num_classes": -1},
        {"class_names": []},
        {"num_classes": 2, "class_names": ["a"]},
        {"class_names": ["a"], "category_ids": [1, 2]},
    ],
)
def test_classes_that_do_not_agree_are_refused(asked):
    lengths = {k: v if isinstance(v, int) else len(v) for k, v in asked.items()}
    with pytest.raises(ValueError, match=re.escape(f"received {lengths}")):
        resolved(**asked)
