"""Which tensor of a one-stage detector goes where; whole models are in tests/parity."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays
from weights.test_detectron2 import named_msra
from weights.test_torchvision import CHANNELS, CLASSES, tiny_resnet
from weights.torchvision_tensors import affine, conv_norm, random

from keras_fpn.layers import DenseHead, FeaturePyramid, SubsampledLevel
from keras_fpn.models import fcos_fpn, retinanet_fpn
from keras_fpn.models.checkpoints import load_checkpoint
from keras_fpn.weights import load_detectron2, load_torchvision
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.mapping import classes_in
from keras_fpn.weights.torchvision import torchvision_slots

TOWER = (CHANNELS, CHANNELS, 3, 3)
HEADS = {
    "head.classification_head": {"cls_logits": 9 * CLASSES},
    "head.regression_head": {"bbox_reg": 36},
}
FCOS_HEADS = {
    "head.classification_head": {"cls_logits": CLASSES},
    "head.regression_head": {"bbox_reg": 4, "bbox_ctrness": 1},
}


def tiny(builder=retinanet_fpn, backbone=None, num_classes=CLASSES, **parts):
    backbone = tiny_resnet() if backbone is None else backbone
    neck = FeaturePyramid(CHANNELS, name="neck")
    return builder(backbone, num_classes=num_classes, neck=neck, **parts)


def body_entries():
    """The tensors of `tiny_resnet`, whose only map that the pyramid reads is C3."""
    body = "backbone.body"
    yield from conv_norm(f"{body}.conv1", f"{body}.bn1", (4, 3, 7, 7))
    for place in (f"{body}.layer1.0", f"{body}.layer2.0"):
        yield from conv_norm(f"{place}.conv1", f"{place}.bn1", (5, 4, 3, 3))
        yield from conv_norm(f"{place}.conv2", f"{place}.bn2", (4, 5, 3, 3))
        down = f"{place}.downsample"
        yield from conv_norm(f"{down}.0", f"{down}.1", (4, 4, 1, 1))
    yield from affine("backbone.fpn.inner_blocks.0.0", (CHANNELS, 4, 1, 1))
    yield from affine("backbone.fpn.layer_blocks.0.0", TOWER)
    yield from affine("backbone.fpn.extra_blocks.p4", (CHANNELS, 4, 3, 3))
    yield from affine("backbone.fpn.extra_blocks.p5", TOWER)


def predictor_entries(heads):
    for head, predictors in heads.items():
        for name, filters in predictors.items():
            yield from affine(f"{head}.{name}", (filters, CHANNELS, 3, 3))


def first_entries():
    """RetinaNet's: convolutions with biases."""
    yield from body_entries()
    for head in HEADS:
        for number in range(4):
            yield from affine(f"{head}.conv.{number}.0", TOWER)
    yield from predictor_entries(HEADS)


def second_entries():
    """RetinaNet v2's: convolutions with group norms."""
    yield from body_entries()
    for head in HEADS:
        for number in range(4):
            yield f"{head}.conv.{number}.0.weight", TOWER
            yield from affine(f"{head}.conv.{number}.1", TOWER[:1])
    yield from predictor_entries(HEADS)


def fcos_entries():
    """FCOS's: convolution, group norm and ReLU are numbered one after the other."""
    yield from body_entries()
    for head in FCOS_HEADS:
        for number in (0, 3, 6, 9):
            yield from affine(f"{head}.conv.{number}", TOWER)
            yield from affine(f"{head}.conv.{number + 1}", TOWER[:1])
    yield from predictor_entries(FCOS_HEADS)


MODELS = {
    "v1": (tiny, first_entries),
    "v2": (
        lambda: tiny(dense_head=DenseHead(norm="group", name="dense_head")),
        second_entries,
    ),
    "fcos": (lambda: tiny(fcos_fpn), fcos_entries),
}


@pytest.fixture(scope="module", params=MODELS)
def pair(request):
    """A model and its checkpoint."""
    make, entries = MODELS[request.param]
    return make(), random(entries())


def test_every_tensor_goes_to_one_variable(pair):
    model, tensors = pair
    slots = torchvision_slots(model)
    assert sorted(slot.key for slot in slots) == sorted(tensors)
    filled = {id(slot.variable) for slot in slots}
    assert len(filled) == len(slots) == len(model.weights) - 1  # the training step


def test_tensors_go_where_their_names_say(pair):
    model, tensors = pair
    load_torchvision(model, tensors)
    predictor = model.dense_predictor
    layers = {
        "backbone.fpn.extra_blocks.p4": model.coarse_level.convolutions["P4"],
        "backbone.fpn.extra_blocks.p5": model.coarse_level.convolutions["P5"],
        "head.classification_head.cls_logits": predictor.class_logits,
        "head.regression_head.bbox_reg": predictor.box_deltas,
    }
    if hasattr(predictor, "centerness"):
        layers["head.regression_head.bbox_ctrness"] = predictor.centerness
        third = {"conv": "conv.6", "norm": "conv.7"}
    else:
        third = {"conv": "conv.2.0", "norm": "conv.2.1"}
    for head, tower in (
        ("head.classification_head", model.dense_head.class_tower),
        ("head.regression_head", model.dense_head.box_tower),
    ):
        layers[f"{head}.{third['conv']}"] = tower[2]
        if tower[2].norm:
            norm = tensors[f"{head}.{third['norm']}.bias"]
            assert_array_equal(tower[2].group_norm.beta, norm)
    for key, layer in layers.items():
        expected = np.moveaxis(tensors[f"{key}.weight"], (0, 1), (3, 2))
        assert_array_equal(arrays(layer.kernel), expected, err_msg=key)
        if f"{key}.bias" in tensors:
            assert_array_equal(arrays(layer.bias), tensors[f"{key}.bias"])


def test_the_number_of_classes_is_found(pair):
    model, tensors = pair
    assert classes_in(model, torchvision_slots(model), tensors) == CLASSES


def test_old_names_of_retinanet_mean_the_same():
    make, entries = MODELS["v1"]
    model, tensors = make(), random(entries())
    legacy = {}
    for key, value in tensors.items():
        for number in range(4):
            key = key.replace(f"_head.conv.{number}.0.", f"_head.conv.{2 * number}.")
        legacy[key.replace("_blocks.0.0.", "_blocks.0.")] = value
    assert len(set(legacy) - set(tensors)) == 2 * 4 * 2 + 4
    assert "head.regression_head.conv.6.bias" in legacy
    load_torchvision(model, legacy)
    for slot in torchvision_slots(model):
        assert_array_equal(slot.variable, slot.convert(tensors[slot.key]))


def detectron2_tensors(tensors):
    """The same under detectron2's names."""
    renamed = {}
    for key, value in tensors.items():
        for old, new in (
            ("backbone.fpn.inner_blocks.0.0", "backbone.fpn_lateral3"),
            ("backbone.fpn.layer_blocks.0.0", "backbone.fpn_output3"),
            ("backbone.fpn.extra_blocks", "backbone.top_block"),
            ("head.classification_head.cls_logits", "head.cls_score"),
            ("head.regression_head.bbox_reg", "head.bbox_pred"),
            *(
                (f"head.{ours}_head.conv.{number}.0", f"head.{theirs}.{2 * number}")
                for ours, theirs in (
                    ("classification", "cls_subnet"),
                    ("regression", "bbox_subnet"),
                )
                for number in range(4)
            ),
        ):
            key = key.replace(old, new)
        if "backbone.body" not in key:
            renamed[key] = value
    return renamed


def test_detectron2_has_other_names():
    model = tiny(backbone=named_msra(tiny_resnet()))
    slots = [s for s in detectron2_slots(model) if "bottom_up" not in s.key]
    tensors = random(first_entries())
    wanted = detectron2_tensors(tensors)
    assert sorted(slot.key for slot in slots) == sorted(wanted)
    generator = np.random.default_rng(0)
    body = {
        slot.key: generator.uniform(0.5, 1.5, shape).astype("float32")
        for slot in detectron2_slots(model)
        if "bottom_up" in slot.key
        for shape in [np.shape(slot.variable)]
    }
    for key, value in body.items():
        if value.ndim == 4:
            body[key] = value.transpose(3, 2, 0, 1)
    anchors = {"anchor_generator.cell_anchors.0": np.zeros((9, 4))}
    load_detectron2(model, {**wanted, **body, **anchors, "pixel_mean": np.zeros(3)})
    logits = model.dense_predictor.class_logits
    assert_array_equal(logits.bias, wanted["head.cls_score.bias"])
    assert_array_equal(
        model.dense_head.box_tower[1].bias, wanted["head.bbox_subnet.2.bias"]
    )


def test_other_classes_keep_all_but_the_predictor_of_classes(tmp_path, monkeypatch):
    tensors = random(first_entries())
    monkeypatch.setattr(
        "keras_fpn.models.checkpoints.read_torch", lambda path: dict(tensors)
    )
    model = tiny(num_classes=5)
    with pytest.warns(UserWarning, match="has 3 classes and this model has 5"):
        load_checkpoint(model, tmp_path / "model.pth")
    deltas = tensors["head.regression_head.bbox_reg.bias"]
    assert_array_equal(model.dense_predictor.box_deltas.bias, deltas)
    bias = arrays(model.dense_predictor.class_logits.bias)
    assert bias.shape == (45,)
    np.testing.assert_allclose(bias, -np.log(99), rtol=1e-5)


@pytest.mark.parametrize(
    ("load", "parts", "said"),
    [
        (
            load_torchvision,
            {"coarse_level": SubsampledLevel(name="coarse_level")},
            "torchvision's .* coarse_level of ConvolvedLevels; received",
        ),
        (
            load_detectron2,
            {
                "backbone": named_msra(tiny_resnet()),
                "dense_head": DenseHead(norm="group", name="dense_head"),
            },
            "without norms .* received norm='group'",
        ),
    ],
)
def test_parts_without_a_counterpart_are_named(load, parts, said):
    with pytest.raises(ValueError, match=said):
        load(tiny(**parts), {})
