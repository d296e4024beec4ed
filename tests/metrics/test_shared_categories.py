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
    names = [f"class {i}" for i in range(22)]
    message = r"\(22 in all\)\] and \['dog', 'cow'\]\. .* set the names of the model"
    with pytest.raises(ValueError, match=message):
        shared_categories(names, data("dog", "cow"))


def test_names_that_occur_twice_are_refused():
    with pytest.raises(ValueError, match=r"received more than once: \['dog'\]"):
        shared_categories(["dog", "cat"], data("dog", "cat", "dog"))
    with pytest.raises(ValueError, match=r"received more than once: \['cat'\]"):
        shared_categories(["cat", "cat"], data("cat"))


@pytest.mark.parametrize(
    ("count", "end"),
    [(20, r"'class 19'\] and"), (21, r"'class 19', \.\.\. \(21 in all\)\] and")],
)
def test_twenty_names_are_listed_and_more_are_counted(count, end):
    names = [f"class {i}" for i in range(count)]
    with pytest.raises(ValueError, match=f"'class 18', {end}"):
        shared_categories(names, data("dog"))
