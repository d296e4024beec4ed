"""What torch wrote is read, exactly; what is damaged is named. See make_fixtures.py."""

import pathlib
import re
import zipfile

import ml_dtypes
import numpy as np
import pytest
from weights.torch_files import (
    called,
    named,
    plain,
    storage,
    tensor,
    write_legacy,
    write_zip,
)

from keras_fpn.weights import read_torch

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"
BASE = np.arange(12, dtype="float32") / 4
EXPECTED = {
    "parameter": np.array([[1.0, -2.0], [0.5, 3.0]], "float32"),
    "base": BASE,
    "transposed": BASE.reshape(3, 4).T,
    "every_third": np.array([0.25, 1.0, 1.75, 2.5], "float32"),
    "repeated": np.full((2, 3), 7.0, "float32"),
    "scalar": np.array(2.5, "float32"),
    "empty": np.zeros((0, 3), "float32"),
    "float64": np.array([1e300, -0.1], "float64"),
    "float16": np.array([65504.0, 2**-24], "float16"),  # largest, smallest
    "bfloat16": np.array([1.0078125, -3e38], ml_dtypes.bfloat16),
    "int64": np.array([2**62, -1], "int64"),
    "int32": np.array([2**31 - 1, -(2**31)], "int32"),
    "int16": np.array([-32768, 5], "int16"),
    "int8": np.array([-128, 127], "int8"),
    "uint8": np.array([0, 255], "uint8"),
    "bool": np.array([True, False, True]),
    "norm.weight": np.ones(2, "float32"),
    "norm.bias": np.zeros(2, "float32"),
    "norm.running_mean": np.full(2, 0.1, "float32"),  # momentum 0.1, all pixels 1
    "norm.running_var": np.full(2, 0.9, "float32"),
    "norm.num_batches_tracked": np.array(1, "int64"),
}
FLOATS = np.array([0, 1, 2, 3], "<f4").tobytes()
FORMATS = pytest.mark.parametrize("write", [write_zip, write_legacy])


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "protocol4.pt"])
def test_every_tensor_torch_saved_is_read_exactly(name):
    expected = dict(EXPECTED)
    if name == "protocol4.pt":  # a dtype without a storage type of its own
        expected["uint16"] = np.array([1, 65535], "uint16")
    tensors = read_torch(FIXTURES / name)
    assert list(tensors) == list(expected)
    for key, array in expected.items():
        assert tensors[key].dtype == array.dtype, key
        np.testing.assert_array_equal(tensors[key], array, err_msg=key, strict=True)


def test_the_weights_in_a_training_checkpoint_are_read():
    tensors = read_torch(str(FIXTURES / "training.pt"))
    assert list(tensors) == ["weight", "bias"]
    np.testing.assert_array_equal(tensors["weight"], [[1.5, -1.5]])
    np.testing.assert_array_equal(tensors["bias"], [0.25])


@FORMATS
def test_tensors_by_hand_are_read(write, tmp_path):
    row = storage(count=4)
    if write is write_legacy:
        row = storage(count=4, view=plain(None))
    pickled = named(w=tensor(row), column=tensor(row, 1, (2,), (2,)))
    tensors = read_torch(write(tmp_path / "w.pt", pickled, {"0": FLOATS}))
    np.testing.assert_array_equal(tensors["w"], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(tensors["column"], [1, 3])


@pytest.mark.parametrize("name", ["model", "state_dict", "model_state_dict"])
def test_weights_one_level_down_are_preferred(name, tmp_path):
    inner = b"}" + plain("w") + tensor() + b"s"
    pickled = named(loss=tensor(shape=(), strides=()), **{name: inner})
    tensors = read_torch(write_zip(tmp_path / "w.pt", pickled, {"0": FLOATS}))
    assert list(tensors) == ["w"]


def test_arrays_share_the_storage_and_cannot_be_written_to():
    tensors = read_torch(FIXTURES / "zip.pt")
    assert np.shares_memory(tensors["base"], tensors["transposed"])
    assert not np.shares_memory(tensors["base"], tensors["parameter"])
    with pytest.raises(ValueError, match="read-only"):
        tensors["repeated"][0, 0] = 1.0


def test_functions_and_storages_of_old_torch_are_known(tmp_path):
    row = storage(kind="torch.cuda FloatStorage", view=plain(("1", 2, 2)))
    old = called(
        "torch._utils _rebuild_tensor", row, plain(0), plain((2,)), plain((1,))
    )
    file = write_legacy(tmp_path / "w.pt", named(w=old), {"0": FLOATS})
    # The view begins at element 2 and has 2 elements; the file holds it only in row 0.
    np.testing.assert_array_equal(read_torch(file)["w"], [2, 3])


def test_entries_that_are_no_tensors_are_left_out(tmp_path):
    pickled = named(epoch=plain(3), w=tensor(), names=plain(["a"]))
    file = write_zip(tmp_path / "w.pt", pickled, {"0": FLOATS})
    assert list(read_torch(file)) == ["w"]


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt"])
def test_a_file_cut_anywhere_is_refused(name, tmp_path):
    whole = (FIXTURES / name).read_bytes()
    file = tmp_path / "cut.pt"
    for length in [*range(0, len(whole), 61), len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"cut\.pt', {length} bytes: .*again"):
            read_torch(file)


def test_a_changed_byte_in_a_zip_file_is_noticed(tmp_path):
    content = bytearray((FIXTURES / "zip.pt").read_bytes())
    content[content.index(BASE.tobytes()) + 2] ^= 1
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged .Bad CRC-32 .*data/1"):
        read_torch(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it begins with b''"),
        (b"<!DOCTYPE html><html>", "it begins with b'<!DOCTYPE html><'"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), r"it begins with b'\\x89HDF"),
        (b"\x80\x02K\x07.", "not a torch file"),  # a pickle of 7
        (b"PK\x03\x04 and nothing else", "zip archive, truncated"),
    ],
)
def test_what_is_no_torch_file_is_refused(content, said, tmp_path):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.pth', {len(content)} bytes: .*{said}"):
        read_torch(tmp_path / "x.pth")


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "gone.pth", tmp_path):
        with pytest.raises(ValueError, match=re.escape(f"received path='{path}'")):
            read_torch(path)


def test_a_zip_file_without_the_pickle_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("photo.txt", "no weights")
    with pytest.raises(ValueError, match=r"with 0 entries FOLDER/data\.pkl"):
        read_torch(tmp_path / "x.pt")


@FORMATS
def test_a_missing_storage_is_named(write, tmp_path):
    file = write(tmp_path / "w.pt", named(w=tensor()), {})
    with pytest.raises(
        ValueError, match=r"tensor 'w': its (entry|storage) '.*0' is mis"
    ):
        read_torch(file)


@FORMATS
def test_big_endian_files_are_refused(write, tmp_path):
    order = {"byteorder": b"big"}
    if write is write_legacy:
        order = {"little_endian": False}
    file = write(tmp_path / "w.pt", named(w=tensor()), {"0": FLOATS}, **order)
    with pytest.raises(ValueError, match="its numbers are big-endian"):
        read_torch(file)


@FORMATS
@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (named(), r"no named tensors, but the entries \[\]"),
        (named(epoch=plain(3)), r"but the entries \['epoch'\]"),
        (b"\x80\x02]" + tensor() + b"a.", "no dict of tensors"),
    ],
)
def test_a_file_without_a_state_dict_is_refused(write, pickled, said, tmp_path):
    file = write(tmp_path / "w.pt", pickled, {"0": FLOATS} if b"Q" in pickled else {})
    with pytest.raises(ValueError, match=said):
        read_torch(file)


def test_another_version_of_the_legacy_format_is_refused(tmp_path):
    file = write_legacy(tmp_path / "w.pt", named(w=tensor()), {"0": FLOATS})
    file.write_bytes(file.read_bytes().replace(plain(1001), plain(1002), 1))
    with pytest.raises(ValueError, match="its protocol is not 1001"):
        read_torch(file)


def test_unfinished_negations_are_refused(tmp_path):
    pickled = named(w=tensor(metadata=({"neg": True},)))
    with pytest.raises(ValueError, match="a pending negation or conjugation"):
        read_torch(write_zip(tmp_path / "w.pt", pickled, {"0": FLOATS}))
