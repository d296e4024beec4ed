import numpy as np
import pytest
from data.tiny_sets import write

from keras_fpn.data.text_files import class_list, shortest, write_text


def test_files_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep/er/a.txt"
    write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    message = r"a\.txt' 'x{30}\\udc80y'\. Rename that photo or class"
    with pytest.raises(ValueError, match=message):
        write_text(path, 40 * "x" + "\udc80y")
    assert path.read_bytes() == "né\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b\na\n\n", ("b", "a")),
        ("b,1\na,0\n", ("a", "b")),
        ('"a, b"\nc\n', ("a, b", "c")),
    ],
)
def test_names_come_from_files_in_their_order(tmp_path, text, expected):
    assert class_list(write(tmp_path / "names.txt", text)) == expected


def test_names_may_be_given():
    assert class_list(None) is None
    assert class_list(["b", "a"]) == ("b", "a")


def test_names_must_be_there_once(tmp_path):
    with pytest.raises(ValueError, match=r"class_names=\[\]"):
        class_list([])
    with pytest.raises(ValueError, match=r"class_names=\['a', 'a'\]"):
        class_list(["a", "a"])
    with pytest.raises(ValueError, match=r"empty\.txt', that is \[\]"):
        class_list(str(write(tmp_path / "empty.txt", "")))
    with pytest.raises(ValueError, match=r"names\.csv': invalid literal .*'x'"):
        class_list(write(tmp_path / "names.csv", "a,x\nb,1\n"))


@pytest.mark.parametrize(
    ("number", "shift", "text"),
    [(204.86, 0, "204.86"), (204.86, 1, "205.86"), (12, 0, "12"), (0, 1, "1")],
)
def test_numbers_are_as_short_as_they_were(number, shift, text):
    assert shortest(np.float32(number), shift) == text
    assert np.float32(float(text) - shift) == np.float32(number)


def test_short_numbers_give_the_same_float32_back():
    generator = np.random.default_rng(0)
    for number in (10 ** generator.uniform(-3, 4, 2000)).astype(np.float32):
        assert np.float32(shortest(number)) == number
        assert np.float32(float(shortest(number, 1)) - 1) == number
