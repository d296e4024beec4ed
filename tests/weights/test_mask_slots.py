"""Which tensor of a mask head goes where, of torchvision and of detectron2."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of
from weights import test_detectron2, test_torchvision
from weights.torchvision_tensors import affine, conv_norm, random

from keras_fpn.layers import FCNMaskHead, MaskPredictor
from keras_fpn.models import mask_rcnn_fpn
from keras_fpn.weights import load_detectron2, load_torchvision
from keras_fpn.weights.mask_slots import torchvision_mask_slots
from keras_fpn.weights.tensor_names import current_names

CHANNELS, WIDTH, DEPTH, CLASSES = 4, 5, 6, 3
TORCHVISION, DETECTRON2 = "roi_heads.mask_predictor", "roi_heads.mask_head"


def tiny_mask_model(like, num_classes=CLASSES, norm=None):
    """A Mask R-CNN with the parts of a tiny Faster R-CNN."""
    parts = like(num_classes).parts.by_name()
    return mask_rcnn_fpn(
        num_classes=num_classes,
        **parts,
        mask_head=FCNMaskHead(2, WIDTH, norm, name="mask_head"),
        mask_predictor=MaskPredictor(num_classes, DEPTH, name="mask_predictor"),
    )


def torchvision_entries(norm=False):
    shapes = [(WIDTH, CHANNELS, 3, 3), (WIDTH, WIDTH, 3, 3)]
    for number, shape in enumerate(shapes):
        place = f"roi_heads.mask_head.{number}"
        if norm:
            yield from conv_norm(f"{place}.0", f"{place}.1", shape)
        else:
            yield from affine(f"{place}.0", shape)
    yield f"{TORCHVISION}.conv5_mask.weight", (WIDTH, DEPTH, 2, 2)  # in, out
    yield f"{TORCHVISION}.conv5_mask.bias", (DEPTH,)
    yield from affine(f"{TORCHVISION}.mask_fcn_logits", (CLASSES + 1, DEPTH, 1, 1))


def detectron2_entries():
    yield from affine(f"{DETECTRON2}.mask_fcn1", (WIDTH, CHANNELS, 3, 3))
    yield from affine(f"{DETECTRON2}.mask_fcn2", (WIDTH, WIDTH, 3, 3))
    yield f"{DETECTRON2}.deconv.weight", (WIDTH, DEPTH, 2, 2)
    yield f"{DETECTRON2}.deconv.bias", (DEPTH,)
    yield from affine(f"{DETECTRON2}.predictor", (CLASSES, DEPTH, 1, 1))


@pytest.fixture(scope="module")
def tensors():
    return random([*test_torchvision.first_entries(), *torchvision_entries()])


def kernel(tensor):
    return tensor.transpose(2, 3, 1, 0)


def test_torchvisions_tensors_go_where_their_names_say(tensors):
    model = tiny_mask_model(test_torchvision.tiny_model)
    load_torchvision(model, tensors)
    for number, layer in enumerate(model.mask_head.convolutions):
        key = f"roi_heads.mask_head.{number}.0"
        assert_array_equal(arrays(layer.kernel), kernel(tensors[f"{key}.weight"]))
        assert_array_equal(arrays(layer.bias), tensors[f"{key}.bias"])
    predictor = model.mask_predictor
    logits = tensors[f"{TORCHVISION}.mask_fcn_logits.weight"]
    assert_array_equal(arrays(predictor.mask_logits.kernel), kernel(logits[1:]))
    bias = tensors[f"{TORCHVISION}.mask_fcn_logits.bias"][1:]  # 0 is the background
    assert_array_equal(arrays(predictor.mask_logits.bias), bias)


def test_a_transposed_kernel_spreads_as_torchs_does(tensors):
    """Output (2 y + a, 2 x + b, out) is the sum of inputs times (in, out, a, b)."""
    model = tiny_mask_model(test_torchvision.tiny_model)
    load_torchvision(model, tensors)
    maps = np.random.default_rng(0).normal(size=(1, 2, 3, WIDTH)).astype("float32")
    weight = tensors[f"{TORCHVISION}.conv5_mask.weight"]
    expected = np.zeros((1, 4, 6, DEPTH))
    for y, x, a, b in np.ndindex(2, 3, 2, 2):
        expected[0, 2 * y + a, 2 * x + b] = maps[0, y, x] @ weight[:, :, a, b]
    expected += tensors[f"{TORCHVISION}.conv5_mask.bias"]
    got = outputs_of(model.mask_predictor.upsample, maps)
    assert_allclose(got, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)
    assert (expected > 0).mean() > 0.2


def test_norms_have_their_places():
    model = tiny_mask_model(test_torchvision.tiny_model, norm="batch")
    entries = [*test_torchvision.first_entries(), *torchvision_entries(norm=True)]
    tensors = random(entries)
    load_torchvision(model, tensors)
    mean = tensors["roi_heads.mask_head.1.1.running_mean"]
    assert_array_equal(arrays(model.mask_head.convolutions[1].moving_mean), mean)


def test_old_names_mean_the_same(tensors):
    old = {
        key.replace("mask_head.0.0.", "mask_head.mask_fcn1.").replace(
            "mask_head.1.0.", "mask_head.mask_fcn2."
        ): tensor
        for key, tensor in tensors.items()
    }
    assert set(old) != set(tensors)
    assert set(current_names(old)) == set(tensors)
    model = tiny_mask_model(test_torchvision.tiny_model)
    load_torchvision(model, old)
    first = kernel(tensors["roi_heads.mask_head.0.0.weight"])
    assert_array_equal(arrays(model.mask_head.convolutions[0].kernel), first)


def test_detectron2s_tensors_go_where_their_names_say():
    entries = [*test_detectron2.entries(), *test_detectron2.head_entries()]
    tensors = random([*entries, *detectron2_entries()])
    model = tiny_mask_model(test_detectron2.tiny_faster_rcnn)
    load_detectron2(model, tensors)
    second = model.mask_head.convolutions[1]
    weight = tensors[f"{DETECTRON2}.mask_fcn2.weight"]
    assert_array_equal(arrays(second.kernel), kernel(weight))
    predictor = model.mask_predictor
    weight = tensors[f"{DETECTRON2}.deconv.weight"]
    assert_array_equal(arrays(predictor.upsample.kernel), kernel(weight))
    weight = tensors[f"{DETECTRON2}.predictor.weight"]
    assert_array_equal(arrays(predictor.mask_logits.kernel), kernel(weight))
    bias = tensors[f"{DETECTRON2}.predictor.bias"]
    assert_array_equal(arrays(predictor.mask_logits.bias), bias)


def test_other_classes_keep_their_own_predictor(tensors):
    model = tiny_mask_model(test_torchvision.tiny_model, num_classes=2)
    before = model.mask_predictor.mask_logits.get_weights()
    load_torchvision(model, tensors, keep_classes=False)
    for one, two in zip(
        model.mask_predictor.mask_logits.get_weights(), before, strict=True
    ):
        assert_array_equal(one, two)
    weight = tensors[f"{TORCHVISION}.conv5_mask.weight"]
    assert_array_equal(arrays(model.mask_predictor.upsample.kernel), kernel(weight))
    with pytest.raises(ValueError, match=r"misshapen.*mask_fcn_logits\.weight \(4,"):
        load_torchvision(model, tensors)


def test_another_head_is_refused_and_missing_masks_are_named(tensors):
    with pytest.raises(ValueError, match="fit an FCNMaskHead; received mask_head="):
        torchvision_mask_slots(keras.layers.Dense(1), None)
    model = tiny_mask_model(test_torchvision.tiny_model)
    boxes_only = {k: v for k, v in tensors.items() if ".mask_" not in k}
    with pytest.raises(ValueError, match=r"8 missing \['roi_heads\.mask_head\.0\.0"):
        load_torchvision(model, boxes_only)
