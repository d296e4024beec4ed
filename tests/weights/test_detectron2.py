"""Which tensor of detectron2 goes where; whole models are in tests/parity."""

import pickle

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays
from weights.test_torchvision import BINS, CHANNELS, CLASSES, HIDDEN, tiny_resnet
from weights.torchvision_tensors import affine, conv_norm

import keras_fpn
from keras_fpn.layers import FeaturePyramid, PyramidRoIAlign, RPNHead, TwoFCBoxHead
from keras_fpn.weights import load_detectron2
from keras_fpn.weights.detectron2 import detectron2_slots

ANCHORS = 3
RPN = "proposal_generator.rpn_head"
PREDICTOR = "roi_heads.box_predictor"


def named_msra(backbone):
    """Returns the backbone under a name that detectron2's weights fit."""
    return keras.Model(backbone.input, backbone.output, name="msra_resnet_tiny")


def tiny_faster_rcnn(num_classes=CLASSES, **parts):
    first = {
        "backbone": named_msra(tiny_resnet()),
        "neck": FeaturePyramid(CHANNELS),
        "roi_align": PyramidRoIAlign(BINS),
        "box_head": TwoFCBoxHead(HIDDEN),
    }
    return keras_fpn.models.faster_rcnn_fpn(
        num_classes=num_classes, **{**first, **parts}
    )


def entries():
    """Yields the keys and shapes of detectron2, by its modules' definitions."""
    body = "backbone.bottom_up"
    yield from conv_norm(f"{body}.stem.conv1", f"{body}.stem.conv1.norm", (4, 3, 7, 7))
    for place in (f"{body}.res2.0", f"{body}.res3.0"):
        for name, shape in (
            ("conv1", (5, 4, 3, 3)),
            ("conv2", (4, 5, 3, 3)),
            ("shortcut", (4, 4, 1, 1)),
        ):
            yield from conv_norm(f"{place}.{name}", f"{place}.{name}.norm", shape)
    for level in (2, 3):
        yield from affine(f"backbone.fpn_lateral{level}", (CHANNELS, 4, 1, 1))
        yield from affine(f"backbone.fpn_output{level}", (CHANNELS, CHANNELS, 3, 3))
    yield from affine(f"{RPN}.conv", (CHANNELS, CHANNELS, 3, 3))
    yield from affine(f"{RPN}.objectness_logits", (ANCHORS, CHANNELS, 1, 1))
    yield from affine(f"{RPN}.anchor_deltas", (4 * ANCHORS, CHANNELS, 1, 1))


def head_entries():
    yield from affine("roi_heads.box_head.fc1", (HIDDEN, CHANNELS * BINS**2))
    yield from affine("roi_heads.box_head.fc2", (HIDDEN, HIDDEN))
    yield from affine(f"{PREDICTOR}.cls_score", (CLASSES + 1, HIDDEN))
    yield from affine(f"{PREDICTOR}.bbox_pred", (4 * CLASSES, HIDDEN))


@pytest.fixture
def tensors():
    generator = np.random.default_rng(0)
    return {
        key: generator.uniform(0.5, 1.5, shape).astype("float32")
        for key, shape in (*entries(), *head_entries())
    }


@pytest.fixture(scope="module")
def model():
    return tiny_faster_rcnn()


def values(model):
    return [arrays(weight) for weight in model.weights]


def test_every_tensor_goes_to_one_variable(model, tensors):
    slots = detectron2_slots(model)
    assert sorted(slot.key for slot in slots) == sorted(tensors)
    filled = {id(slot.variable) for slot in slots}
    assert {id(weight) for weight in model.weights} - filled == {
        id(model.training_step)
    }


def test_the_first_kernel_takes_rgb_and_others_are_transposed(model, tensors):
    load_detectron2(model, tensors)
    stem = model.backbone.get_layer("stem")
    kernel = tensors["backbone.bottom_up.stem.conv1.weight"]  # (out, BGR, h, w)
    assert_array_equal(stem.kernel[..., 0, :], kernel[:, 2].transpose(1, 2, 0))
    assert_array_equal(stem.kernel[..., 2, :], kernel[:, 0].transpose(1, 2, 0))
    norm = tensors["backbone.bottom_up.stem.conv1.norm.running_var"]
    assert_array_equal(stem.moving_variance, norm)
    block = model.backbone.get_layer("C3_block1_conv2")
    kernel = tensors["backbone.bottom_up.res3.0.conv2.weight"]
    assert_array_equal(block.kernel, kernel.transpose(2, 3, 1, 0))


def test_the_background_stays_last(model, tensors):
    load_detectron2(model, tensors)
    predictor = model.box_predictor
    logits, deltas = (
        tensors[f"{PREDICTOR}.{name}.bias"] for name in ("cls_score", "bbox_pred")
    )
    assert_array_equal(predictor.class_logits.bias, logits)
    assert_array_equal(predictor.box_deltas.bias, deltas)


def test_the_first_fully_connected_layer_reads_cells_before_channels(model, tensors):
    load_detectron2(model, tensors)
    kernel = tensors["roi_heads.box_head.fc1.weight"]
    kernel = kernel.reshape(HIDDEN, CHANNELS, BINS, BINS).transpose(2, 3, 1, 0)
    assert_array_equal(model.box_head.fc1.kernel, kernel.reshape(-1, HIDDEN))


def test_constants_and_counters_are_ignored(model, tensors):
    extra = {
        "pixel_mean": np.zeros(3),
        "pixel_std": np.ones(3),
        "proposal_generator.anchor_generator.cell_anchors.0": np.zeros((3, 4)),
        "backbone.bottom_up.stem.conv1.norm.num_batches_tracked": np.array(7),
    }
    load_detectron2(model, {**extra, **tensors})


def test_an_rpn_takes_the_tensors_without_the_heads(tensors):
    rpn = keras_fpn.models.rpn_fpn(
        named_msra(tiny_resnet()), neck=FeaturePyramid(CHANNELS)
    )
    of_rpn = {key: tensors[key] for key, _ in entries()}
    load_detectron2(rpn, of_rpn)
    with pytest.raises(ValueError, match=r"8 surplus \['roi_heads.box_head.fc1.bias'"):
        load_detectron2(rpn, tensors)


def test_files_are_read_by_their_suffix(model, tensors, tmp_path):
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": tensors, "__author__": "detectron2"}, 2))
    load_detectron2(model, tensors)
    wanted = values(model)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    load_detectron2(model, path)
    for value, weight in zip(wanted, model.weights, strict=True):
        if weight is not model.training_step:
            assert_array_equal(arrays(weight), value)
    path.rename(tmp_path / "model_final.pth")
    with pytest.raises(ValueError, match=r"model_final.pth'.*torch\.save"):
        load_detectron2(model, tmp_path / "model_final.pth")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop(f"{RPN}.conv.bias"), rf"1 missing \['{RPN}.conv.bias'\]"),
        (lambda t: t.update(more=np.zeros(1)), r"1 surplus \['more'\]"),
        (
            lambda t: t.update({f"{RPN}.conv.bias": np.zeros(3, "float32")}),
            rf"1 misshapen \['{RPN}.conv.bias \(3,\)'\]",
        ),
        (
            lambda t: t.update({f"{RPN}.conv.bias": np.zeros(CHANNELS, int)}),
            "conv.bias of dtype int64",
        ),
    ],
    ids=["missing", "surplus", "misshapen", "integer"],
)
def test_what_does_not_fit_is_named_and_nothing_loaded(change, said, model, tensors):
    before = values(model)
    tensors = {key: tensor + 1 for key, tensor in tensors.items()}
    change(tensors)
    with pytest.raises(ValueError, match=said):
        load_detectron2(model, tensors)
    for value, weight in zip(before, model.weights, strict=True):
        assert_array_equal(arrays(weight), value)


def test_a_predictor_of_other_classes_can_be_kept(tensors):
    model = tiny_faster_rcnn(num_classes=CLASSES + 2)
    predictor = [arrays(weight) for weight in model.box_predictor.weights]
    load_detectron2(model, tensors, keep_classes=False)
    for value, weight in zip(predictor, model.box_predictor.weights, strict=True):
        assert_array_equal(arrays(weight), value)
    fc2 = tensors["roi_heads.box_head.fc2.bias"]
    assert_array_equal(model.box_head.fc2.bias, fc2)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"backbone": tiny_resnet()}, "backbone named 'resnet_tiny'"),
        (
            {"rpn_head": RPNHead(ANCHORS, num_convs=2, name="rpn_head")},
            "shared=True, num_convs=2",
        ),
        (
            {"box_head": keras_fpn.layers.ConvBoxHead(name="box_head")},
            "fit a TwoFCBoxHead; received box_head=<ConvBoxHead",
        ),
    ],
    ids=["backbone", "rpn", "box head"],
)
def test_parts_without_a_counterpart_are_named(parts, said, tensors):
    with pytest.raises(ValueError, match=said):
        load_detectron2(tiny_faster_rcnn(**parts), tensors)
