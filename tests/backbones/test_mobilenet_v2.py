import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from on_backend import outputs_of

from keras_fpn import backbones
from keras_fpn.layers import ConvNorm, DepthwiseConvNorm
from keras_fpn.weights import load_keras_applications

# Where keras.applications has the last map of each stride.
COUNTERPARTS = {
    "C2": "block_2_add",
    "C3": "block_5_add",
    "C4": "block_12_add",
    "C5": "block_16_project_BN",
}


@pytest.fixture(scope="module")
def reference():
    """keras.applications' graph with random weights, statistics among them."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2((64, 96, 3), include_top=False, weights=None)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(generator.uniform(0.5, 1.5, shape))
            layer.beta.assign(0.3 * generator.normal(size=shape))
            layer.moving_mean.assign(0.3 * generator.normal(size=shape))
            layer.moving_variance.assign(generator.uniform(0.5, 1.5, shape))
    return model


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, ConvNorm)]


@pytest.mark.parametrize("norm", ["frozen_batch", "batch"])
def test_maps_equal_keras_applications_with_the_same_weights(reference, norm):
    backbone = backbones.mobilenet_v2(norm=norm)
    load_keras_applications(backbone, reference)
    images = np.random.default_rng(1).uniform(-1, 1, (2, 64, 96, 3)).astype("float32")
    tapped = {name: reference.get_layer(at).output for name, at in COUNTERPARTS.items()}
    expected = outputs_of(keras.Model(reference.input, tapped), images)
    got = outputs_of(backbone, images)
    assert set(got) == set(COUNTERPARTS)
    for name, value in expected.items():
        deviation = value.std()
        assert deviation > 0.1, name
        assert_allclose(got[name], value, atol=1e-4 * deviation, rtol=1e-4)


def test_maps_have_strides_4_to_32():
    backbone = backbones.mobilenet_v2()
    shapes = backbone.compute_output_shape((2, 224, 160, 3))
    assert shapes == {
        "C2": (2, 56, 40, 24),
        "C3": (2, 28, 20, 32),
        "C4": (2, 14, 10, 96),
        "C5": (2, 7, 5, 320),
    }
    assert backbone.output["C5"].shape == (None, None, None, 320)


def test_odd_sizes_are_halved_upwards():
    backbone = backbones.mobilenet_v2()
    images = np.random.default_rng(0).normal(size=(1, 65, 50, 3)).astype("float32")
    got = {name: value.shape for name, value in outputs_of(backbone, images).items()}
    assert got == {
        "C2": (1, 17, 13, 24),
        "C3": (1, 9, 7, 32),
        "C4": (1, 5, 4, 96),
        "C5": (1, 3, 2, 320),
    }


def test_parameters_are_keras_applications_without_its_last_convolution(reference):
    backbone = backbones.mobilenet_v2(norm="batch")
    last = ("Conv_1", "Conv_1_bn")
    beyond = sum(reference.get_layer(name).count_params() for name in last)
    assert beyond == 320 * 1280 + 4 * 1280
    assert backbone.count_params() == reference.count_params() - beyond
    # With frozen norms as many in all, but only kernels are trained.
    frozen = backbones.mobilenet_v2()
    assert frozen.count_params() == backbone.count_params()
    assert {v.name for v in frozen.trainable_variables} == {"kernel"}


def test_layers_are_named_by_block():
    names = [layer.name for layer in backbones.mobilenet_v2().layers]
    assert names[:5] == [
        "images",
        "stem",
        "block0_depthwise",  # the first block does not expand
        "block0_project",
        "block1_expand",
    ]
    added = [name for name in names if name.endswith("_add")]
    # The first block of a stage changes stride or channels.
    numbers = [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
    assert added == [f"block{number}_add" for number in numbers]


def test_blocks_that_halve_are_1_3_6_and_13():
    backbone = backbones.mobilenet_v2()
    strided = [c.name for c in convolutions(backbone) if c.strides == 2]
    assert strided == ["stem", *(f"block{k}_depthwise" for k in (1, 3, 6, 13))]
    depthwise = [c for c in convolutions(backbone) if isinstance(c, DepthwiseConvNorm)]
    assert len(depthwise) == 17


def test_group_norm_has_no_statistics():
    backbone = backbones.mobilenet_v2(norm="group", epsilon=1e-5)
    assert backbone.non_trainable_variables == []
    assert {(c.norm, c.epsilon) for c in convolutions(backbone)} == {("group", 1e-5)}
