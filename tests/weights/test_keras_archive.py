"""What is in a .keras file is checked before Keras builds anything from it."""

import functools
import io
import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays

from keras_fpn.weights import SHIPPED
from keras_fpn.weights.hdf5_tensors import UNREADABLE, declared_tensors
from keras_fpn.weights.keras_archive import (
    CONFIG,
    METADATA,
    WEIGHTS,
    check_archive,
    check_folder,
    checked_config,
    described_numbers,
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


def config_of(model):
    return json.dumps(keras.saving.serialize_keras_object(model))


@functools.cache
def one_kernel():
    """The config of a model with a kernel of 2x3 numbers."""
    kernel = keras.layers.Dense(3, use_bias=False)
    return config_of(keras.Sequential([keras.Input((2,)), kernel]))


def archive(path, config=None, weights=None, pack=zipfile.ZIP_STORED, more=()):
    """Writes a .keras file of one kernel, with some of its parts replaced."""
    config = one_kernel() if config is None else config
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


def test_the_tensors_of_a_file_are_listed():
    def optimized(file):
        file["optimizer/vars/0"] = np.zeros(2)

    content = hdf5(optimized)
    with h5py.File(io.BytesIO(content)) as file:
        shapes = declared_tensors(file, len(content))
    assert shapes == {"layers/fc/vars/0": (2, 3)}


def metric(module, name="MeanIoU"):
    return {"module": module, "class_name": name, "config": {"num_classes": 60_000}}


def constant():
    """What Keras would compute with as soon as it meets it."""
    return {"class_name": "__tensor__", "config": {"value": [[1.0]], "dtype": "float"}}


def tensor():
    config = {"shape": [None, 2], "dtype": "float32", "keras_history": ["a", 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def called_with(*arguments):
    node = {"args": arguments[:1], "kwargs": {"training": arguments[1:]}}
    return {**layer(units=3), "inbound_nodes": [node]}


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
        (layer(filters=10**400), r"'filters' above 65536, which no detector has"),
        ([{}] * 2**16, r"has more than 65536 values"),
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
        (metric("keras.metrics"), r"the class 'MeanIoU' of 'keras.metrics'"),
        (metric("keras", "metrics.MeanIoU"), r"the class 'metrics.MeanIoU' of 'keras'"),
        (metric("keras.src.metrics.iou_metrics"), r"the class 'MeanIoU' of 'keras.src"),
        (layer(activation=metric("keras.metrics")), r"the class 'MeanIoU' of"),
        ({**layer(), "compile_config": {"metrics": [metric("keras.metrics")]}}, "IoU'"),
        (layer(num_convs=65), r"'num_convs' above 64"),
        (called_with(constant()), r"calls a layer with something but tensors"),
        (called_with(tensor(), constant()), r"calls a layer with something but"),
        (called_with(tensor(), layer(units=9)), r"calls a layer with something but"),
        (called_with(True), r"calls a layer with something but tensors"),
    ],
)
def test_configs_that_must_not_be_built_are_refused(config, message):
    if isinstance(config, list):
        config = {"class_name": "A", "config": config}
    with pytest.raises(ValueError, match=message):
        checked_config(config if isinstance(config, str) else json.dumps(config))


def test_ids_seeds_and_what_a_model_was_compiled_with_are_no_sizes():
    config = layer(units=3, category_ids=[2**31 - 1], seed=2**40, mask=float("inf"))
    config["compile_config"] = {"optimizer": {"decay_steps": 10**6}}
    checked_config(json.dumps(config))


def test_layers_are_called_with_tensors_and_plain_values():
    checked_config(json.dumps(called_with(tensor(), False)))
    checked_config(json.dumps({**layer(units=3), "inbound_nodes": []}))


def test_what_is_no_model_is_refused(tmp_path):
    path = archive(tmp_path / "m.keras", json.dumps(layer(units=3)))
    with pytest.raises(ValueError, match="describes no model"):
        check_archive(path)
    of_torch = {"module": None}
    config = {"module": "keras.layers", "class_name": "TorchModuleWrapper"}
    archive(path, json.dumps({**config, "config": of_torch}))
    with pytest.raises(UNREADABLE):
        check_archive(path)


def test_what_a_model_was_compiled_with_is_taken(tmp_path):
    model = small()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.save(tmp_path / "m.keras")
    check_archive(tmp_path / "m.keras")
    model.save(tmp_path / "m", zipped=False)
    check_folder(tmp_path / "m")
    wide = config_of(model).replace('"units": 5', '"units": 65536')
    (tmp_path / "m" / CONFIG).write_text(wide)
    with pytest.raises(ValueError, match=r"of 262201 numbers, and there are 77"):
        check_folder(tmp_path / "m")


def enlarged(model, old, new):
    """Returns the config of a model, JSON, with other sizes."""
    config = config_of(model)
    assert old in config
    return config.replace(old, new)


def small():
    return keras.Sequential(
        [keras.Input((8, 8, 2)), keras.layers.Conv2D(3, 3), keras.layers.Dense(5)]
    )


def test_a_model_must_not_need_more_weights_than_there_are(tmp_path):
    path = tmp_path / "m.keras"
    content = hdf5(shape=(18 * 3 + 3 + 3 * 5 + 5,))
    archive(path, config_of(small()), content)
    check_archive(path)
    needed = 18 * 3 + 3 + 4 * 65536
    message = f"describes weights of {needed} numbers, and there are 77"
    for old, new, said in (
        ('"units": 5', '"units": 65536', message),
        ('"filters": 3', '"filters": 65536', "expected axis -1"),  # by what follows
        ('"kernel_size": [3, 3]', '"kernel_size": [3, 800]', "negative|larg"),
    ):
        archive(path, enlarged(small(), old, new), content)
        with pytest.raises(ValueError, match=said):
            check_archive(path)


def test_half_a_terabyte_is_counted_and_leaves_nothing(tmp_path):
    """The config of a real detector, with the widest layers that may be named."""
    with zipfile.ZipFile(SHIPPED["faster_rcnn_resnet18_fpn_scenes"].path()) as file:
        config = file.read(CONFIG).decode()
    wide = re.sub(r'"(filters|units|channels)": \d+', r'"\1": 65536', config)
    assert described_numbers(*checked_config(wide)) > 2**37
    keras.utils.set_random_seed(3)
    expected = keras.random.uniform((3,))
    keras.utils.set_random_seed(3)
    described_numbers(*checked_config(config))
    assert_array_equal(arrays(keras.random.uniform((3,))), arrays(expected))
    with keras.StatelessScope():  # whose end gives values to what waits for them
        pass


def test_registered_classes_of_one_s_own_are_built():
    class Doubled(keras.layers.Dense):
        pass

    def tripled(x):
        return 3 * x

    model = keras.Sequential([keras.Input((2,)), Doubled(3, activation=tripled)])
    config = config_of(model)
    with pytest.raises(ValueError, match="it needs the class 'Doubled'"):
        checked_config(config)
    with keras.saving.custom_object_scope({"Doubled": Doubled, "tripled": tripled}):
        assert described_numbers(*checked_config(config)) == 9


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
