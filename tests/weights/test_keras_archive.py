"""What is in a .keras file is checked before Keras builds anything from it."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from keras_fpn.weights.hdf5_tensors import UNREADABLE, declared_tensors
from keras_fpn.weights.keras_archive import (
    CONFIG,
    METADATA,
    WEIGHTS,
    check_archive,
    check_config,
)


def hdf5(change=lambda file: None, shape=(2, 3)):
    """Returns the bytes of an HDF5 file with one kernel."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("layers/fc/vars/0", data=np.ones(shape, np.float32))
        change(file)
    return content.getvalue()


def layer(**config):
    module = {"module": "keras.layers", "class_name": "Dense"}
    return {**module, "config": config, "registered_name": None}


def archive(path, config=None, weights=None, pack=zipfile.ZIP_STORED, more=()):
    """Writes a .keras file of one layer, with some of its parts replaced."""
    config = json.dumps(layer(units=3)) if config is None else config
    weights = hdf5() if weights is None else weights
    with zipfile.ZipFile(path, "w", pack) as file:
        for name, content in (
            (METADATA, "{}"),
            (CONFIG, config),
            (WEIGHTS, weights),
            *more,
        ):
            file.writestr(name, content)
    return path


def test_an_archive_as_keras_writes_it_passes(tmp_path):
    check_archive(archive(tmp_path / "m.keras"))
    state = [("training_state.json", "{}")]
    check_archive(archive(tmp_path / "m.keras", pack=zipfile.ZIP_DEFLATED, more=state))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"more": [("assets/words.txt", "a")]}, r"'assets/words.txt' is not that of a"),
        ({"more": [("../x", "a")]}, r"'../x' is not that of a detector"),
        ({"more": [("x" * 9999, "a")]}, r"entry 'x{60}' is not"),
        ({"config": " " * (2**24 + 1)}, r"config.json claims 16777217 bytes in 16"),
        ({"weights": bytes(2**25)}, r"model.weights.h5 claims 33554432 bytes in 3"),
    ],
)
def test_archives_that_are_larger_than_they_seem_are_refused(tmp_path, parts, message):
    path = archive(tmp_path / "m.keras", pack=zipfile.ZIP_DEFLATED, **parts)
    with pytest.raises(ValueError, match=message):
        check_archive(path)


@pytest.mark.parametrize("name", [CONFIG, METADATA, WEIGHTS])
def test_what_an_archive_lacks_is_named(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        for present in {CONFIG, METADATA, WEIGHTS} - {name}:
            file.writestr(present, "{}")
    with pytest.raises(ValueError, match=f"it has no {name}"):
        check_archive(tmp_path / "m.keras")


def test_a_wrong_checksum_is_noticed(tmp_path):
    path = archive(tmp_path / "m.keras")
    content = path.read_bytes()
    ones = np.ones((2, 3), np.float32).tobytes()
    assert content.count(ones) == 1
    path.write_bytes(content.replace(ones, ones[:-1] + b"\0"))
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        check_archive(path)


def bomb(file):
    shape = {"shape": (30_000, 30_000), "dtype": "f4"}
    file.create_dataset("vars/0", **shape, chunks=(3000, 3000), compression="gzip")


def soft(file):
    file["vars"] = h5py.SoftLink("/layers")


def external(file):
    file["vars"] = h5py.ExternalLink("other.h5", "/")


def elsewhere(file):
    file.create_dataset("vars/0", (4,), "f4", external=[("other.raw", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("vars/0", layout)


def texts(file):
    file["vars/0"] = ["a", "b"]


def of_an_optimizer(file):
    file.create_dataset("optimizer/vars/0", (10**6,), "f4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bomb, r"tensors up to 'vars/0' claim more than its \d+ bytes"),
        (of_an_optimizer, r"'optimizer/vars/0' claim more than its \d+ bytes"),
        (soft, r"'vars' is a link"),
        (external, r"'vars' is a link"),
        (elsewhere, r"'vars/0' is stored in another file"),
        (virtual, r"'vars/0' is stored in another file"),
        (texts, r"'vars/0' is of dtype object"),
    ],
)
def test_tensors_are_numbers_in_the_file_itself(tmp_path, change, message):
    path = archive(tmp_path / "m.keras", weights=hdf5(change))
    with pytest.raises(ValueError, match=message):
        check_archive(path)


def test_the_tensors_of_a_file_are_listed_with_their_layers():
    def named(file):
        file["layers/fc/vars"].attrs["name"] = "fc"
        file["optimizer/vars/0"] = np.zeros(2)

    content = hdf5(named)
    with h5py.File(io.BytesIO(content)) as file:
        shapes, layers = declared_tensors(file, len(content))
    assert shapes == {"layers/fc/vars/0": (2, 3)}
    assert layers == {"layers/fc/vars/0": "fc"}


SHAPES = [(2, 3), (3, 3, 1, 3), (3,)]  # of 36 numbers


def convolution(**config):
    return layer(**{"filters": 3, "kernel_size": [3, 3], **config})


def nested(depth):
    return "[" * depth + "]" * depth


def within(text):
    return f'{{"class_name": "A", "config": {text}}}'


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", r"Expecting value"),
        ("[]", r"config.json describes no model"),
        ('{"config": {}}', r"config.json describes no model"),
        (nested(100_000), r"config.json is nested too deeply"),
        (within(nested(70)), r"is deeper than 64"),
        (within("1" * 5000), r"4300 digits"),
        (layer(units=4), r"'units' above 3, which no detector with these weights"),
        (layer(filters=10**400), r"'filters' above 3"),
        (layer(kernel_size=4), r"'kernel_size' above 3, which no detector"),
        (convolution(kernel_size=[3, 2000]), r"for more weights than there are"),
        (layer(kernel_size=[3, 2000]), r"'kernel_size' above 3"),
        (layer(layers=[convolution()] * 2), r"for more weights than there are"),
        (layer(min_size=10**6), r"'min_size' above 65536"),
        (layer(pool_size=[3, 2**17]), r"'pool_size' above 65536"),
        (layer(rate=1e300), r"'rate' above 65536"),
        (layer(rate=float("nan")), r"'rate' above 65536"),
        ({"class_name": 3, "config": {}}, r"a class whose name is no text"),
        ({"class_name": "A", "module": ["os"]}, r"a class whose name is no text"),
        ({"class_name": "system", "module": "os"}, r"the class 'system' of 'os'"),
        ({"class_name": "A", "module": "keras_hub.layers"}, r"'A' of 'keras_hub.lay"),
        ({"class_name": "A", "module": "kerasx"}, r"the class 'A' of 'kerasx'"),
        ({"class_name": "__lambda__", "config": {}}, r"the class '__lambda__'"),
        (layer(inner={"class_name": "A", "module": "os"}), r"the class 'A' of 'os'"),
    ],
)
def test_configs_that_must_not_be_built_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        check_config(config if isinstance(config, str) else json.dumps(config), SHAPES)


def test_convolutions_for_the_weights_that_there_are_pass():
    found = [convolution(), convolution(kernel_size=1), convolution(filters="3")]
    check_config(json.dumps(layer(layers=found)), SHAPES)


def test_ids_seeds_and_what_a_model_was_compiled_with_are_no_sizes():
    config = layer(units=3, category_ids=[2**31 - 1], seed=2**40, mask=float("inf"))
    config["compile_config"] = {"optimizer": {"decay_steps": 10**6}}
    check_config(json.dumps(config), SHAPES)


def test_a_damaged_archive_raises_only_what_is_known(tmp_path):
    content = archive(tmp_path / "m.keras").read_bytes()
    generator = np.random.default_rng(5)
    path, refused = tmp_path / "damaged.keras", 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(generator.integers(1, 5)):
            damaged[generator.integers(len(damaged))] = generator.integers(256)
        path.write_bytes(damaged[: generator.integers(1, 3) * len(damaged) // 2])
        try:
            check_archive(path)
        except UNREADABLE:
            refused += 1
    assert 150 < refused <= 300
