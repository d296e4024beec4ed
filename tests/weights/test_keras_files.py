"""A .weights.h5 file is loaded whole or not at all."""

import h5py
import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays

from keras_fpn.weights.keras_files import load_weights_file, weight_shapes


class Gate(keras.layers.Layer):
    """Like a fully connected layer, but its variable has another place in a file."""

    def build(self, shape):
        self.inner = keras.layers.Dense(3)
        self.inner.build(shape)

    def call(self, inputs):
        return self.inner(inputs)


def built(*units, last=None):
    layers = [keras.layers.Dense(unit, name=f"fc{n}") for n, unit in enumerate(units)]
    return keras.Sequential([keras.Input((2,)), *layers, *([last] if last else [])])


def values(model):
    return [np.array(arrays(weight)) for weight in model.weights]


@pytest.fixture
def path(tmp_path):
    built(3, 3).save_weights(tmp_path / "m.weights.h5")
    return tmp_path / "m.weights.h5"


def test_a_file_of_the_model_is_loaded(tmp_path):
    saved, model = built(3, 3), built(3, 3)
    saved.compile("sgd", "mse")
    saved.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)  # the optimizer is in it
    saved.save_weights(tmp_path / "m.weights.h5")
    load_weights_file(model, tmp_path / "m.weights.h5")
    for found, wanted in zip(values(model), values(saved), strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        # Keras would load the first layer and then fail.
        (
            built(3, 4),
            "with 4 tensors of 21 numbers, and the model has 4 tensors of 25",
        ),
        # It would ignore the second layer.
        (built(3), "and the model has 2 tensors of 9 numbers"),
        (built(3, 3, 3), "and the model has 6 tensors of 33 numbers"),
    ],
    ids=["shape", "surplus", "missing"],
)
def test_a_file_of_another_model_changes_nothing(path, model, said):
    before = values(model)
    with pytest.raises(ValueError, match=said) as raised:
        load_weights_file(model, path)
    assert str(raised.value).endswith("the tensors are those of no preset.")
    for found, wanted in zip(values(model), before, strict=True):
        assert_array_equal(found, wanted)


def test_what_keras_notices_last_changes_nothing_either(tmp_path):
    path = tmp_path / "m.weights.h5"
    built(3, last=Gate()).save_weights(path)
    model = built(3, 3)  # of the same shapes, and the first layer fits
    before = values(model)
    with pytest.raises(ValueError, match=r"received .*m\.weights\.h5: .*\.\.\. "):
        load_weights_file(model, path)
    for found, wanted in zip(values(model), before, strict=True):
        assert_array_equal(found, wanted)


def test_tensors_are_listed_without_those_of_an_optimizer(path):
    with h5py.File(path, "a") as file:
        file["optimizer/vars/0"] = np.zeros(5)
    assert sorted(weight_shapes(path).values()) == [(2, 3), (3,), (3,), (3, 3)]


def test_attributes_are_not_read(path, monkeypatch):
    """With some damaged files, that of input 5910 of seed 6, it would never end."""

    def read(manager, name, *others):
        raise AssertionError(name)

    with h5py.File(path) as file:
        assert any(file[name].parent.attrs for name in weight_shapes(path))
    for way in ("get", "__getitem__", "items", "values"):
        monkeypatch.setattr(h5py.AttributeManager, way, read)
    assert len(weight_shapes(path)) == 4


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "m.weights.h5").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"must be written by.*m\.weights\.h5, which"):
        load_weights_file(built(3), tmp_path / "m.weights.h5")
