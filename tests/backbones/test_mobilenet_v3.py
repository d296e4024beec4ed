import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from on_backend import arrays, outputs_of

from keras_fpn import backbones
from keras_fpn.backbones.inverted_residual import rounded_channels
from keras_fpn.layers import ConvNorm, DepthwiseConvNorm


@pytest.fixture(scope="module")
def backbone():
    return backbones.mobilenet_v3_large(norm="batch")


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, ConvNorm)]


def test_parameters_are_the_classifiers_without_its_two_last_layers(backbone):
    # torchvision's mobilenet_v3_large has 5,483,032.
    classifier = (960 + 1) * 1280 + (1280 + 1) * 1000
    trained = sum(int(np.prod(v.shape)) for v in backbone.trainable_variables)
    assert trained == 5_483_032 - classifier


def test_parameters_in_the_detector_are_those_of_its_kernels():
    # torchvision's Faster R-CNN has 19,386,354 parameters, frozen norms not counted.
    pyramid = (160 + 960 + 2) * 256 + 2 * (9 * 256 + 1) * 256
    rpn = (9 * 256 + 1) * 256 + (256 + 1) * 15 + (256 + 1) * 60
    box_head = (7 * 7 * 256 + 1) * 1024 + (1024 + 1) * 1024
    predictor = (1024 + 1) * 91 + (1024 + 1) * 364
    model = backbones.mobilenet_v3_large()
    trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trained == 19_386_354 - pyramid - rpn - box_head - predictor


def test_both_maps_have_stride_32(backbone):
    shapes = backbone.compute_output_shape((2, 320, 224, 3))
    assert shapes == {"C5": (2, 10, 7, 160), "C6": (2, 10, 7, 960)}
    assert backbone.output["C6"].shape == (None, None, None, 960)


def test_maps_are_those_of_the_first_block_of_the_last_stage_and_the_last_layer(
    backbone,
):
    assert backbone.output["C5"] is backbone.get_layer("block13_project").output
    assert backbone.output["C6"] is backbone.get_layer("last").output


def test_six_blocks_have_relus_and_the_rest_hard_swishes(backbone):
    hard_swish = keras.activations.get("hard_swish")
    for role in ("expand", "depthwise"):
        layers = [c for c in convolutions(backbone) if c.name.endswith(role)]
        numbers = [int(c.name.removeprefix("block").split("_")[0]) for c in layers]
        expected = [keras.activations.relu if n <= 6 else hard_swish for n in numbers]
        assert [c.activation for c in layers] == expected
    for name in ("stem", "last"):
        assert backbone.get_layer(name).activation is hard_swish
    projections = [c for c in convolutions(backbone) if c.name.endswith("project")]
    assert {c.activation for c in projections} == {keras.activations.linear}


def test_odd_sizes_are_halved_upwards(backbone):
    images = np.random.default_rng(0).normal(size=(1, 65, 50, 3)).astype("float32")
    got = {name: value.shape for name, value in outputs_of(backbone, images).items()}
    assert got == {"C5": (1, 3, 2, 160), "C6": (1, 3, 2, 960)}


def test_blocks_that_halve_are_2_4_7_and_13(backbone):
    strided = [c.name for c in convolutions(backbone) if c.strides == 2]
    blocks = [f"block{number}_depthwise" for number in (2, 4, 7, 13)]
    assert strided == ["stem", *blocks]


def test_depthwise_kernels_are_those_of_the_papers_table(backbone):
    sizes = [
        c.kernel_size
        for c in convolutions(backbone)
        if isinstance(c, DepthwiseConvNorm)
    ]
    assert sizes == [3, 3, 3, 5, 5, 5, 3, 3, 3, 3, 3, 3, 5, 5, 5]


def test_eight_blocks_excite_with_a_quarter_of_their_channels(backbone):
    squeezed = {
        c.name: c.filters for c in convolutions(backbone) if c.name.endswith("squeeze")
    }
    # 72, 120, 120, 480, 672, 672, 960, 960 channels by 4, to the nearest multiple of 8.
    assert list(squeezed.values()) == [24, 32, 32, 120, 168, 168, 240, 240]
    numbers = [4, 5, 6, 11, 12, 13, 14, 15]
    assert list(squeezed) == [f"block{number}_excite_squeeze" for number in numbers]


def test_excitation_has_biases_and_no_norm(backbone):
    names = ("squeeze", "gate")
    norms = {c.norm for c in convolutions(backbone) if c.name.endswith(names)}
    assert norms == {None}


def test_excitation_multiplies_each_channel_by_what_their_means_say():
    model = backbones.mobilenet_v3_large()
    squeeze = model.get_layer("block4_excite_squeeze")
    gate = model.get_layer("block4_excite_gate")
    generator = np.random.default_rng(0)
    for variable in (*squeeze.weights, *gate.weights):
        variable.assign(generator.normal(size=variable.shape))
    ends = ("block4_depthwise", "block4_excite_multiply")
    part = keras.Model(model.input, [model.get_layer(name).output for name in ends])
    images = 10 * generator.normal(size=(2, 32, 48, 3)).astype("float32")
    features, excited = outputs_of(part, images)
    means = features.mean((1, 2))
    hidden = means @ arrays(squeeze.kernel)[0, 0] + arrays(squeeze.bias)
    logits = np.maximum(hidden, 0) @ arrays(gate.kernel)[0, 0] + arrays(gate.bias)
    scales = np.clip(logits / 6 + 0.5, 0, 1)  # the hard sigmoid
    assert np.unique(scales).size > 10
    expected = features * scales[:, None, None]
    assert_allclose(excited, expected, rtol=1e-3, atol=1e-4 * expected.max())


@pytest.mark.parametrize(
    ("channels", "rounded"),
    # 18 / 8 = 2.25 -> 16, but that is below 90 % of 18: 24. 12 is rounded up.
    [(18, 24), (30, 32), (120, 120), (4, 8), (12, 16), (17.7, 16), (168, 168)],
)
def test_channels_are_rounded_to_eights_but_never_by_a_tenth(channels, rounded):
    assert rounded_channels(channels) == rounded


def test_group_norm_has_no_statistics():
    model = backbones.mobilenet_v3_large(norm="group", epsilon=1e-3)
    assert model.non_trainable_variables == []
    assert {c.epsilon for c in convolutions(model) if c.norm} == {1e-3}
