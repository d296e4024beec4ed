"""FaPN's parts equal FaPN's own code: outputs and all gradients of small cases."""

import keras
import numpy as np
import pytest
from gradients import loss_and_gradients
from keras import ops
from on_backend import arrays, compiled
from ops.test_deform_conv import named

from keras_fpn.layers import DeformableConvolution, FeatureAlign, FeatureSelection
from keras_fpn.ops import deform_conv

pytestmark = pytest.mark.parity

TOLERANCE = 2e-5  # of the largest value
DEFORM = [
    "conv_groups2",
    "dilation2",
    "far_offsets",
    "groups1",
    "groups2",
    "groups4",
    "groups8",
    "integer_offsets",
    "kernel1",
    "kernel3x1_uneven",
    "no_mask",
    "one_pixel",
    "stride2",
    "zero_offsets",
]


class Case:
    """One recorded case, in our layouts.

    Args:
        stages: the recording.
        name: str, such as "deform/groups8".
    """

    def __init__(self, stages, name):
        self.stages, self.name = stages, name

    def names(self, kind):
        prefix = f"{self.name}/{kind}/"
        return [key[len(prefix) :] for key in self.stages if key.startswith(prefix)]

    def __getitem__(self, key):
        value = self.stages[f"{self.name}/{key}"]
        if value.ndim != 4:
            return value
        is_kernel = key.rsplit("/", 1)[-1].endswith("weight")
        return value.transpose((2, 3, 1, 0) if is_kernel else (0, 2, 3, 1))


@pytest.fixture(scope="module")
def case(request, parity_folder):
    path = parity_folder.parent / "parity_detectron2" / "fapn_modules.npz"
    return Case(np.load(path), request.param)


def cases(*names):
    return pytest.mark.parametrize("case", names, indirect=True)


def assert_close(got, wanted, what):
    got = np.asarray(keras.ops.convert_to_numpy(got))
    assert got.shape == wanted.shape, what
    atol = TOLERANCE * np.abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=atol, err_msg=what)


@cases(*(f"deform/{name}" for name in DEFORM))
def test_the_operator_and_its_gradients_are_equal(case):
    numbers = [int(n) for n in case["stride_pad_dilation_dgroups_groups"]]
    pairs = [tuple(numbers[n : n + 2]) for n in (0, 2, 4)]
    options = named((*pairs, *numbers[6:]))
    order = ["x", "weight", "offset", "mask", "bias"]
    names = [name for name in order if name in case.names("input")]
    variables = {name: keras.Variable(case[f"input/{name}"]) for name in names}

    def outputs(x, weight, offset, mask=None, bias=0.0):
        return deform_conv(x, weight, offset, mask, **options) + bias

    def weighted(upstream):
        values = {name: ops.convert_to_tensor(v) for name, v in variables.items()}
        return {"loss": ops.sum(outputs(**values) * upstream)}

    given = [case[f"input/{name}"] for name in names]
    got = compiled(lambda *x: outputs(**dict(zip(names, x, strict=True))), *given)
    assert_close(got, case["output"], "output")
    _, slopes = loss_and_gradients(
        weighted, list(variables.values()), case["output_grad"]
    )
    for name, slope in zip(names, slopes, strict=True):
        kind = "input_grad"
        if name == "offset" and case.names("input_grad_dcnv2"):
            kind = "input_grad_dcnv2"  # FaPN's own, where they differ
        assert_close(slope, case[f"{kind}/{name}"], name)


def check(case, layer, weights, inputs, zero=()):
    """Compares a layer's outputs and the gradients by its weights and its inputs.

    Args:
        case: `Case`.
        layer: built layer.
        weights: dict of recorded name -> the layer's variable.
        inputs: recorded names of its call arguments, in order.
        zero: names of gradients that are 0 but for rounding errors.
    """
    assert set(weights) == set(case.names("weight"))
    assert {id(v) for v in weights.values()} == {id(v) for v in layer.weights}
    for name, variable in weights.items():
        variable.assign(case[f"weight/{name}"])
    maps = [keras.Variable(case[f"input/{name}"]) for name in inputs]

    def weighted(upstream):
        tensors = [ops.convert_to_tensor(variable) for variable in maps]
        return {"loss": ops.sum(layer(*tensors) * upstream)}

    got = compiled(layer, *map(arrays, maps))
    assert_close(got, case["output"], "output")
    variables = [*weights.values(), *maps]
    _, slopes = loss_and_gradients(weighted, variables, case["output_grad"])
    names = [f"weight_grad/{name}" for name in weights]
    names += [f"input_grad/{name}" for name in inputs]
    for name, slope in zip(names, slopes, strict=True):
        if name in zero:
            assert max(np.abs(x).max() for x in (slope, case[name])) < 1e-4, name
        else:
            assert_close(slope, case[name], name)


@cases("dcn/groups8", "dcn/groups1", "dcn/own_offsets_groups2")
def test_the_deformable_convolution_is_equal(case):
    inputs = [name for name in ("x", "offset_feature") if name in case.names("input")]
    groups = case["weight/conv_offset_mask.bias"].size // 27
    layer = DeformableConvolution(case["output"].shape[-1], 3, groups)
    layer.build(*(case[f"input/{name}"].shape for name in inputs))
    check(case, layer, of_deform(layer), inputs)


def of_deform(layer):
    return {
        "weight": layer.kernel,
        "bias": layer.bias,
        "conv_offset_mask.weight": layer.predict_points.kernel,
        "conv_offset_mask.bias": layer.predict_points.bias,
    }


@cases("fsm/plain", "fsm/gn")
def test_the_feature_selection_is_equal(case):
    norm = "group" if case.name == "fsm/gn" else None
    layer = FeatureSelection(case["output"].shape[-1], norm)
    layer.build(case["input/x"].shape)
    weights = {
        "conv.weight": layer.kernel,
        "conv_atten.weight": layer.gate.kernel,
    }
    if norm:
        weights["conv_atten.norm.weight"] = layer.gate.group_norm.gamma
        weights["conv_atten.norm.bias"] = layer.gate.group_norm.beta
    # A group of one value is normalized to 0, whatever the value.
    zero = ("weight_grad/conv_atten.weight", "weight_grad/conv_atten.norm.weight")
    check(case, layer, weights, ["x"], zero if norm else ())


@keras.saving.register_keras_serializable(package="tests")
class SelectedAndAligned(keras.layers.Layer):
    """FaPN's module of one level: the selection of its map, and the alignment."""

    def build(self, fine_shape, coarser_shape):
        channels = coarser_shape[-1]
        self.selection = FeatureSelection(channels)
        self.selection.build(fine_shape)
        self.alignment = FeatureAlign(channels)
        self.alignment.build((*fine_shape[:-1], channels), coarser_shape)

    def call(self, fine, coarser):
        return self.alignment(self.selection(fine), coarser)


@cases("fam/even", "fam/odd", "fam/other_ratio", "fam/same_size")
def test_selection_and_alignment_are_equal(case):
    layer = SelectedAndAligned()
    inputs = ["feat_l", "feat_s"]
    layer.build(*(case[f"input/{name}"].shape for name in inputs))
    weights = {
        "lateral_conv.conv.weight": layer.selection.kernel,
        "lateral_conv.conv_atten.weight": layer.selection.gate.kernel,
        "offset.weight": layer.alignment.compare.kernel,
    }
    for name, variable in of_deform(layer.alignment.deform).items():
        weights[f"dcpack_L2.{name}"] = variable
    check(case, layer, weights, inputs)


def test_every_recorded_case_is_compared(parity_folder):
    path = parity_folder.parent / "parity_detectron2" / "fapn_modules.npz"
    recorded = {key.rsplit("/", 1)[0] for key in np.load(path)}
    recorded = {"/".join(name.split("/")[:2]) for name in recorded}
    compared = {f"deform/{name}" for name in DEFORM}
    compared |= {"dcn/groups8", "dcn/groups1", "dcn/own_offsets_groups2"}
    compared |= {"fsm/plain", "fsm/gn"}
    compared |= {f"fam/{name}" for name in ("even", "odd", "other_ratio", "same_size")}
    assert recorded == compared
