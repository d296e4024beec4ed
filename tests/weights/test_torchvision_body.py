import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays
from weights.torchvision_tensors import mobilenet_v3_large, numbered, resnet

from keras_fpn import backbones
from keras_fpn.weights.torchvision import load_torchvision_body

CLASSIFIER = {"fc.weight": np.zeros((1000, 8)), "fc.bias": np.zeros(1000)}


def assert_from(layer, tensors, conv, norm):
    """The layer's variables are full of the numbers of their tensors."""
    pairs = {"kernel": f"{conv}.weight"}
    if norm is None:
        pairs["bias"] = f"{conv}.bias"
    else:
        ours = ("gamma", "beta", "moving_mean", "moving_variance")
        theirs = ("weight", "bias", "running_mean", "running_var")
        pairs.update((a, f"{norm}.{b}") for a, b in zip(ours, theirs, strict=True))
    for name, key in pairs.items():
        values = arrays(getattr(layer, name))
        assert_array_equal(np.unique(values), np.unique(tensors[key]), err_msg=key)


@pytest.mark.parametrize(
    ("name", "depths", "bottleneck"),
    [("resnet18", (2, 2, 2, 2), False), ("resnet50", (3, 4, 6, 3), True)],
)
def test_a_resnet_takes_exactly_torchvisions_tensors(name, depths, bottleneck):
    backbone = getattr(backbones, name)()
    tensors = numbered(resnet(depths, bottleneck))
    load_torchvision_body(backbone, {**tensors, **CLASSIFIER})
    for layer, conv, norm in [
        ("stem", "conv1", "bn1"),
        ("C2_block2_conv1", "layer1.1.conv1", "layer1.1.bn1"),
        ("C3_block1_conv2", "layer2.0.conv2", "layer2.0.bn2"),
        ("C4_block1_shortcut", "layer3.0.downsample.0", "layer3.0.downsample.1"),
        ("C5_block2_conv2", "layer4.1.conv2", "layer4.1.bn2"),
    ]:
        assert_from(backbone.get_layer(layer), tensors, conv, norm)
    numbers = {float(arrays(v).flat[0]) for v in backbone.weights}
    assert numbers == set(range(1, len(tensors) + 1))  # each tensor has one variable


def test_a_mobilenet_takes_exactly_torchvisions_tensors():
    backbone = backbones.mobilenet_v3_large()
    tensors = numbered(mobilenet_v3_large(), "features.")
    assert len(tensors) == 262  # 46 convolutions with norms, 16 in excitations
    classifier = {f"classifier.{n}.weight": np.zeros((4, 4)) for n in (0, 3)}
    load_torchvision_body(backbone, {**tensors, **classifier})
    for layer, place in [
        ("stem", "0"),
        ("block1_depthwise", "1.block.0"),  # it does not expand
        ("block1_project", "1.block.1"),
        ("block2_expand", "2.block.0"),
        ("block2_project", "2.block.2"),
        ("block4_depthwise", "4.block.1"),
        ("block4_project", "4.block.3"),
        ("block15_project", "15.block.3"),
        ("last", "16"),
    ]:
        place = f"features.{place}"
        assert_from(backbone.get_layer(layer), tensors, f"{place}.0", f"{place}.1")
    for layer, key in [
        ("block4_excite_squeeze", "features.4.block.2.fc1"),
        ("block13_excite_gate", "features.13.block.2.fc2"),
    ]:
        assert_from(backbone.get_layer(layer), tensors, key, None)
    numbers = {float(arrays(v).flat[0]) for v in backbone.weights}
    assert numbers == set(range(1, 263))


def test_another_depth_is_refused_and_the_backbone_untouched():
    backbone = backbones.resnet18()
    before = backbone.get_weights()
    tensors = numbered(resnet((3, 4, 6, 3), False))
    with pytest.raises(ValueError, match=r"0 missing \[\] and 80 surplus \['layer1.2"):
        load_torchvision_body(backbone, tensors)
    for one, other in zip(backbone.get_weights(), before, strict=True):
        assert_array_equal(one, other)


def test_group_norms_have_no_statistics_to_load():
    backbone = backbones.resnet18(norm="group")
    tensors = numbered(resnet((2, 2, 2, 2), False))
    with pytest.raises(ValueError, match=r"0 missing .* 40 surplus .*running_mean"):
        load_torchvision_body(backbone, tensors)


def test_a_backbone_that_torchvision_does_not_have_is_refused():
    images = keras.Input((None, None, 3))
    backbone = keras.Model(images, {"C2": images}, name="mobilenet_v2")
    with pytest.raises(ValueError, match="received a backbone named 'mobilenet_v2'"):
        load_torchvision_body(backbone, {})
