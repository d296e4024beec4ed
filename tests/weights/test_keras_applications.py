"""See also tests/backbones/test_mobilenet_v2.py, where the loaded maps are compared."""

import pathlib

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of
from skimage import data

from keras_fpn import backbones
from keras_fpn.layers import ConvNorm
from keras_fpn.weights import load_keras_applications

STEM = "Conv1/kernel"
VECTORS = ("gamma", "beta", "moving_mean", "moving_variance")


@pytest.fixture(scope="module")
def reference():
    return keras.applications.MobileNetV2((32, 32, 3), include_top=False, weights=None)


@pytest.fixture(scope="module")
def reference_tensors(reference):
    """Every variable by its layer and name, full of its own number."""
    names = [
        (f"{layer.name}/{variable.name}", variable.shape)
        for layer in reference.layers
        for variable in layer.weights
    ]
    return {name: np.full(shape, n, "float32") for n, (name, shape) in enumerate(names)}


@pytest.fixture
def backbone():
    return backbones.mobilenet_v2()


def convolutions(backbone):
    return [layer for layer in backbone.layers if isinstance(layer, ConvNorm)]


def their_name(name):
    """keras.applications' name of the convolution that is `name` here."""
    if name == "stem":
        return "Conv1"
    block, role = name.removeprefix("block").split("_")
    return f"expanded_conv_{role}" if block == "0" else f"block_{block}_{role}"


def test_every_variable_goes_to_the_layer_of_its_name(backbone, reference_tensors):
    load_keras_applications(backbone, reference_tensors)
    for layer in convolutions(backbone):
        name = their_name(layer.name)
        norm = "bn_Conv1" if layer.name == "stem" else f"{name}_BN"
        keys = [f"{name}/kernel", *(f"{norm}/{vector}" for vector in VECTORS)]
        for variable, key in zip(("kernel", *VECTORS), keys, strict=True):
            [value] = np.unique(arrays(getattr(layer, variable)))
            assert value == reference_tensors[key].flat[0], key


def test_a_model_its_variables_and_a_file_of_them_are_the_same(
    backbone, reference, tmp_path
):
    load_keras_applications(backbone, reference)
    expected = backbone.get_weights()
    assert_array_equal(arrays(reference.get_layer("Conv1").kernel), expected[0])
    tensors = {
        f"{layer.name}/{variable.name}": arrays(variable)
        for layer in reference.layers
        for variable in layer.weights
    }
    np.savez(tmp_path / "weights.npz", **tensors)
    path = tmp_path / "weights.npz"
    for source in (tensors, path, str(path)):
        other = backbones.mobilenet_v2()
        load_keras_applications(other, source)
        for one, two in zip(other.get_weights(), expected, strict=True):
            assert_array_equal(one, two)


def test_a_file_may_be_named_as_the_backbones_weights(reference_tensors, tmp_path):
    np.savez(tmp_path / "weights.npz", **reference_tensors)
    backbone = backbones.mobilenet_v2(weights=tmp_path / "weights.npz")
    [stem] = np.unique(arrays(backbone.get_layer("stem").kernel))
    assert stem == reference_tensors[STEM].flat[0]


def folded(tensors):
    """The tensors with a bias of 0.25 in the place of every batch norm."""
    kernels = {key: value for key, value in tensors.items() if key.endswith("/kernel")}
    biases = {
        key.replace("/kernel", "/bias"): np.full(
            value.shape[2] if "depthwise" in key else value.shape[3], 0.25, "float32"
        )
        for key, value in kernels.items()
    }
    return {**kernels, **biases}


@pytest.mark.parametrize("epsilon", [1e-3, 0.5])
def test_a_folded_bias_is_all_that_is_added(reference_tensors, epsilon):
    backbone = backbones.mobilenet_v2(epsilon=epsilon)
    load_keras_applications(backbone, folded(reference_tensors))
    for layer in convolutions(backbone):
        kernel, bias = arrays(layer.folded())
        assert_allclose(kernel, arrays(layer.kernel), rtol=1e-6)
        assert_array_equal(bias, np.full(bias.shape, 0.25, "float32"))


def test_only_some_layers_may_be_folded(backbone, reference_tensors):
    tensors = dict(reference_tensors)
    for vector in VECTORS:
        del tensors[f"bn_Conv1/{vector}"]
    tensors["Conv1/bias"] = np.arange(32, dtype="float32")
    load_keras_applications(backbone, tensors)
    stem = backbone.get_layer("stem")
    assert_array_equal(arrays(stem.folded()[1]), np.arange(32))
    [gamma] = np.unique(arrays(backbone.get_layer("block0_project").gamma))
    assert gamma == reference_tensors["expanded_conv_project_BN/gamma"].flat[0]


def test_the_classifiers_layers_are_left_out(backbone, reference_tensors):
    assert "Conv_1/kernel" in reference_tensors  # the last convolution's
    head = {"predictions/kernel": np.zeros((1280, 1000), "float32")}
    load_keras_applications(backbone, {**reference_tensors, **head})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({STEM: None}, rf"1 missing \['{STEM}'\] and 0 surplus"),
        ({"other/kernel": np.zeros(3)}, r"0 missing .* 1 surplus \['other/kernel'\]"),
        ({STEM: np.zeros((32, 3, 3, 3))}, rf"misshapen \['{STEM} \(32, 3, 3, 3\)'\]"),
        ({STEM: np.zeros((3, 3, 3, 32), "int8")}, f"received {STEM} of dtype int8"),
        # A bias where there is a norm too: one of the two would be lost.
        ({"Conv1/bias": np.zeros(32)}, r"0 missing .* 1 surplus \['Conv1/bias'\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named_and_the_backbone_untouched(
    backbone, reference_tensors, changes, message
):
    before = backbone.get_weights()
    tensors = {**reference_tensors, **changes}
    tensors = {key: value for key, value in tensors.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_keras_applications(backbone, tensors)
    for one, other in zip(backbone.get_weights(), before, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (np.zeros(33), r"1 misshapen \['Conv1/bias \(33,\)'\]"),
        (np.zeros(32, "int32"), "received Conv1/bias of dtype int32"),
    ],
)
def test_folded_biases_that_do_not_fit_are_named(
    backbone, reference_tensors, bias, message
):
    tensors = {**folded(reference_tensors), "Conv1/bias": bias}
    with pytest.raises(ValueError, match=message):
        load_keras_applications(backbone, tensors)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (backbones.resnet18, "received resnet18 with norm='frozen_batch'"),
        (
            lambda: backbones.mobilenet_v2(norm="group"),
            "received mobilenet_v2 with norm='group'",
        ),
        (
            lambda: backbones.mobilenet_v2(norm=None),
            "received mobilenet_v2 with norm=None",
        ),
    ],
)
def test_another_backbone_is_refused(make, message, reference_tensors):
    with pytest.raises(ValueError, match=message):
        load_keras_applications(make(), reference_tensors)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 short"])
def test_a_file_that_is_no_archive_is_refused_by_its_name(backbone, tmp_path, content):
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"an .npz file of plain arrays.*damaged.npz"):
        load_keras_applications(backbone, path)


def test_a_file_that_is_absent_is_refused_by_its_name(backbone, tmp_path):
    with pytest.raises(ValueError, match=r"an .npz file of plain arrays.*absent.npz"):
        load_keras_applications(backbone, tmp_path / "absent.npz")


def test_a_file_of_one_array_is_refused_by_its_name(backbone, tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"an .npz file of plain arrays.*one.npy"):
        load_keras_applications(backbone, tmp_path / "one.npy")


def test_a_file_with_python_objects_is_refused_and_runs_nothing(backbone, tmp_path):
    class Trap:
        def __reduce__(self):
            return (pathlib.Path.touch, (tmp_path / "ran",))

    path = tmp_path / "hostile.npz"
    np.savez(path, **{STEM: np.array([Trap()], object)})
    with pytest.raises(ValueError, match=r"plain arrays.*hostile.npz"):
        load_keras_applications(backbone, path)
    assert not (tmp_path / "ran").exists()


def test_real_imagenet_weights_load_and_tell_photographs_apart(data_folder, backbone):
    path = data_folder / "weights" / "mobilenet_v2_imagenet.npz"
    load_keras_applications(backbone, path)
    with np.load(path) as archive:
        kernel, bias = arrays(backbone.get_layer("stem").folded())
        assert_allclose(kernel, archive["Conv1/kernel"].astype("float32"), rtol=1e-6)
        assert_array_equal(bias, archive["Conv1/bias"].astype("float32"))

    def described(photo):
        """Mean of the last map: which features are on the photo."""
        image = photo[None, :224, :224].astype("float32") / 127.5 - 1
        return outputs_of(backbone, image)["C5"].mean((0, 1, 2))

    def likeness(one, other):
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    cat, coffee = data.chelsea(), data.coffee()
    mirrored = likeness(described(cat), described(cat[:224, 223::-1]))
    assert mirrored > 0.9
    assert likeness(described(cat), described(coffee)) < mirrored - 0.2
