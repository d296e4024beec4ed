import os

import numpy as np
import pytest
from data.tiny_sets import write

from keras_fpn.data.text_files import MOST_BYTES, class_list, read_text, shortest_text


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
    with pytest.raises(ValueError, match=r"`class_names` must .* received \[\]"):
        class_list([])
    with pytest.raises(ValueError, match=r"received \['a', 'a'\]"):
        class_list(["a", "a"])
    with pytest.raises(ValueError, match=r"empty\.txt', read as \[\]"):
        class_list(str(write(tmp_path / "empty.txt", "")))
    with pytest.raises(ValueError, match=r"names\.csv': invalid literal .*'x'"):
        class_list(write(tmp_path / "names.csv", "a,x\nb,1\n"))


@pytest.mark.parametrize(
    ("number", "shift", "text"),
    [(204.86, 0, "204.86"), (204.86, 1, "205.86"), (12, 0, "12"), (0, 1, "1")],
)
def test_numbers_are_as_short_as_they_were(number, shift, text):
    assert shortest_text(np.float32(number), shift) == text
    assert np.float32(float(text) - shift) == np.float32(number)


def test_short_numbers_give_the_same_float32_back():
    generator = np.random.default_rng(0)
    for number in (10 ** generator.uniform(-3, 4, 2000)).astype(np.float32):
        assert np.float32(shortest_text(number)) == number
        assert np.float32(float(shortest_text(number, 1)) - 1) == number


def test_only_regular_files_of_text_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(MOST_BYTES + 1)  # without a byte on the disk
    (tmp_path / "zeros.json").write_bytes(bytes(5000))
    for path, problem in (
        (tmp_path / "pipe", "It is no regular file, but a pipe or device"),
        ("/dev/zero", "It is no regular file, but a pipe or device"),
        (tmp_path, "Is a directory"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / ("a" * 300), "File name too long"),
        (tmp_path / "huge.json", f"It has {MOST_BYTES + 1} bytes, and at most"),
        (tmp_path / "zeros.json", "It holds zeros, and no text"),
    ):
        with pytest.raises(ValueError, match=f"{problem}.*\\.$") as refused:
            read_text(path)
        assert str(path) in str(refused.value)


def test_line_ends_and_byte_order_marks_are_those_of_text_files(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(tmp_path / "a.txt") == "a\nb\nc\n"
    (tmp_path / "a.txt").write_bytes(bytes(9))  # a name of zeros is one
    assert read_text(tmp_path / "a.txt") == "\0" * 9
