"""Published models by name."""

import numpy as np
import pytest
from models.tiny import tiny_backbone

import keras_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights import SHIPPED

# Trainable parameters that torchvision publishes; its frozen norms are no parameters.
PUBLISHED = {
    "faster_rcnn_resnet50_fpn_coco": 41_755_286,
    "faster_rcnn_resnet50_fpn_v2_coco": 43_712_278,
    "faster_rcnn_mobilenet_v3_large_fpn_coco": 19_386_354,
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco": 19_386_354,
    "mask_rcnn_resnet50_fpn_coco": 44_401_393,
    "mask_rcnn_resnet50_fpn_v2_coco": 46_359_409,
    "keypoint_rcnn_resnet50_fpn_coco": 59_137_258,
}
KEYPOINTS = "keypoint_rcnn_resnet50_fpn_coco"
# Of these the background's four box outputs and its mask do not exist here.
BACKGROUND = {
    "faster": 4 * (1024 + 1),
    "mask": 4 * (1024 + 1) + 256 + 1,
    "keypoint": 4 * (1024 + 1),
}

# Each takes seconds to build. In every run:
QUICK = {
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco",
    "faster_rcnn_resnet50_fapn_detectron2_1x",
    "rpn_resnet50_fpn_detectron2_1x",
}
# In .ci/run, where tests/test_zoo_page.py counts the parameters of all. The others were
# last built here on 2026-11-29, and passed.
IN_CI = {
    "mask_rcnn_resnet50_fpn_v2_coco",
    "keypoint_rcnn_resnet50_fpn_coco",
    "fcos_resnet50_fpn_coco",
    "cascade_mask_rcnn_resnet50_fpn_detectron2_3x",
    "panoptic_resnet50_fpn_detectron2_3x",
    "keypoint_rcnn_resnet50_fpn_detectron2_3x",
    "retinanet_resnet50_fpn_detectron2_3x",
}


def some_built(names):
    def marks(name):
        if name in QUICK:
            return []
        return [pytest.mark.ci if name in IN_CI else pytest.mark.slow]

    return [pytest.param(name, marks=marks(name)) for name in names]


# Those of torchvision's one-stage detectors, whose 91 columns are all there.
ONE_STAGE = {
    "retinanet_resnet50_fpn_coco": 34_014_999,
    "retinanet_resnet50_fpn_v2_coco": 38_198_935,
    "fcos_resnet50_fpn_coco": 32_269_600,
}

FAPN = "faster_rcnn_resnet50_fapn_detectron2_1x"

# Parameters that detectron2 trains, in millions; its frozen norms are no parameters.
DETECTRON2 = {
    "faster_rcnn_resnet50_fpn_detectron2_1x": 41.70,
    "faster_rcnn_resnet50_fpn_detectron2_3x": 41.70,
    "faster_rcnn_resnet101_fpn_detectron2_3x": 60.64,
    "faster_rcnn_resnet50_fapn_detectron2_1x": 46.14,  # 41.70 and its larger neck
    "fast_rcnn_resnet50_fpn_detectron2_1x": 41.11,  # 41.70 less the RPN head
    "mask_rcnn_resnet50_fpn_detectron2_1x": 44.34,
    "mask_rcnn_resnet50_fpn_detectron2_3x": 44.34,
    "mask_rcnn_resnet101_fpn_detectron2_3x": 63.28,  # 60.64 and the mask head
    # 44.34, two more stages, and the boxes of 79 classes less.
    "cascade_mask_rcnn_resnet50_fpn_detectron2_3x": 71.98,
    # Those of Mask R-CNN, and 1.63 of seven convolutions and 54 classes.
    "panoptic_resnet50_fpn_detectron2_1x": 45.97,
    "panoptic_resnet50_fpn_detectron2_3x": 45.97,
    "panoptic_resnet101_fpn_detectron2_3x": 64.91,
    "rpn_resnet50_fpn_detectron2_1x": 27.39,  # 41.70 less the two layers of the heads
    # Those of torchvision, less the background's box.
    "keypoint_rcnn_resnet50_fpn_detectron2_1x": 59.13,
    "keypoint_rcnn_resnet50_fpn_detectron2_3x": 59.13,
    # torchvision's v2, less its norms and 9 * 11 columns, with biases in the towers.
    "retinanet_resnet50_fpn_detectron2_1x": 37.92,
    "retinanet_resnet50_fpn_detectron2_3x": 37.92,
    "retinanet_resnet101_fpn_detectron2_3x": 56.86,
}


def test_presets_are_the_published_ones_and_ours():
    presets = keras_fpn.list_presets()
    known = [PUBLISHED, ONE_STAGE, DETECTRON2, SHIPPED]
    assert set(presets) == set().union(*known)
    published = [presets[name] for name in PUBLISHED]
    averages = [next(iter(preset.metrics.values())) for preset in published]
    assert [metrics["box AP"] for metrics in averages] == [
        *(37.0, 46.7, 32.8, 22.8),
        *(37.9, 47.4, 54.6),
    ]
    for preset in published:
        assert "torchvision" in preset.source
    for name in SHIPPED:
        assert presets[name].source == f"keras_fpn, zoo/{name}.py"
    assert presets[FAPN].metrics == {"COCO val2017": {"box AP": 39.2}}
    without = [name for name, preset in presets.items() if not preset.has_weights]
    assert without == [FAPN]


def test_a_preset_without_weights_says_so():
    said = rf"received name='{FAPN}'.*FaPN.*README.*load_weights=False"
    with pytest.raises(ValueError, match=said):
        keras_fpn.from_preset(FAPN)


@pytest.mark.parametrize("name", some_built(PUBLISHED))
def test_preset_has_the_published_number_of_parameters(name):
    model = keras_fpn.from_preset(name, load_weights=False)
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert count == PUBLISHED[name] - BACKGROUND[name.split("_")[0]]
    assert model.name == name
    assert len(model.class_names) == (1 if name == KEYPOINTS else 90)


@pytest.mark.parametrize("name", some_built(ONE_STAGE))
def test_one_stage_preset_has_the_published_number_of_parameters(name):
    model = keras_fpn.from_preset(name, load_weights=False)
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert count == ONE_STAGE[name]
    # A column for each of COCO's ids from 0 on, so labels are ids.
    assert model.category_ids == list(range(91))
    assert (model.class_names[0], model.class_names[17]) == ("N/A", "cat")


@pytest.mark.parametrize("name", some_built(DETECTRON2))
def test_preset_of_detectron2_has_its_number_of_parameters(name):
    preset = keras_fpn.list_presets()[name]
    model = keras_fpn.from_preset(name, load_weights=False)
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert round(count / 1e6, 2) == DETECTRON2[name]
    assert len(model.class_names) == preset.checkpoint.num_classes
    assert model.preprocessing.resize_rule == "detectron2"
    if name.startswith("rpn"):
        assert isinstance(model, keras_fpn.models.RPN)
        assert model.class_names == ["object"]
        return
    if name.startswith("keypoint"):
        assert type(model) is keras_fpn.models.KeypointRCNN
        assert (model.class_names, model.category_ids) == (["person"], [1])
        assert model.detections.coder.beta == 0.5
        assert model.proposals.training_post_nms_top_k == 1500
        return
    kinds = {
        "faster": "FasterRCNN",
        "fast": "FastRCNN",
        "mask": "MaskRCNN",
        "cascade": "CascadeMaskRCNN",
        "panoptic": "PanopticFPN",
        "retinanet": "RetinaNet",
    }
    kind = kinds[name.split("_")[0]]
    assert type(model) is getattr(keras_fpn.models, kind)
    assert (model.class_names[79], model.category_ids[79]) == ("toothbrush", 90)


def test_a_detectron2_preset_takes_other_classes():
    model = keras_fpn.from_preset(
        "faster_rcnn_resnet50_fpn_detectron2_3x",
        load_weights=False,
        backbone=tiny_backbone(),
        class_names=["a", "b"],
    )
    assert (model.class_names, model.category_ids) == (["a", "b"], [1, 2])


def test_a_preprocessing_of_the_users_keeps_the_presets_resize_rule():
    model = keras_fpn.from_preset(
        "faster_rcnn_resnet50_fpn_detectron2_3x",
        load_weights=False,
        backbone=tiny_backbone(),
        preprocessing=Preprocessing(320, 640),
    )
    assert model.preprocessing.min_size == 320
    assert model.preprocessing.resize_rule == "detectron2"


def test_overrides_replace_parts_of_a_preset():
    model = keras_fpn.from_preset(
        "faster_rcnn_resnet50_fpn_coco",
        load_weights=False,
        backbone=tiny_backbone(),
        class_names=["a", "b"],
    )
    assert model.backbone.name == "tiny"
    assert model.class_names == ["a", "b"]


def test_unknown_preset_lists_near_names():
    with pytest.raises(ValueError, match=r"'faster_rcnn_resnet50'.*resnet50_fpn_c"):
        keras_fpn.from_preset("faster_rcnn_resnet50")
