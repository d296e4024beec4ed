"""Pickles of NumPy arrays are read as data; harmful ones are named and not run."""

import collections
import os
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from weights.test_reader_hostile import Attack

from keras_fpn.weights import read_pickled_arrays

ARRAYS = {
    "single": np.arange(6, dtype="<f4").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "half": np.array([0.5, -2], "<f2"),
    "whole": np.arange(3, dtype=">i8"),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 4), "<f4"),
    "one": np.array(4.0, "<f4"),
}
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])


@pytest.fixture
def written(tmp_path):
    """Function that writes bytes into a file, and returns its path."""

    def write(content):
        path = tmp_path / "model.pkl"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def attack(tmp_path):
    trace = tmp_path / "ran"
    return Attack(f"echo > {trace}"), trace.exists


@PROTOCOLS
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_arrays_come_back_whatever_wrote_them(protocol, core, written):
    if protocol > 3 and core == b"numpy.core":
        pytest.skip("later protocols store the length of names")
    model = {"model": collections.OrderedDict(ARRAYS), "__author__": "somebody"}
    content = pickle.dumps(model, protocol).replace(b"numpy._core", core)
    found = read_pickled_arrays(written(content))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert_array_equal(found[name], array)


def test_both_spellings_are_in_these_tests(written):
    content = pickle.dumps({"w": ARRAYS["single"]}, 2)
    assert b"numpy._core.multiarray" in content


def test_a_pickle_of_python_2_holds_bytes_as_text(written):
    # The operations of Python 2: GLOBAL and SHORT_BINSTRING, which is latin1.
    content = (
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x80\x3f\x00\x00\x00\xc0tbs."
    )
    found = read_pickled_arrays(written(content))
    assert_array_equal(found["w"], np.array([1, -2], "<f4"))


def test_weights_without_a_folder_are_read_and_others_ignored(written):
    content = pickle.dumps({"w": ARRAYS["single"], "epoch": 3, "model": "r50"})
    assert list(read_pickled_arrays(written(content))) == ["w"]


def test_arrays_cannot_be_changed(written):
    found = read_pickled_arrays(written(pickle.dumps(ARRAYS)))
    with pytest.raises(ValueError, match="read-only"):
        found["single"][0] = 1


@PROTOCOLS
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_code_is_named_and_not_run(protocol, place, attack, written):
    harmful, has_run = attack
    model = {"model": {"w": ARRAYS["single"]}}
    (model if place == "beside" else model["model"])["x"] = harmful
    path = written(pickle.dumps(model, protocol))
    with pytest.raises(
        ValueError, match=rf"'{os.name}\.system'. Nothing in it was run"
    ):
        read_pickled_arrays(path)
    assert not has_run()


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], object),
        np.zeros(2, [("x", "f4")]),
        np.array(["text"]),
        np.array(0, "M8[s]"),
    ],
    ids=["objects", "fields", "texts", "times"],
)
def test_arrays_of_anything_but_numbers_raise(array, written):
    path = written(pickle.dumps({"w": array}, 2))
    with pytest.raises(ValueError, match="an array of dtype"):
        read_pickled_arrays(path)


def changed(old, new):
    content = pickle.dumps({"w": np.arange(6, dtype="<f4").reshape(2, 3)}, 3)
    assert old in content
    return content.replace(old, new, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed(b"K\x02K\x03\x86", b"K\x02K\x04\x86"), r"shape (2, 4) with 24 bytes"),
        (changed(b"K\x02K\x03\x86", b"NK\x03\x86"), "shape is not of counts"),
        (changed(b"X\x02\x00\x00\x00f4", b"X\x02\x00\x00\x00O8"), "dtype 'O8'"),
        (b"", "0 bytes: pickle exhausted"),
        (pickle.dumps({"model": {}}), "no named arrays, but the entries ['model']"),
        (pickle.dumps([1, 2]), "it contains no dict"),
        (pickle.dumps({"w": 1.0})[:-3], "bytes: "),
        (b"PK\x03\x04", "bytes: "),
    ],
)
def test_damage_is_told(content, said, written):
    path = written(content)
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        read_pickled_arrays(path)
    assert f"path={str(path)!r}, {len(content)} bytes: " in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"existing file; received path='.*no\.pkl'"):
        read_pickled_arrays(tmp_path / "no.pkl")
