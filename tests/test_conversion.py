"""Files of torchvision and detectron2 become files of Keras, and it is said how."""

import functools
import json

import keras
import numpy as np
import pytest
from cli.calling import called
from models.tiny_cascade import two_stages
from numpy.testing import assert_array_equal
from on_backend import arrays
from weights.foreign_files import foreign_tensors, write_pickle, write_torch
from weights.test_detectron2 import named_msra
from weights.test_torchvision import tiny_resnet

import keras_fpn
from keras_fpn import conversion, models, recognition
from keras_fpn.conversion import convert_checkpoint
from keras_fpn.layers import (
    FCNMaskHead,
    FeaturePyramid,
    KeypointHead,
    MaskPredictor,
    PyramidRoIAlign,
    TwoFCBoxHead,
)
from keras_fpn.models.checkpoints import load_checkpoint
from keras_fpn.presets import Preset
from keras_fpn.recognition import recognized_keras
from keras_fpn.weights import SHIPPED, fill_with_formula, look_alikes
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.keras_files import load_weights_file, weight_shapes
from keras_fpn.weights.torchvision import torchvision_slots
from scripts.zoo_page import Counted, layouts, layouts_of

CHANNELS = 4
RCNN = {"box_head": (TwoFCBoxHead, 6), "roi_align": (PyramidRoIAlign, 2)}
MASK = {**RCNN, "mask_head": (FCNMaskHead, 1, 4)}


def masks(num_classes=3):
    return {"mask_predictor": MaskPredictor(num_classes, 4, name="mask_predictor")}


def stages(num_classes=3):
    return {"cascade": two_stages(num_classes), **masks(num_classes)}


# One of each kind: builder, parts as (class, arguments), parts that know the classes.
TINY = {
    "faster_coco": (models.faster_rcnn_fpn, RCNN, None),
    "mask_coco": (models.mask_rcnn_fpn, MASK, masks),
    "keypoint_coco": (
        models.keypoint_rcnn_fpn,
        {**RCNN, "keypoint_head": (KeypointHead, 2, 8)},
        None,
    ),
    "retinanet_coco": (models.retinanet_fpn, {}, None),
    "fcos_coco": (models.fcos_fpn, {}, None),
    "cascade_detectron2": (models.cascade_mask_rcnn_fpn, MASK, stages),
    "rpn_detectron2": (models.rpn_fpn, {}, None),
    "fast_detectron2": (models.fast_rcnn_fpn, RCNN, None),
}


def tiny(name, load_weights=False, num_classes=3):
    """Returns the model of a kind, built once; its weights change."""
    assert not load_weights
    return built(name, num_classes)


@functools.cache
def built(name, num_classes):
    builder, parts, of_classes = TINY[name]
    parts = {key: part(*values, name=key) for key, (part, *values) in parts.items()}
    if "cascade" in name:
        del parts["box_head"]
    backbone = tiny_resnet()
    if "detectron2" in name:
        backbone = named_msra(backbone)
    classes = {} if builder is models.rpn_fpn else {"num_classes": num_classes}
    if builder is models.keypoint_rcnn_fpn:
        classes = {"class_names": ["person"]}
    return builder(
        backbone=backbone,
        neck=FeaturePyramid(CHANNELS, name="neck"),
        **classes,
        **parts,
        **(of_classes(num_classes) if of_classes else {}),
    )


def slots_of(name, model):
    return (detectron2_slots if "detectron2" in name else torchvision_slots)(model)


@pytest.fixture(scope="module")
def tiny_layouts(tmp_path_factory):
    """The layouts of the tiny models, as scripts/zoo_page.py writes them."""
    counts = {
        name: Counted("", 0, (0, 0), 0, layouts_of(tiny(name), name)) for name in TINY
    }
    path = tmp_path_factory.mktemp("layouts") / "layouts.json"
    path.write_text(layouts(counts))
    return path


@pytest.fixture
def zoo(monkeypatch, tiny_layouts):
    """Makes the tiny models the presets."""
    presets = {
        name: Preset(name, builder, functools.partial(dict, name=name), None)
        for name, (builder, _, _) in TINY.items()
    }
    monkeypatch.setattr(look_alikes, "LAYOUTS", tiny_layouts)
    monkeypatch.setattr(conversion, "list_presets", lambda: presets)
    monkeypatch.setattr(recognition, "list_presets", lambda: presets)
    monkeypatch.setattr(recognition, "published_name", lambda path, names: None)
    monkeypatch.setattr(recognition, "from_preset", tiny)
    return presets


def written(name, folder, num_classes=3):
    """A file of a kind, as it is published, and its tensors."""
    slots = slots_of(name, tiny(name, num_classes=num_classes))
    tensors = foreign_tensors(slots)
    if "detectron2" in name:
        return write_pickle(folder / "model_final.pkl", tensors), tensors
    return write_torch(folder / "model.pth", tensors), tensors


def values(model):
    return [np.array(arrays(weight)) for weight in model.weights]


def scramble(model):
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))


def assert_filled(slots):
    """Each variable has the number of its slot, as `foreign_tensors` gave it."""
    for number, slot in enumerate(slots, start=1):
        assert (arrays(slot.variable) == number).all(), slot.key


@pytest.mark.parametrize("name", TINY)
def test_a_file_of_each_kind_is_converted(name, zoo, tmp_path):
    source, tensors = written(name, tmp_path)
    scramble(tiny(name))
    done = convert_checkpoint(source, tmp_path / "m.weights.h5")
    assert_filled(slots_of(name, tiny(name)))
    shapes = weight_shapes(done.path)
    own = [tuple(weight.shape) for weight in tiny(name).weights]
    assert sorted(shapes.values()) == sorted(own)
    assert (done.source.preset, done.source.by) == (
        name,
        "the names and shapes of its tensors",
    )
    assert len(done.source.model.class_names) == len(tiny(name).class_names)
    assert (done.source.tensors, done.source.left_out) == (len(tensors), {})
    assert done.source.numbers == sum(tensor.size for tensor in tensors.values())
    assert done.size == done.path.stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [source.name, "m.weights.h5"]
    )


def test_weights_alone_are_written(zoo, tmp_path):
    source, _ = written("cascade_detectron2", tmp_path)
    done = convert_checkpoint(source, tmp_path / "m.weights.h5")
    model = tiny("cascade_detectron2")
    scramble(model)
    load_weights_file(model, done.path)
    assert_filled(detectron2_slots(model))


def test_a_torch_file_may_have_detectron2s_names(zoo, tmp_path):
    _, tensors = written("rpn_detectron2", tmp_path)
    source = write_torch(tmp_path / "m.pth", tensors)
    model = tiny("rpn_detectron2")
    scramble(model)
    load_checkpoint(model, source)
    assert_filled(detectron2_slots(model))
    done = convert_checkpoint(source, tmp_path / "m.weights.h5")
    assert (done.source.preset, done.source.unused_numbers) == ("rpn_detectron2", 0)


def test_a_whole_detector_is_written_and_its_classes_counted(zoo, tmp_path):
    source, _ = written("faster_coco", tmp_path, num_classes=5)
    done = convert_checkpoint(source, tmp_path / "m.keras")
    assert done.source.preset == "faster_coco"
    assert len(done.source.model.class_names) == 5
    model = keras.models.load_model(done.path)
    assert len(model.class_names) == 5
    assert_filled(torchvision_slots(model))
    # A box of the background: 4 columns of 6 numbers and their biases.
    assert done.source.unused_numbers == 4 * 6 + 4


def test_what_is_left_out_has_a_reason(zoo, tmp_path):
    _, tensors = written("fast_detectron2", tmp_path)
    more = {
        "pixel_mean": np.zeros(3),
        "proposal_generator.anchor_generator.cell_anchors.0": np.zeros((3, 4)),
        "backbone.bottom_up.stem.conv1.norm.num_batches_tracked": np.array(1),
    }
    source = write_pickle(tmp_path / "more.pkl", {**tensors, **more})
    done = convert_checkpoint(source, tmp_path / "m.weights.h5")
    assert done.source.tensors == len(tensors)
    assert set(done.source.left_out) == set(more)
    assert all(done.source.left_out.values())
    assert len(set(done.source.left_out.values())) == 3


def test_the_command_says_what_it_did(zoo, tmp_path):
    source, tensors = written("mask_coco", tmp_path)
    tensors = {**tensors, "backbone.body.bn1.num_batches_tracked": np.float32(1)}
    write_torch(source, tensors)
    target = tmp_path / "m.weights.h5"
    code, out, err = called("convert", source, target)
    assert (code, err) == (0, "")
    numbers = sum(np.size(tensor) for tensor in tensors.values()) - 1
    lines = out.splitlines()
    assert lines[:2] == [
        "preset: mask_coco, known by the names and shapes of its tensors",
        "classes: 3",
    ]
    unused = 4 * 6 + 4 + 4 + 1  # a box, and a mask of 4 channels
    assert lines[2] == (
        f"used: {len(tensors) - 1} tensors, {numbers:,} numbers, all but {unused} of "
        "the background, which has no box and no mask here"
    )
    assert lines[3] == (
        "left out: 1 tensors; counter of batches, which training alone needs"
    )
    assert lines[4].startswith(f"written: {target}, 0.")
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("file", "into"),
    [
        ("mask_coco", "faster_coco"),
        ("keypoint_coco", "mask_coco"),
        ("retinanet_coco", "fcos_coco"),
        ("rpn_detectron2", "fast_detectron2"),
        ("cascade_detectron2", "mask_coco"),
        ("mask_coco", "cascade_detectron2"),
    ],
)
def test_a_file_of_another_model_names_its_preset_and_changes_nothing(
    file, into, zoo, tmp_path, recwarn
):
    source, _ = written(file, tmp_path)
    model = tiny(into)
    before = values(model)
    target = tmp_path / "m.weights.h5"
    for load in (
        lambda: load_checkpoint(model, source),
        lambda: convert_checkpoint(source, target, preset=into),
    ):
        with pytest.raises(ValueError, match=rf"those of the presets \['{file}'\]"):
            load()
        for found, value in zip(values(model), before, strict=True):
            assert_array_equal(found, value)
    assert not target.exists()
    # In particular none about classes, which are not why it fails.
    assert [one for one in recwarn if one.category is UserWarning] == []


@pytest.mark.parametrize(
    ("file", "into"),
    [
        ("mask_coco", "faster_coco"),
        ("faster_coco", "mask_coco"),
        ("retinanet_coco", "fcos_coco"),
    ],
)
def test_so_does_a_file_of_keras(file, into, zoo, tmp_path):
    path = tmp_path / "m.weights.h5"
    tiny(file).save_weights(path)
    model = tiny(into)
    before = values(model)
    with pytest.raises(ValueError, match=rf"those of the presets \['{file}'"):
        load_checkpoint(model, path)
    for found, value in zip(values(model), before, strict=True):
        assert_array_equal(found, value)


def test_weights_of_keras_alone_bring_their_architecture(zoo, tmp_path, monkeypatch):
    path = tmp_path / "m.weights.h5"
    model = tiny("mask_coco")
    fill_with_formula(model)
    before = values(model)
    model.save_weights(path)
    scramble(model)
    assert recognized_keras(path) is model
    for found, value in zip(values(model), before, strict=True):
        assert_array_equal(found, value)
    with pytest.raises(ValueError, match=r"those of the presets \['mask_coco'\]"):
        recognized_keras(path, "faster_coco")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(path)
    with pytest.raises(ValueError, match=r"received '.*m\.weights\.h5'\. .*no preset"):
        recognized_keras(path)


def test_a_detector_of_another_kind_is_named(tmp_path):
    tiny("mask_coco").save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"of a FasterRCNN; .* contains a MaskRCNN"):
        models.faster_rcnn_fpn(weights=tmp_path / "m.keras")


def test_presets_with_the_same_tensors_and_other_settings_must_be_named(
    zoo, tmp_path, monkeypatch
):
    entries = json.loads(look_alikes.LAYOUTS.read_text())
    [entry] = [one for one in entries if "mask_coco" in one["presets"]]
    entry["presets"].append("mask_320_coco")
    both = tmp_path / "layouts.json"
    both.write_text(json.dumps(entries))
    monkeypatch.setattr(look_alikes, "LAYOUTS", both)
    source, _ = written("mask_coco", tmp_path)
    zoo["mask_320_coco"] = zoo["mask_coco"]  # the same parts: only trained otherwise
    done = convert_checkpoint(source, tmp_path / "m.weights.h5")
    assert done.source.preset == "mask_coco"
    zoo["mask_320_coco"] = Preset("mask_320_coco", None, dict, None)
    with pytest.raises(ValueError, match=r"'mask_320_coco'.*Name one by `preset`"):
        convert_checkpoint(source, tmp_path / "m.weights.h5")
    done = convert_checkpoint(source, tmp_path / "m.weights.h5", preset="mask_coco")
    assert done.source.by == "the caller"


def test_what_is_of_no_preset_is_refused_before_anything_is_built(tmp_path):
    source = write_torch(tmp_path / "m.pth", {"fc.weight": np.zeros((2, 2))})
    with pytest.raises(ValueError, match=r"received '.*m\.pth'\. .* of no preset\."):
        convert_checkpoint(source, tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("m.pth", "m.h5", r"must end in one of .*received 'm\.h5'"),
        ("m.keras", "n.keras", r"'m\.keras', which is Keras's already"),
        ("m.weights.h5", "n.keras", r"which is Keras's already"),
        (next(iter(SHIPPED)), "n.keras", "which is Keras's already"),
        ("gone.pth", "n.keras", r"an existing file; received path='gone\.pth'"),
        (
            "faster_rcnn_resnet50_fapn_detectron2_1x",
            "n.keras",
            "A checkpoint must have a URL",
        ),
    ],
)
def test_files_of_other_kinds_are_refused_in_one_line(source, target, said):
    code, out, err = called("convert", source, target)
    assert (code, out, err.count("\n")) == (2, "", 1)
    with pytest.raises(ValueError, match=said):
        convert_checkpoint(source, target)


ARCHITECTURES = {
    (preset.builder, preset.parts): name
    for name, preset in reversed(keras_fpn.list_presets().items())
    if name not in SHIPPED
}


@pytest.mark.slow  # Last run: 2026-11-29, 21 passed in 402 s.
@pytest.mark.tensorflow_only  # each takes seconds; JAX has one of each kind above
@pytest.mark.parametrize("name", ARCHITECTURES.values())
def test_every_published_architecture_is_converted(name, tmp_path, monkeypatch):
    model = keras_fpn.from_preset(name, load_weights=False)
    monkeypatch.setattr(conversion, "from_preset", lambda name, load_weights: model)
    tensors = foreign_tensors(slots_of(name, model))
    write = write_pickle if "detectron2" in name else write_torch
    source = write(
        tmp_path / f"m{'.pkl' if write is write_pickle else '.pth'}", tensors
    )
    # Two presets for small and large photos have the same tensors.
    preset = name if "mobilenet" in name else None
    done = convert_checkpoint(source, tmp_path / "m.weights.h5", preset)
    found = keras_fpn.list_presets()[done.source.preset]
    assert ARCHITECTURES[found.builder, found.parts] == name
    assert done.source.tensors == len(tensors)
    scramble(model)
    load_weights_file(model, done.path)
    assert_filled(slots_of(name, model))
