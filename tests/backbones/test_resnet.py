import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn import backbones
from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.layers import ConvNorm

# Parameters of torchvision's classifiers, batch norms' scales and shifts among them,
# as torchvision publishes them; blocks per stage; channels before the classifier.
PUBLISHED = {
    "resnet18": (11_689_512, (2, 2, 2, 2), 512),
    "resnet34": (21_797_672, (3, 4, 6, 3), 512),
    "resnet50": (25_557_032, (3, 4, 6, 3), 2048),
    "resnet101": (44_549_160, (3, 4, 23, 3), 2048),
    "resnet152": (60_192_808, (3, 8, 36, 3), 2048),
}
CLASSES = 1000


@pytest.fixture(scope="module")
def small():
    return backbones.resnet18()


@pytest.fixture(scope="module")
def deep():
    return backbones.resnet50(norm="batch")


def trained(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, ConvNorm)]


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34",
        "resnet50",
        pytest.param("resnet101", marks=pytest.mark.ci),
        pytest.param("resnet152", marks=pytest.mark.ci),
    ],
)
def test_live_norms_give_the_classifiers_parameters_without_its_last_layer(name):
    published, depths, channels = PUBLISHED[name]
    model = getattr(backbones, name)(norm="batch")
    assert trained(model) == published - (channels + 1) * CLASSES
    assert model.name == name
    blocks = [layer.name for layer in model.layers if layer.name.endswith("_out")]
    assert [sum(b.startswith(f"C{k}") for b in blocks) for k in (2, 3, 4, 5)] == list(
        depths
    )


def test_frozen_norms_train_the_kernels_alone():
    model = backbones.resnet50(norm="frozen_batch")
    # torchvision's Faster R-CNN has 41,755,286 parameters, frozen norms not counted.
    # What does not belong to its ResNet-50, weights and biases:
    pyramid = (256 + 512 + 1024 + 2048) * 256 + 4 * 256 + 4 * (9 * 256 + 1) * 256
    rpn = (9 * 256 + 1) * 256 + (256 + 1) * 3 + (256 + 1) * 12
    box_head = (7 * 7 * 256 + 1) * 1024 + (1024 + 1) * 1024
    predictor = (1024 + 1) * 91 + (1024 + 1) * 364
    assert trained(model) == 41_755_286 - pyramid - rpn - box_head - predictor


def test_group_norm_has_as_many_parameters_and_no_statistics(deep):
    model = backbones.resnet50(norm="group")
    assert trained(model) == trained(deep)
    assert model.non_trainable_variables == []


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", (64, 128, 256, 512)), ("resnet50", (256, 512, 1024, 2048))],
)
def test_maps_have_strides_4_to_32(name, channels):
    model = getattr(backbones, name)()
    shapes = model.compute_output_shape((2, 224, 160, 3))
    assert shapes == {
        f"C{level}": (2, 224 // 2**level, 160 // 2**level, depth)
        for level, depth in zip((2, 3, 4, 5), channels, strict=True)
    }
    assert model.output["C5"].shape == (None, None, None, channels[-1])


def test_odd_sizes_are_halved_upwards_as_computed_beforehand(small):
    images = np.random.default_rng(0).normal(size=(1, 65, 50, 3)).astype("float32")
    got = {name: value.shape for name, value in outputs_of(small, images).items()}
    # 65 -> 33 -> 17 -> 9 -> 5 -> 3 and 50 -> 25 -> 13 -> 7 -> 4 -> 2.
    assert got == {
        "C2": (1, 17, 13, 64),
        "C3": (1, 9, 7, 128),
        "C4": (1, 5, 4, 256),
        "C5": (1, 3, 2, 512),
    }
    assert small.compute_output_shape((1, 65, 50, 3)) == got


def test_a_bottlenecks_stride_is_in_its_three_by_three_convolution(deep):
    strided = {c.name: c.kernel_size for c in convolutions(deep) if c.strides == 2}
    assert strided == {
        "stem": 7,
        **{f"C{level}_block1_conv2": 3 for level in (3, 4, 5)},
        **{f"C{level}_block1_shortcut": 1 for level in (3, 4, 5)},
    }


def test_layers_are_named_by_level_and_block(small, deep):
    assert [layer.name for layer in small.layers][:10] == [
        "images",
        "stem",
        "stem_padding",
        "stem_pooling",
        "C2_block1_conv1",
        "C2_block1_conv2",
        "C2_block1_add",
        "C2_block1_out",
        "C2_block2_conv1",
        "C2_block2_conv2",
    ]
    names = {layer.name for layer in deep.layers}
    assert {"C2_block1_shortcut", "C2_block3_conv3", "C5_block3_out"} <= names


def test_a_basic_block_needs_a_shortcut_only_where_channels_change(small):
    shortcuts = [c.name for c in convolutions(small) if "shortcut" in c.name]
    assert shortcuts == [f"C{level}_block1_shortcut" for level in (3, 4, 5)]


def test_relu_stands_between_convolutions_and_behind_the_sum(small, deep):
    for model, last in [(small, "conv2"), (deep, "conv3")]:
        bare = keras.activations.linear
        linear = {c.name for c in convolutions(model) if c.activation is bare}
        ends = {c.name for c in convolutions(model) if c.name.endswith(last)}
        shortcuts = {c.name for c in convolutions(model) if "shortcut" in c.name}
        assert linear == ends | shortcuts


def test_with_empty_residuals_the_first_stage_is_the_pooled_stem():
    keras.utils.set_random_seed(0)
    model = backbones.resnet18()
    for number in (1, 2):
        model.get_layer(f"C2_block{number}_conv2").gamma.assign(np.zeros(64))
    images = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32")
    stem = outputs_of(model.get_layer("stem"), images)
    assert stem.shape == (1, 8, 8, 64)
    padded = np.pad(stem, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    # The largest of 3 x 3 cells at every second one.
    pooled = np.max(
        [padded[:, y : y + 7 : 2, x : x + 7 : 2] for y in range(3) for x in range(3)],
        axis=0,
    )
    got = outputs_of(model, images)["C2"]
    assert_allclose(got, pooled, rtol=1e-5, atol=1e-5)


def test_the_chosen_norm_and_epsilon_reach_every_convolution():
    for norm, epsilon in [("group", 1e-3), ("frozen_batch", 0.0)]:
        model = backbones.resnet18(norm=norm, epsilon=epsilon)
        found = {(c.norm, c.epsilon) for c in convolutions(model)}
        assert found == {(norm, epsilon)}


def test_images_of_a_batch_do_not_see_each_other_under_group_norm():
    keras.utils.set_random_seed(0)
    model = backbones.resnet18(norm="group")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    together = outputs_of(model, images)
    alone = outputs_of(model, np.repeat(images[1:], 2, axis=0))
    for name in together:
        assert_allclose(together[name][1], alone[name][1], rtol=1e-3, atol=1e-3)


def test_saved_and_loaded_it_is_the_same(small, tmp_path):
    small.save(tmp_path / "backbone.keras")
    loaded = keras.models.load_model(tmp_path / "backbone.keras")
    assert loaded.name == "resnet18"
    for one, other in zip(loaded.weights, small.weights, strict=True):
        assert one.path == other.path
        assert_array_equal(arrays(one), arrays(other))


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="received norm='instance'"):
        backbones.resnet18(norm="instance")


def test_msra_bodies_stride_in_the_first_convolution_of_a_block():
    msra, usual = backbones.msra_resnet50(), backbones.resnet50()
    halving = {
        model.name: {one.name for one in convolutions(model) if one.strides == 2}
        for model in (msra, usual)
    }
    blocks = [f"C{level}_block1" for level in (3, 4, 5)]
    shortcuts = {f"{block}_shortcut" for block in blocks}
    assert set(halving["msra_resnet50"]) == {
        "stem",
        *shortcuts,
        *(f"{block}_conv1" for block in blocks),
    }
    assert set(halving["resnet50"]) == {
        "stem",
        *shortcuts,
        *(f"{block}_conv2" for block in blocks),
    }
    assert trained(msra) == trained(usual)
    image = np.zeros((1, 64, 96, 3), "float32")
    shapes = {name: value.shape for name, value in outputs_of(msra, image).items()}
    assert shapes["C5"] == (1, 2, 3, 2048)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("msra_resnet50", 16), pytest.param("msra_resnet101", 33, marks=pytest.mark.ci)],
)
def test_msra_bodies_expect_pixels_with_a_deviation_of_1(name, blocks):
    model = getattr(backbones, name)()
    assert model.name == name
    assert sum(layer.name.endswith("_out") for layer in model.layers) == blocks
    mean, std = pixel_mean_and_std(model)
    assert_allclose(np.array(mean) * 255, (123.675, 116.28, 103.53))
    assert std == (1 / 255,) * 3


def test_msra_bodies_take_no_weights_of_torchvision():
    with pytest.raises(ValueError, match="received name='msra_resnet50_imagenet_v1'"):
        backbones.msra_resnet50(weights="imagenet")
