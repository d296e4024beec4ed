"""Which preset a file is said to be of, by the names and shapes of its tensors."""

import functools
import json
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from on_backend import arrays
from weights.foreign_files import foreign_tensors
from weights.torchvision_tensors import affine, resnet

import keras_fpn
from keras_fpn.weights import load_detectron2, load_torchvision
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.look_alikes import (
    KERAS,
    LAYOUTS,
    TORCH,
    layout_of,
    look_alikes,
    module_of,
    naming_look_alikes,
    presets_with,
    torch_layout,
)
from keras_fpn.weights.torchvision import torchvision_slots

FASTER, MASK = "faster_rcnn_resnet50_fpn_coco", "mask_rcnn_resnet50_fpn_coco"
D2 = "detectron2"
ENTRIES = json.loads(LAYOUTS.read_text("utf-8"))


def layout(name, kind=TORCH, classes=7):
    """The layout of a file of a preset, with some number of classes."""
    [entry] = [entry for entry in ENTRIES if name in entry["presets"]]
    return {
        module: (count, classes * 1000 if total is None else total)
        for module, (count, total) in entry[kind].items()
    }


def unstored(entries):
    """Yields (key, zeros), which take no memory, from (key, shape)."""
    for key, shape in entries:
        yield key, np.broadcast_to(np.float32(0), shape)


def faster_rcnn(num_classes=90):
    """The tensors of torchvision's Faster R-CNN, written down from its definition."""
    body = resnet((3, 4, 6, 3), bottleneck=True)
    yield from ((f"backbone.body.{key}", shape) for key, shape in body)
    for number, channels in enumerate((256, 512, 1024, 2048)):
        yield from affine(
            f"backbone.fpn.inner_blocks.{number}.0", (256, channels, 1, 1)
        )
        yield from affine(f"backbone.fpn.layer_blocks.{number}.0", (256, 256, 3, 3))
    yield from affine("rpn.head.conv.0.0", (256, 256, 3, 3))
    yield from affine("rpn.head.cls_logits", (3, 256, 1, 1))
    yield from affine("rpn.head.bbox_pred", (12, 256, 1, 1))
    yield from affine("roi_heads.box_head.fc6", (1024, 12544))
    yield from affine("roi_heads.box_head.fc7", (1024, 1024))
    columns = num_classes + 1
    yield from affine("roi_heads.box_predictor.cls_score", (columns, 1024))
    yield from affine("roi_heads.box_predictor.bbox_pred", (4 * columns, 1024))


def mask_head():
    for number in range(4):
        yield from affine(f"roi_heads.mask_head.{number}.0", (256, 256, 3, 3))
    yield from affine("roi_heads.mask_predictor.conv5_mask", (256, 256, 2, 2))
    yield from affine("roi_heads.mask_predictor.mask_fcn_logits", (91, 256, 1, 1))


@pytest.mark.parametrize("classes", [90, 2])
def test_a_file_is_recognized_whatever_its_classes(classes):
    assert presets_with(layout_of(dict(faster_rcnn(classes)), TORCH), TORCH) == [FASTER]
    shapes = {**dict(faster_rcnn(classes)), **dict(mask_head())}
    assert presets_with(layout_of(shapes, TORCH), TORCH) == [MASK]


def test_older_names_and_what_is_no_weight_make_no_difference():
    tensors = {
        key.replace("_blocks.0.0.", "_blocks.0.").replace("conv.0.0.", "conv."): zeros
        for key, zeros in unstored(faster_rcnn())
    }
    assert "rpn.head.conv.weight" in tensors
    tensors["backbone.body.bn1.num_batches_tracked"] = np.array(3)
    assert presets_with(torch_layout(tensors), TORCH) == [FASTER]


@pytest.mark.parametrize("kind", [TORCH, KERAS])
def test_every_layout_is_that_of_its_presets_alone(kind):
    for entry in ENTRIES:
        if entry[kind]:
            found = presets_with(layout(entry["presets"][0], kind), kind)
            # Of our own files, those of both publishers' bodies are alike.
            assert set(entry["presets"]) <= set(found)
            if kind == TORCH:
                assert entry["presets"] == found


def test_other_shapes_under_the_same_names_are_another_model():
    wide = dict(faster_rcnn())
    wide["backbone.body.conv1.weight"] = (128, 3, 7, 7)
    said = look_alikes(layout_of(wide, TORCH), TORCH)
    assert said == (
        f"The tensors are most like those of the presets ['{FASTER}']; these modules "
        "are missing, surplus or of another size: ['backbone.body.conv1']."
    )


@pytest.mark.parametrize("kind", [TORCH, KERAS])
def test_what_is_like_nothing_is_said_to_be_of_no_preset(kind):
    none = "By their names and shapes, the tensors are those of no preset."
    assert look_alikes({}, kind) == none
    assert look_alikes({"some": (1, 1)}, kind) == none
    assert presets_with({}, kind) == []


def test_a_tensors_module_is_the_beginning_of_its_name():
    for name, module in [
        ("a.weight", "a"),
        ("a.b.c.d.weight", "a.b.c"),
        ("weight", ""),
    ]:
        assert module_of(name, TORCH) == module
    assert module_of("layers/box_head/fc1/vars/0", KERAS) == "layers/box_head"
    assert module_of("vars/0", KERAS) == "vars"


def test_only_errors_of_values_are_completed():
    with pytest.raises(KeyError, match=r"^'a'$"), naming_look_alikes({}):
        raise KeyError("a")
    with naming_look_alikes({}):
        pass


# A file's preset, and the one of the model that it is loaded into.
SOME_WRONG = [(MASK, FASTER), (FASTER, f"faster_rcnn_resnet50_fpn_{D2}_1x")]
OTHERS_WRONG = [
    ("faster_rcnn_resnet50_fpn_v2_coco", FASTER),
    ("keypoint_rcnn_resnet50_fpn_coco", MASK),
    ("retinanet_resnet50_fpn_coco", "fcos_resnet50_fpn_coco"),
    (f"faster_rcnn_resnet101_fpn_{D2}_3x", f"faster_rcnn_resnet50_fpn_{D2}_1x"),
    (f"mask_rcnn_resnet50_fpn_{D2}_3x", MASK),
]
WRONG = [
    *(pytest.param(*pair, marks=pytest.mark.ci) for pair in SOME_WRONG),
    # Last run: 2026-11-29, all passed.
    *(pytest.param(*pair, marks=pytest.mark.slow) for pair in OTHERS_WRONG),
]


@pytest.fixture(scope="module")
def built():
    """Builds a preset once."""
    return functools.cache(partial(keras_fpn.from_preset, load_weights=False))


@pytest.mark.tensorflow_only  # each takes seconds; tests/test_conversion.py has others
@pytest.mark.parametrize(("file", "into"), WRONG)
def test_a_file_of_another_model_names_its_presets_and_changes_nothing(
    file, into, built
):
    model = built(into)
    slots_of = detectron2_slots if D2 in file else torchvision_slots
    tensors = foreign_tensors(slots_of(built(file)))
    load = load_detectron2 if D2 in into else load_torchvision
    before = [arrays(weight).copy() for weight in model.weights]
    with pytest.raises(ValueError, match="those of the presets") as raised:
        load(model, tensors)
    listed = str(raised.value).partition("the tensors are those of the presets ")[2]
    assert f"'{file}'" in listed.partition("]")[0]
    assert f"'{into}'" not in listed
    for weight, value in zip(model.weights, before, strict=True):
        assert_array_equal(arrays(weight), value)
