"""Pickles of arrays: read as NumPy wrote them, and nothing else is."""

import os
import pickle
import struct

import numpy as np
import pytest

from keras_fpn.weights import array_pickle, inert_pickle
from keras_fpn.weights.array_pickle import read_array_pickle

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])
OTHER_NAME = {"numpy._core": "numpy.core", "numpy.core": "numpy._core"}
OWN_NAME = "numpy._core" if hasattr(np, "_core") else "numpy.core"


def written(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def content():
    floats = np.arange(8, dtype="f4").reshape(2, 4)
    return {
        "boxes": [floats, np.zeros((0, 4), "f4"), np.asfortranarray(floats.T)],
        "ids": [1, "2", np.int64(3)],
        "flags": np.array([True, False]),
        "big endian": np.arange(3, dtype=">i4"),
        "mode": (0, None, b"\xff"),
    }


def check(found, expected):
    assert found.keys() == expected.keys()
    assert found["ids"] == expected["ids"]
    assert found["mode"] == expected["mode"]
    arrays = [*found["boxes"], found["flags"], found["big endian"]]
    others = [*expected["boxes"], expected["flags"], expected["big endian"]]
    for array, other in zip(arrays, others, strict=True):
        assert array.dtype.newbyteorder("=") == other.dtype.newbyteorder("=")
        np.testing.assert_array_equal(array, other)


@PROTOCOLS
def test_arrays_scalars_and_containers_are_read_as_written(tmp_path, protocol):
    file = written(tmp_path / "a.pkl", content(), protocol)
    check(read_array_pickle(file), content())


def test_both_generations_of_numpy_are_read(tmp_path):
    array = np.arange(8, dtype="f4").reshape(2, 4)
    stored = pickle.dumps({"a": array}, 2)
    own = f"c{OWN_NAME}.multiarray\n".encode()
    assert stored.count(own) == 1
    other = stored.replace(own, f"c{OTHER_NAME[OWN_NAME]}.multiarray\n".encode())
    (tmp_path / "a.pkl").write_bytes(other)
    np.testing.assert_array_equal(read_array_pickle(tmp_path / "a.pkl")["a"], array)


class Attack:
    """Runs a command in whoever unpickles it."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@PROTOCOLS
def test_a_command_is_named_and_not_run(tmp_path, protocol):
    harmful = {"boxes": [np.zeros(4)], "ids": Attack(f"echo > {tmp_path / 'ran'}")}
    file = written(tmp_path / "a.pkl", harmful, protocol)
    message = rf"a\.pkl', which names '{os.name}\.system'. Nothing in it was run"
    with pytest.raises(ValueError, match=message):
        read_array_pickle(file)
    assert not (tmp_path / "ran").exists()
    pickle.loads(file.read_bytes())
    assert (tmp_path / "ran").exists(), "the attack works on pickle itself"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("builtins.eval", ("1",)),
        ("numpy.load", ("a",)),
        ("numpy.fromfile", ("a",)),
        (f"{OWN_NAME}.multiarray.fromfile", ("a",)),
    ],
)
def test_other_names_are_forbidden(tmp_path, name, arguments):
    module, _, function = name.rpartition(".")
    stored = b"\x80\x02c" + f"{module}\n{function}\n".encode()
    stored += pickle.dumps(arguments, 2)[2:-1] + b"R."
    (tmp_path / "a.pkl").write_bytes(stored)
    with pytest.raises(ValueError, match=f"which names '{name}'"):
        read_array_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"", "cannot mmap an empty file"),
        (pickle.dumps(content(), 4)[:-30], "without an end|exhausted|expected"),
        (pickle.dumps(np.array([object()]), 4), "dtype 'O8', which is not of numbers"),
        (pickle.dumps(np.array(["a"]), 4), "dtype 'U1', which is not of numbers"),
        (b"I1\n.", "the pickle operation INT, not used here"),
    ],
    ids=["empty", "truncated", "objects", "texts", "operation"],
)
def test_what_is_no_pickle_of_arrays_is_an_error(tmp_path, stored, message):
    (tmp_path / "a.pkl").write_bytes(stored)
    with pytest.raises(ValueError, match=rf"a\.pkl': .*({message})"):
        read_array_pickle(tmp_path / "a.pkl")


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.pkl': .*No such file"):
        read_array_pickle(tmp_path / "none.pkl")


def array_of(state):
    """A pickle of an array whose state is another; `state` is pickled as it is."""
    reconstruct = f"c{OWN_NAME}.multiarray\n_reconstruct\n".encode()
    reconstruct += b"(cnumpy\nndarray\nK\x00\x85C\x01btR"
    return b"\x80\x03" + reconstruct + state + b"b."


DTYPE = b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R"


def state_of(shape, data, dtype=DTYPE):
    data = b"B" + struct.pack("<I", len(data)) + data
    return b"(K\x01" + pickle.dumps(shape, 2)[2:-1] + dtype + b"\x89" + data + b"t"


def test_the_pickles_of_these_tests_are_read_as_numpy_reads_them(tmp_path):
    floats = np.arange(2, dtype="<f4")
    stored = array_of(state_of((2,), floats.tobytes()))
    np.testing.assert_array_equal(pickle.loads(stored), floats)
    (tmp_path / "a.pkl").write_bytes(stored)
    np.testing.assert_array_equal(read_array_pickle(tmp_path / "a.pkl"), floats)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (state_of((3,), bytes(8)), r"shape \(3,\) with 8 bytes"),
        (state_of((2**40,), bytes(8)), r"shape \(1099511627776,\) with 8 bytes"),
        (state_of((-2,), bytes(8)), r"shape is not at most 64 counts"),
        (state_of([2], bytes(8)), r"shape is not at most 64"),
        (state_of((2,), bytes(8), b"K\x05"), r"shape is not at most 64 counts"),
        (state_of((1,) * 65, bytes(4)), r"shape is not at most 64 counts"),
    ],
)
def test_shapes_must_fit_the_bytes(tmp_path, state, message):
    (tmp_path / "a.pkl").write_bytes(array_of(state))
    with pytest.raises(ValueError, match=message):
        read_array_pickle(tmp_path / "a.pkl")


def test_bytes_that_are_used_many_times_do_not_fill_the_memory(tmp_path):
    # The state is memoized (q) once and set (b) again and again.
    state = state_of((25_000,), bytes(100_000)) + b"q\x01"
    again = array_of(state)[2:-1]
    for _ in range(5):
        again += b"h\x01b"
    (tmp_path / "a.pkl").write_bytes(b"\x80\x03" + again + b".")
    with pytest.raises(ValueError, match="arrays of more bytes than the file has"):
        read_array_pickle(tmp_path / "a.pkl")


def test_a_large_file_may_have_more_operations(tmp_path, monkeypatch):
    monkeypatch.setattr(array_pickle, "MAX_OPERATIONS", 50)
    small = written(tmp_path / "small.pkl", list(range(100)))
    with pytest.raises(ValueError, match="more than 50 operations"):
        read_array_pickle(small)
    large = written(tmp_path / "large.pkl", [*range(100), b"x" * 64 * 200])
    assert len(read_array_pickle(large)) == 101
    assert inert_pickle.MAX_OPERATIONS == 2_000_000
