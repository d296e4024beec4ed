"""Models of keras.applications as backbones: their maps, pixels, and names."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

import keras_fpn
from keras_fpn import backbones
from keras_fpn.backbones.applications import application_names
from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.layers import FeaturePyramid, NormalizePixels
from keras_fpn.models import retinanet_fpn

# A small model of each family that has maps of strides 4 to 32, and their channels.
CHANNELS = {
    "MobileNet": (128, 256, 512, 1024),
    "VGG16": (256, 512, 512, 512),
}
MORE_CHANNELS = {
    "ConvNeXtTiny": (96, 192, 384, 768),
    "DenseNet121": (128, 256, 512, 1024),
    "EfficientNetB0": (144, 240, 672, 1280),
    "EfficientNetV2B0": (32, 192, 672, 1280),
    "MobileNetV2": (144, 192, 576, 1280),
    "MobileNetV3Small": (72, 96, 288, 576),
    "ResNet50": (256, 512, 1024, 2048),
    "ResNet50V2": (64, 128, 256, 2048),
}
LEVELS = ("C2", "C3", "C4", "C5")


def every(some, more):
    return [*some, *(pytest.param(name, marks=pytest.mark.ci) for name in more)]


@pytest.mark.parametrize("name", every(CHANNELS, MORE_CHANNELS))
def test_the_last_map_of_each_stride_is_a_level(name):
    backbone = backbones.from_applications(name)
    channels = {**CHANNELS, **MORE_CHANNELS}[name]
    shapes = backbone.compute_output_shape((2, 128, 96, 3))
    assert shapes == {
        level: (2, 128 // stride, 96 // stride, depth)
        for level, stride, depth in zip(LEVELS, (4, 8, 16, 32), channels, strict=True)
    }
    assert backbone.name == f"applications_{name}"


def preprocessed(name, pixels):
    """Pixels as the family's own `preprocess_input` makes them, before the model."""
    module = getattr(keras.applications, name).__module__.rsplit(".", 1)[1]
    family = getattr(keras.applications, module)
    return family.preprocess_input(pixels.copy())


@pytest.mark.parametrize("name", every(CHANNELS, MORE_CHANNELS))
def test_maps_equal_those_of_the_model_with_its_own_preprocessing(name, monkeypatch):
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    net = build(include_top=False, weights=None, input_shape=(64, 64, 3))
    adapt_like_imagenet(net)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    expected = outputs_of(net, preprocessed(name, pixels))
    backbone = as_if_pretrained(name, net, monkeypatch)
    normalize = NormalizePixels(*pixel_mean_and_std(backbone))
    sizes = np.full((1, 2), 64, "float32")
    got = outputs_of(backbone, np.asarray(normalize(pixels, sizes)))["C5"]
    scale = np.abs(expected).max()
    assert scale > 0
    assert_allclose(got, expected, atol=2e-4 * scale)


def adapt_like_imagenet(net):
    """Gives EfficientNet's own normalization what its ImageNet weights have."""
    layers = [
        each for each in net.layers if isinstance(each, keras.layers.Normalization)
    ]
    for layer in layers:
        if layer.weights:
            layer.adapt_mean.assign([0.485, 0.456, 0.406])
            layer.adapt_variance.assign(np.square([0.229, 0.224, 0.225]))
            layer.finalize_state()


def as_if_pretrained(name, net, monkeypatch):
    """Returns the backbone with the weights of `net` in the place of ImageNet's."""
    build = getattr(keras.applications, name)

    def with_weights(weights, **arguments):
        assert weights == "imagenet"
        other = build(weights=None, **arguments)
        other.set_weights(net.get_weights())
        return other

    monkeypatch.setattr(keras.applications, name, with_weights)
    return backbones.from_applications(name, weights="imagenet")


@pytest.mark.ci
def test_a_level_of_convnext_is_the_sum_with_its_shortcut():
    backbone = backbones.from_applications("ConvNeXtTiny")
    for level in ("C2", "C3", "C4"):
        operation = backbone.output[level]._keras_history.operation
        assert not isinstance(operation, keras.layers.Layer)
        assert len(operation._inbound_nodes[-1].input_tensors) == 2


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("MobileNet", 0.5),
        # Its graph begins after its own normalization; that of ConvNeXt has sums that
        # are no layers.
        pytest.param("EfficientNetB0", 0.485, marks=pytest.mark.ci),
        pytest.param("ConvNeXtTiny", 0.485, marks=pytest.mark.ci),
    ],
)
def test_a_detector_on_one_is_saved_with_its_pixels_and_loaded(name, mean, tmp_path):
    model = retinanet_fpn(
        backbones.from_applications(name),
        neck=FeaturePyramid(8, name="neck"),
        num_classes=2,
    )
    assert model.preprocessing.mean[0] == mean
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.backbone.name == f"applications_{name}"
    assert loaded.preprocessing == model.preprocessing
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype="uint8")
    inputs, _ = model.preprocessing.prepare([photo], min_size=64)
    for one, two in zip(model(inputs).values(), loaded(inputs).values(), strict=True):
        assert_array_equal(np.asarray(one), np.asarray(two))


def test_every_model_has_pixels_of_its_family():
    known = keras_fpn.backbones.pixels
    for name in application_names():
        assert known.of_application(known.APPLICATION + name) is not None, name


@pytest.mark.parametrize(
    ("name", "mean", "reversed_"),
    [
        ("DenseNet121", 0.485, False),
        ("EfficientNetV2B0", 0.485, False),
        ("EfficientNetV2S", 128 / 255, False),
        ("ResNet50V2", 0.5, False),
        ("ResNet50", 123.68 / 255, True),
        ("VGG16", 123.68 / 255, True),
    ],
)
def test_pixels_are_those_of_the_family(name, mean, reversed_):
    own_name = f"applications_{name}"
    images = keras.Input((None, None, 3))
    [red, *_], _ = pixel_mean_and_std(keras.Model(images, images, name=own_name))
    assert red == mean
    assert keras_fpn.backbones.pixels.channels_are_reversed(own_name) == reversed_


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EfficientnetV2B0", "name='EfficientnetV2B0'.*Near names.*'EfficientNetV2B0'"),
        ("layers", "name='layers'"),
        ("preprocess_input", "name='preprocess_input'"),
        (None, "name=None"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name, message):
    with pytest.raises(ValueError, match=message):
        backbones.from_applications(name)


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="weights='coco'"):
        backbones.from_applications("MobileNet", weights="coco")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("Xception", r"sides \[127, 125, 63, 32, .* none for \['C2'\]"),
        pytest.param("InceptionV3", r"none for \['C2',", marks=pytest.mark.ci),
        pytest.param("NASNetMobile", "images of any size", marks=pytest.mark.ci),
    ],
)
def test_models_without_such_maps_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        backbones.from_applications(name)


def test_it_is_no_backbone_that_a_builder_takes_by_name():
    assert "from_applications" not in backbones.NAMES
    with pytest.raises(ValueError, match="backbone='from_applications'"):
        retinanet_fpn("from_applications", num_classes=2)
