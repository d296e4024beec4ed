import pytest

from keras_fpn.data.split_names import of_split, spellings, usual_split, usual_splits


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("instances_train2017", "train"),
        ("Training", "train"),
        ("valid", "val"),
        ("VALIDATION_set", "val"),
        ("image_info_test-dev2017", "test"),
        ("trainval", "trainval"),
        ("train_val", "trainval"),
        ("minival", None),
        ("trains", None),
        ("train_test", None),
        ("2017", None),
        ("", None),
    ],
)
def test_a_split_is_a_word_in_a_name(name, split):
    assert usual_split(name) == split
    assert usual_splits([name, "else"]) == ([] if split is None else [split])


def test_usual_splits_have_one_order():
    assert usual_splits(["test", "x", "valid", "val", "train"]) == [
        "train",
        "val",
        "test",
    ]


def test_the_equal_name_is_meant_before_others_of_its_split():
    names = ["val", "valid", "instances_val2017", "minival", "cat_train"]
    assert of_split(names, "valid") == ["valid"]
    assert of_split(names, "validation") == ["val", "valid", "instances_val2017"]
    assert of_split(names, "val2017") == ["instances_val2017"]
    assert of_split(names, "mini") == []
    assert of_split(names, "train") == ["cat_train"]
    assert of_split([], "train") == []


def test_folders_are_looked_for_under_each_spelling():
    assert spellings("valid_labels") == ("val", "valid", "validation")
    assert spellings("boxes") == ()
