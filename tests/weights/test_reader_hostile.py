"""Files made to harm: each is refused by name, and nothing in them has run."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from weights.torch_files import (
    LEGACY_MAGIC,
    called,
    named,
    plain,
    storage,
    tensor,
    write_legacy,
    write_zip,
)

from keras_fpn.weights import inert_pickle, read_torch, stored_tensors
from keras_fpn.weights.inert_pickle import read_pickle, shown

FLOATS = np.array([0, 1, 2, 3], "<f4").tobytes()
FORMATS = pytest.mark.parametrize("write", [write_zip, write_legacy])


class Attack:
    """Runs a command in whoever unpickles it."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def attack(tmp_path):
    """(object to pickle, function that tells whether it ran)."""
    trace = tmp_path / "ran"
    return Attack(f"echo > {trace}"), trace.exists


def test_the_attack_of_these_tests_works_on_pickle_itself(attack):
    harmful, has_run = attack
    pickle.loads(pickle.dumps(harmful))
    assert has_run()


@FORMATS
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_command_in_the_pickle_is_named_and_not_run(
    write, protocol, attack, tmp_path
):
    harmful, has_run = attack
    pickled = pickle.dumps({"w": harmful}, protocol)
    file = write(tmp_path / "w.pt", pickled, {})
    with pytest.raises(
        ValueError, match=rf"w\.pt', which names '{os.name}\.system'.*run"
    ):
        read_torch(file)
    assert not has_run()


@pytest.mark.parametrize("place", range(5))
def test_a_command_in_any_pickle_of_a_legacy_file_is_not_run(place, attack, tmp_path):
    harmful, has_run = attack
    parts = [LEGACY_MAGIC, 1001, {"little_endian": True}, {}, []]
    parts[place] = harmful
    file = tmp_path / "w.pt"
    file.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
    with pytest.raises(ValueError, match=rf"which names '{os.name}\.system'"):
        read_torch(file)
    assert not has_run()


@FORMATS
@pytest.mark.parametrize(
    ("operations", "name"),
    [
        (called("builtins eval", plain("1")), "builtins.eval"),
        (called("builtins getattr", plain("1")), "builtins.getattr"),
        (called("torch.hub load", plain("x")), "torch.hub.load"),
        # A name with dots would lead from an allowed module to any other.
        (plain("torch._utils") + plain("os.system") + b"\x93", "torch._utils.os.sys"),
        (plain("os") + plain("path.join") + b"\x93", "os.path.join"),
        (b"cnumpy._core.multiarray\n_reconstruct\n", "numpy._core.multiarray._recon"),
        (b"ccollections\ndefaultdict\n", "collections.defaultdict"),
        (b"ctorch\nFloatStorage.dtype\n", "torch.FloatStorage.dtype"),
    ],
)
def test_every_other_global_is_forbidden(write, operations, name, tmp_path):
    file = write(tmp_path / "w.pt", named(w=operations), {})
    with pytest.raises(
        ValueError, match=f"only tensors and plain containers.*names '{name}"
    ):
        read_torch(file)


@FORMATS
@pytest.mark.parametrize(
    ("operations", "said"),
    [
        (b"(ios\nsystem\n", "operation INST"),
        (b"(cbuiltins\nobject\no", "names 'builtins.object'"),
        (b"(ccollections\nOrderedDict\no", "operation OBJ"),
        (b"\x82\x01", "operation EXT1"),
        (b"\x8f", "operation EMPTY_SET"),
        (b"Pname\n", "operation PERSID"),
        (plain(1) + b")R", "calls what is not a function"),
        (b"ctorch\nFloatStorage\n)R", "calls what is not a function"),
        (b"ctorch._utils\n_rebuild_parameter\n" + plain(1) + b"R", "calls what is no"),
        (b"ctorch._utils\n_rebuild_parameter\n)R", "malformed pickle"),
        (called("torch._utils _rebuild_parameter", *[plain(1)] * 3), "malformed param"),
        (called("torch._utils _rebuild_tensor_v2", *[plain(1)] * 6), "malformed"),
        (b"ccollections\nOrderedDict\n" + plain(1) + b"a", "appends to what is no"),
        (b"ccollections\nOrderedDict\nNNs", "sets items of what is not a dict"),
        (b"}" + plain(((),)) + b"Ns", "dict key of type tuple"),
        (called("collections OrderedDict", plain([((), 1)])), "dict key of type tup"),
        (plain(1) + plain("x") + b"\x93", "a name that is not a text"),
        (plain("module") + b"Q", "malformed"),
        (b"h\x63", "malformed pickle .99"),  # the memo has no 99
        (b"\x8a\xff", "long1"),  # 255 bytes that do not come
    ],
)
def test_operations_that_do_not_describe_data_are_refused(
    write, operations, said, tmp_path
):
    file = write(tmp_path / "w.pt", named(w=operations), {})
    with pytest.raises(ValueError, match=said):
        read_torch(file)


def test_state_given_to_a_function_changes_nothing(tmp_path):
    rebuild = stored_tensors.KNOWN["torch._utils._rebuild_parameter"]
    before = dict(vars(rebuild)), rebuild.__defaults__, rebuild.__name__
    state = plain(({"x": 1}, {"__defaults__": (1, 2), "__name__": "x"}))
    on_function = b"ctorch._utils\n_rebuild_parameter\n" + state + b"b"
    on_dict = called("collections OrderedDict") + plain({"__setstate__": 1}) + b"b"
    pickled = named(function=on_function, dict=on_dict, w=tensor())
    tensors = read_torch(write_zip(tmp_path / "w.pt", pickled, {"0": FLOATS}))
    np.testing.assert_array_equal(tensors["w"], [[0, 1], [2, 3]])
    assert (dict(vars(rebuild)), rebuild.__defaults__, rebuild.__name__) == before


@FORMATS
@pytest.mark.parametrize(
    ("described", "said"),
    [
        (tensor(strides=(2, 2**40)), "reaches element 1099511627778 of a storage of 4"),
        (tensor(offset=1), "reaches element 4 of a storage of 4"),
        (tensor(offset=2**61), "of a storage of 4"),
        (tensor(shape=(4, 2)), "reaches element 7 of a storage of 4"),
        (tensor(strides=(-2, 1)), "are not counts"),
        (tensor(offset=-1), "are not counts"),
        (tensor(offset=2**70), "are not counts"),
        (tensor(shape=(2, True)), "are not counts"),
        (tensor(shape=(4,)), "are not counts"),
        (tensor(shape=(1,) * 65, strides=(1,) * 65), "are not counts, at most 64"),
        (tensor(shape=(2,) * 200_000, strides=(1,) * 200_000), "not counts, at most"),
        (tensor(shape="22"), "are not counts"),
        (tensor(shape=(0, 2**61)), "tensor 'w': "),
        (tensor(shape=(2**20, 2**20), strides=(0, 0)), "is larger than the file"),
        (
            tensor(storage(kind="torch LongStorage")),
            "claims (4 elements of int64|32 by)",
        ),
        (tensor(storage(kind="torch QInt8Storage")), "names 'torch.QInt8Storage'"),
        (tensor(storage(count=-1)), "malformed storage"),
        (tensor(storage(key=0)), "malformed storage"),
        (tensor(storage(view=plain(("1", -1, 2)))), "malformed view"),
    ],
)
def test_a_tensor_never_reaches_outside_its_storage(write, described, said, tmp_path):
    file = write(tmp_path / "w.pt", named(w=described), {"0": FLOATS})
    with pytest.raises(ValueError, match=said):
        read_torch(file)


def test_a_storage_is_what_the_file_holds_not_what_it_claims(tmp_path):
    pickled = named(w=tensor(storage(count=2**40), shape=(2**40,), strides=(1,)))
    zipped = write_zip(tmp_path / "z.pt", pickled, {"0": FLOATS})
    with pytest.raises(ValueError, match=r"claims 1099511627776 elements .* 16 bytes"):
        read_torch(zipped)
    legacy = write_legacy(tmp_path / "l.pt", pickled, {"0": FLOATS})
    claim = struct.pack("<q", 2**40)
    content = legacy.read_bytes().removesuffix(struct.pack("<q", 4) + FLOATS)
    legacy.write_bytes(content + claim + FLOATS)
    with pytest.raises(ValueError, match="storage '0' claims 4398046511104 bytes"):
        read_torch(legacy)
    legacy.write_bytes(content + struct.pack("<q", -1) + FLOATS)
    with pytest.raises(ValueError, match="storage '0' claims -4 bytes"):
        read_torch(legacy)


def test_storages_that_no_tensor_uses_are_refused_in_a_legacy_file(tmp_path):
    file = write_legacy(tmp_path / "w.pt", named(w=tensor()), {"9": FLOATS})
    with pytest.raises(ValueError, match="a storage that no tensor uses"):
        read_torch(file)


def test_a_zip_bomb_is_refused(tmp_path):
    zeros = bytes(4 << 20)
    pickled = named(w=tensor(storage(count=1 << 20), shape=(1 << 20,), strides=(1,)))
    file = write_zip(
        tmp_path / "w.pt", pickled, {"0": zeros}, compression=zipfile.ZIP_DEFLATED
    )
    assert file.stat().st_size < 1 << 14
    with pytest.raises(ValueError, match=r"entry 'archive/data\.pkl' is compressed"):
        read_torch(file)


def test_entries_larger_than_the_zip_file_are_refused(tmp_path):
    file = write_zip(tmp_path / "w.pt", named(w=tensor()), {"0": FLOATS})
    content = bytearray(file.read_bytes())
    entry = content.rindex(b"PK\x01\x02")  # the directory's last entry: the storage
    struct.pack_into("<II", content, entry + 20, 1 << 30, 1 << 30)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"its entries claim 107374\d+ bytes"):
        read_torch(file)


def test_endless_pickles_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(inert_pickle, "MAX_OPERATIONS", 100)
    pickled = b"\x80\x02" + b"]" * 200 + b"."
    with pytest.raises(ValueError, match="a pickle of more than 100 operations"):
        read_torch(write_zip(tmp_path / "w.pt", pickled, {}))


@FORMATS
@pytest.mark.parametrize(
    "call",
    [
        called("torch Size", b"h\x07"),
        called("collections OrderedDict", b"h\x07"),
        called("torch._utils _rebuild_parameter", b"h\x07"),
        called("torch._utils _rebuild_parameter", plain(1), *[b"N"] * 99),
        b"ctorch.storage\nUntypedStorage\n0ccollections\nOrderedDict\nh\x07\x85R",
    ],
)
def test_items_are_counted_over_all_calls(write, call, monkeypatch, tmp_path):
    monkeypatch.setattr(inert_pickle, "MAX_OPERATIONS", 5000)
    # A list of 40 items, or a call of 100, each time from the same few bytes.
    items = plain([])[:1] + b"q\x07(" + b"K\x01" * 40 + b"e0"
    pickled = b"\x80\x02" + items + (call + b"0") * 200 + b"N."
    said = "too many items to functions|malformed|not counts"
    with pytest.raises(ValueError, match=said):
        read_torch(write(tmp_path / "w.pt", pickled, {}))


def test_the_budget_of_items_is_that_of_operations():
    given, seen = [1] * 40, []

    def keep(items):
        seen.append(len(items))

    call = b"cm\nkeep\nh\x07\x85R0"
    pickled = plain(given).replace(b"q\x00", b"q\x07") + b"0" + call * 30 + b"N."
    read_pickle(io.BytesIO(pickled), {"m.keep": keep}, max_operations=30 * 41)
    with pytest.raises(ValueError, match="too many items to functions"):
        read_pickle(io.BytesIO(pickled), {"m.keep": keep}, max_operations=30 * 41 - 1)
    assert seen == [40] * 59


@FORMATS
@pytest.mark.parametrize(
    "pickled",
    [
        named(**{"k" * 10**6: tensor(offset=1)}),
        named(**{"k" * 10**6: plain(1)}),
        named(w=tensor(storage(key="k" * 10**6))),
        named(w=f"cm\n{'k' * 10**6}\n".encode()),
        named(w=plain("m") + plain("k" * 10**6) + b"\x93"),
    ],
    ids=["tensor", "entry", "storage", "global", "stacked"],
)
def test_of_long_names_an_excerpt_is_shown(write, pickled, tmp_path):
    with pytest.raises(ValueError, match=r"k{40}|no tensor uses") as refused:
        read_torch(write(tmp_path / "w.pt", pickled, {"0": FLOATS}))
    assert len(str(refused.value).replace(str(tmp_path), "")) < 500


def test_what_could_be_shown_without_end_is_named_by_its_type():
    nested = ()
    for _ in range(100):
        nested = (nested, nested)
    assert shown(nested) == "tuple"
    assert shown("a" * 99) == repr("a" * 60)
    assert shown(b"a" * 99) == repr(b"a" * 60)
    assert (shown(-5), shown(0.5), shown(10**5000)) == ("-5", "0.5", "int")


def test_a_length_beyond_the_legacy_file_sets_no_memory_aside(tmp_path):
    text = b"\x8d" + struct.pack("<Q", 2**62) + b"short"  # BINUNICODE8
    file = write_legacy(tmp_path / "w.pt", named(w=text), {})
    with pytest.raises(ValueError, match="expected 4611686018427387904 bytes"):
        read_torch(file)
