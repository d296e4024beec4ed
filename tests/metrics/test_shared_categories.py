import pytest

from keras_fpn.data import Dataset
from keras_fpn.metrics.evaluation import shared_categories


def data(*names):
    return Dataset((), names, tuple(range(10, 10 + len(names))))


def test_categories_are_found_by_name_not_by_index():
    assert shared_categories(
        ["cat", "dog", "N/A", "N/A"], data("dog", "cow", "cat")
    ) == [
        12,
        10,
        None,
        None,
    ]


def test_models_without_a_class_of_the_data_are_refused():
    names = [f"class {i}" for i in range(12)]
    message = r"'class 9', \.\.\.\] and \['dog', 'cow'\]\. Set model\.class_names"
    with pytest.raises(ValueError, match=message):
        shared_categories(names, data("dog", "cow"))


def test_names_that_occur_twice_are_refused():
    with pytest.raises(ValueError, match=r"received more than once: \['dog'\]"):
        shared_categories(["dog", "cat"], data("dog", "cat", "dog"))
    with pytest.raises(ValueError, match=r"received more than once: \['cat'\]"):
        shared_categories(["cat", "cat"], data("cat"))


@pytest.mark.parametrize(
    ("count", "end"), [(10, r"'class 9'\] and"), (11, r"'class 9', \.\.\.\] and")]
)
def test_ten_names_are_listed_and_more_are_cut(count, end):
    names = [f"class {i}" for i in range(count)]
    with pytest.raises(ValueError, match=f"'class 8', {end}"):
        shared_categories(names, data("dog"))
