"""Loading into detectors; see test_torchvision_body for backbones alone."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of
from weights import torch_files
from weights.torchvision_tensors import affine, conv_norm, random

from keras_fpn.layers import (
    ConvBoxHead,
    ConvNorm,
    FeaturePyramid,
    PyramidRoIAlign,
    RPNHead,
    TwoFCBoxHead,
)
from keras_fpn.models import faster_rcnn_fpn
from keras_fpn.weights import load_torchvision

BINS, CHANNELS, HIDDEN, CLASSES, ANCHORS = 2, 4, 6, 3, 3
PREDICTOR = "roi_heads.box_predictor."


def tiny_resnet(name="resnet_tiny"):
    """A bottom-up pathway with a ResNet's layer names: a basic block in C2 and C3."""

    def convolved(inputs, filters, kernel_size, strides, name):
        layer = ConvNorm(filters, kernel_size, strides, norm="frozen_batch", name=name)
        return layer(inputs)

    images = keras.Input((None, None, 3), name="images")
    x = convolved(images, 4, 7, 4, "stem")
    maps = {}
    for level, strides in (("C2", 1), ("C3", 2)):
        block = f"{level}_block1"
        hidden = convolved(x, 5, 3, strides, f"{block}_conv1")
        residual = convolved(hidden, 4, 3, 1, f"{block}_conv2")
        shortcut = convolved(x, 4, 1, strides, f"{block}_shortcut")
        x = keras.layers.Add(name=f"{block}_add")([shortcut, residual])
        maps[level] = x
    return keras.Model(images, maps, name=name)


def tiny_model(num_classes=CLASSES, **parts):
    first = {
        "backbone": tiny_resnet(),
        "neck": FeaturePyramid(CHANNELS),
        "roi_align": PyramidRoIAlign(BINS),
        "box_head": TwoFCBoxHead(HIDDEN),
    }
    return faster_rcnn_fpn(num_classes=num_classes, **{**first, **parts})


def body_entries():
    """Yields what torchvision calls the tensors of `tiny_resnet`, with their shapes."""
    body = "backbone.body"
    yield from conv_norm(f"{body}.conv1", f"{body}.bn1", (4, 3, 7, 7))
    for place in (f"{body}.layer1.0", f"{body}.layer2.0"):
        yield from conv_norm(f"{place}.conv1", f"{place}.bn1", (5, 4, 3, 3))
        yield from conv_norm(f"{place}.conv2", f"{place}.bn2", (4, 5, 3, 3))
        down = f"{place}.downsample"
        yield from conv_norm(f"{down}.0", f"{down}.1", (4, 4, 1, 1))


def head_entries(convolutions=("rpn.head.conv.0.0",)):
    for key in convolutions:
        yield from affine(key, (CHANNELS, CHANNELS, 3, 3))
    yield from affine("rpn.head.cls_logits", (ANCHORS, CHANNELS, 1, 1))
    yield from affine("rpn.head.bbox_pred", (4 * ANCHORS, CHANNELS, 1, 1))
    yield from affine(f"{PREDICTOR}cls_score", (CLASSES + 1, HIDDEN))
    yield from affine(f"{PREDICTOR}bbox_pred", (4 * (CLASSES + 1), HIDDEN))


def first_entries():
    """The first detectors': no norms in the pyramid, two fully connected layers."""
    yield from body_entries()
    for number in (0, 1):
        fpn = "backbone.fpn"
        yield from affine(f"{fpn}.inner_blocks.{number}.0", (CHANNELS, 4, 1, 1))
        yield from affine(f"{fpn}.layer_blocks.{number}.0", (CHANNELS, CHANNELS, 3, 3))
    yield from head_entries()
    yield from affine("roi_heads.box_head.fc6", (HIDDEN, CHANNELS * BINS**2))
    yield from affine("roi_heads.box_head.fc7", (HIDDEN, HIDDEN))


def second_entries():
    """The second ones': norms, two convolutions in the RPN, convolutions on RoIs."""
    yield from body_entries()
    for number in (0, 1):
        inner = f"backbone.fpn.inner_blocks.{number}"
        layer = f"backbone.fpn.layer_blocks.{number}"
        yield from conv_norm(f"{inner}.0", f"{inner}.1", (CHANNELS, 4, 1, 1))
        yield from conv_norm(f"{layer}.0", f"{layer}.1", (CHANNELS, CHANNELS, 3, 3))
    yield from head_entries(("rpn.head.conv.0.0", "rpn.head.conv.1.0"))
    head = "roi_heads.box_head"
    yield from conv_norm(f"{head}.0.0", f"{head}.0.1", (5, CHANNELS, 3, 3))
    yield from conv_norm(f"{head}.1.0", f"{head}.1.1", (5, 5, 3, 3))
    yield from affine(f"{head}.3", (HIDDEN, 5 * BINS**2))  # 2 is the flattening


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def tensors():
    return random(first_entries())


def weights_of(model):
    return {v.path: arrays(v) for v in model.weights}


def assert_same(weights, expected):
    assert set(weights) == set(expected)
    for path, value in expected.items():
        assert_array_equal(weights[path], value, err_msg=path)


def scramble(model):
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 0.125))


def test_convolutions_go_where_their_names_say(model, tensors):
    load_torchvision(model, tensors)
    convolutions, objectness, deltas = next(iter(model.rpn_head.towers.values()))
    backbone, shortcut = model.backbone, "backbone.body.layer2.0.downsample.0"
    for layer, key in [
        (backbone.get_layer("stem"), "backbone.body.conv1"),
        (backbone.get_layer("C2_block1_conv1"), "backbone.body.layer1.0.conv1"),
        (backbone.get_layer("C3_block1_conv2"), "backbone.body.layer2.0.conv2"),
        (backbone.get_layer("C3_block1_shortcut"), shortcut),
        (model.neck.lateral["C2"], "backbone.fpn.inner_blocks.0.0"),
        (model.neck.lateral["C3"], "backbone.fpn.inner_blocks.1.0"),
        (model.neck.smooth["C2"], "backbone.fpn.layer_blocks.0.0"),
        (convolutions[0], "rpn.head.conv.0.0"),
        (objectness, "rpn.head.cls_logits"),
        (deltas, "rpn.head.bbox_pred"),
    ]:
        expected = np.moveaxis(tensors[f"{key}.weight"], (0, 1), (3, 2))
        assert_array_equal(arrays(layer.kernel), expected, err_msg=key)
        if f"{key}.bias" in tensors:
            assert_array_equal(arrays(layer.bias), tensors[f"{key}.bias"])


def test_norms_go_where_their_names_say(model, tensors):
    load_torchvision(model, tensors)
    for name, key in [
        ("stem", "bn1"),
        ("C2_block1_conv1", "layer1.0.bn1"),
        ("C3_block1_conv2", "layer2.0.bn2"),
        ("C3_block1_shortcut", "layer2.0.downsample.1"),
    ]:
        layer, prefix = model.backbone.get_layer(name), f"backbone.body.{key}"
        assert_array_equal(arrays(layer.gamma), tensors[f"{prefix}.weight"])
        assert_array_equal(arrays(layer.beta), tensors[f"{prefix}.bias"])
        assert_array_equal(arrays(layer.moving_mean), tensors[f"{prefix}.running_mean"])
        variance = tensors[f"{prefix}.running_var"]
        assert_array_equal(arrays(layer.moving_variance), variance)


def test_the_box_head_flattens_as_torch_does(model, tensors):
    load_torchvision(model, tensors)
    rois = np.random.default_rng(1).normal(size=(1, 5, BINS, BINS, CHANNELS))
    rois = rois.astype("float32")
    hidden = rois[0].transpose(0, 3, 1, 2).reshape(5, -1)  # (R, C, P, P) flattened
    for layer in ("fc6", "fc7"):
        key = f"roi_heads.box_head.{layer}"
        hidden = hidden @ tensors[f"{key}.weight"].T + tensors[f"{key}.bias"]
        hidden = np.maximum(hidden, 0)
    assert hidden.any()
    got = outputs_of(model.box_head, rois)[0]
    assert_allclose(got, hidden, rtol=1e-4, atol=1e-4)


def test_the_background_moves_from_the_first_column_to_the_last(model, tensors):
    load_torchvision(model, tensors)
    hidden = np.random.default_rng(1).normal(size=(1, 5, HIDDEN)).astype("float32")
    logits, deltas = (
        hidden[0] @ tensors[f"{key}.weight"].T + tensors[f"{key}.bias"]
        for key in (f"{PREDICTOR}cls_score", f"{PREDICTOR}bbox_pred")
    )
    got_logits, got_deltas = outputs_of(model.box_predictor, hidden)
    near = {"rtol": 1e-4, "atol": 1e-4}
    assert_allclose(got_logits[0, :, -1], logits[:, 0], **near)
    assert_allclose(got_logits[0, :, :-1], logits[:, 1:], **near)
    foreground = deltas.reshape(5, CLASSES + 1, 4)[:, 1:]  # the background's are unused
    assert_allclose(got_deltas[0], foreground, **near)


def test_every_weight_of_the_model_is_replaced(model, tensors):
    scramble(model)
    load_torchvision(model, tensors)
    for variable in model.weights:
        assert (arrays(variable) != 0.125).all(), variable.path


def test_old_names_mean_the_same(model, tensors):
    load_torchvision(model, tensors)
    expected = weights_of(model)
    legacy = {}
    for key, value in tensors.items():
        key = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for number in (0, 1):
            for blocks in ("inner_blocks", "layer_blocks"):
                key = key.replace(f"{blocks}.{number}.0.", f"{blocks}.{number}.")
        legacy[key] = value
    changed = set(legacy) - set(tensors)
    assert len(changed) == 10
    assert "backbone.fpn.layer_blocks.1.bias" in changed
    scramble(model)
    load_torchvision(model, legacy)
    assert_same(weights_of(model), expected)


def test_counters_of_batches_are_left_out(model, tensors):
    tensors["backbone.body.bn1.num_batches_tracked"] = np.array(7)
    load_torchvision(model, tensors)


def test_the_second_detectors_parts_have_their_places():
    model = tiny_model(
        neck=FeaturePyramid(CHANNELS, norm="batch"),
        rpn_head=RPNHead(ANCHORS, num_convs=2),
        box_head=ConvBoxHead(2, 5, HIDDEN, norm="batch"),
    )
    tensors = random(second_entries())
    load_torchvision(model, tensors)
    head = model.box_head
    for layer, conv, norm in [
        (model.neck.lateral["C3"], "backbone.fpn.inner_blocks.1.0", "inner_blocks.1.1"),
        (model.neck.smooth["C2"], "backbone.fpn.layer_blocks.0.0", "layer_blocks.0.1"),
        (head.convolutions[1], "roi_heads.box_head.1.0", "box_head.1.1"),
    ]:
        norm = f"{conv.rsplit('.', 3)[0]}.{norm}"
        expected = np.moveaxis(tensors[f"{conv}.weight"], (0, 1), (3, 2))
        assert_array_equal(arrays(layer.kernel), expected)
        assert_array_equal(arrays(layer.moving_mean), tensors[f"{norm}.running_mean"])
    [_, second], _, _ = model.rpn_head.towers["P2"]
    assert_array_equal(arrays(second.bias), tensors["rpn.head.conv.1.0.bias"])
    # Element (unit 1, channel 3, row 0, column 1) of the flattened (C, P, P).
    weight = tensors["roi_heads.box_head.3.weight"].reshape(HIDDEN, 5, BINS, BINS)
    kernel = arrays(head.fc.kernel).reshape(BINS, BINS, 5, HIDDEN)
    assert kernel[0, 1, 3, 1] == weight[1, 3, 0, 1]


def test_a_torch_file_is_read(model, tensors, tmp_path):
    load_torchvision(model, tensors)
    expected = weights_of(model)
    scramble(model)
    pickled, rows = {}, {}
    for number, (key, value) in enumerate(tensors.items()):
        row = torch_files.storage(str(number), count=value.size)
        strides = tuple(stride // value.itemsize for stride in value.strides)
        pickled[key] = torch_files.tensor(row, shape=value.shape, strides=strides)
        rows[str(number)] = value.tobytes()
    path = tmp_path / "model.pth"
    torch_files.write_zip(path, torch_files.named(**pickled), rows)
    for source in (path, str(path)):
        load_torchvision(model, source)
        assert_same(weights_of(model), expected)


def test_without_its_predictor_a_checkpoint_fits_other_classes(tensors):
    model = tiny_model(num_classes=7)
    before = weights_of(model.box_predictor)
    load_torchvision(model, tensors, keep_classes=False)
    assert_same(weights_of(model.box_predictor), before)
    bias = arrays(model.box_head.fc2.bias)
    assert_array_equal(bias, tensors["roi_heads.box_head.fc7.bias"])
    bare = {key: tensors[key] for key in tensors if not key.startswith(PREDICTOR)}
    load_torchvision(model, bare, keep_classes=False)


SMALL = np.zeros(2, "float32")
FC6 = "roi_heads.box_head.fc6.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rpn.head.bbox_pred.bias": None}, r"1 missing \['rpn.head.bbox_pred.bias'\]"),
        ({"backbone.body.extra": SMALL}, r"1 surplus \['backbone.body.extra'\]"),
        ({"backbone.body.bn1.bias": SMALL}, r"\['backbone.body.bn1.bias \(2,\)'\]"),
        ({FC6: SMALL}, rf"misshapen \['{FC6} \(2,\)'\]"),
        # As many numbers, but of the transposed matrix.
        ({FC6: np.zeros((16, 6))}, rf"misshapen \['{FC6} \(16, 6\)'\]"),
        (
            {f"{PREDICTOR}cls_score.weight": np.zeros((5, 6))},
            rf"\['{PREDICTOR}cls_score.weight \(5, 6\)'\]. Check the number of classes",
        ),
        (
            {f"{PREDICTOR}bbox_pred.bias": np.zeros(20)},
            rf"\['{PREDICTOR}bbox_pred.bias \(20,\)'\]",
        ),
        (
            {"backbone.body.bn1.weight": np.ones(4, "int64")},
            "must be floats; received backbone.body.bn1.weight of dtype int64",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named_and_the_model_untouched(
    model, tensors, changes, message
):
    before = weights_of(model)
    changed = {**tensors, **changes}
    changed = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_torchvision(model, changed)
    assert_same(weights_of(model), before)


def test_a_checkpoint_of_another_architecture_names_some_and_counts_the_rest(model):
    # Missing: 4 biases in the pyramid, 2 layers in the box head. Surplus: 4 norms, a
    # convolution in the RPN; 2 with norms and a layer in the box head.
    with pytest.raises(ValueError, match=r"8 missing .* and 30 surplus .* and 22 more"):
        load_torchvision(model, random(second_entries()))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"backbone": tiny_resnet("other")}, "received a backbone named 'other'"),
        ({"rpn_head": RPNHead(ANCHORS, shared=False)}, "received shared=False"),
    ],
)
def test_parts_without_a_counterpart_are_refused(tensors, parts, message):
    with pytest.raises(ValueError, match=message):
        load_torchvision(tiny_model(**parts), tensors)


def test_another_box_head_is_refused(tensors):
    class Flattened(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.mean(inputs, axis=(2, 3))

    with pytest.raises(ValueError, match=r"TwoFCBoxHead or a ConvBoxHead; received"):
        load_torchvision(tiny_model(box_head=Flattened(name="flat")), tensors)


def test_another_neck_is_refused(tensors):
    class Renamed(keras.layers.Layer):
        def call(self, bottom_up):
            return {f"P{name[1:]}": value for name, value in bottom_up.items()}

        def compute_output_shape(self, shapes):
            return {f"P{name[1:]}": shape for name, shape in shapes.items()}

    with pytest.raises(ValueError, match="neck of FeaturePyramid; received neck="):
        load_torchvision(tiny_model(neck=Renamed()), tensors)
