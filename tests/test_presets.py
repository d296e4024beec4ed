"""Published models by name."""

import numpy as np
import pytest
from models.tiny import tiny_backbone

import keras_fpn
from keras_fpn.weights import SHIPPED

# Trainable parameters that torchvision publishes (its frozen norms are no parameters),
# less the background's four box outputs, which do not exist here: 4 * (1024 + 1).
PUBLISHED = {
    "faster_rcnn_resnet50_fpn_coco": 41_755_286,
    "faster_rcnn_resnet50_fpn_v2_coco": 43_712_278,
    "faster_rcnn_mobilenet_v3_large_fpn_coco": 19_386_354,
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco": 19_386_354,
}


def test_presets_are_the_four_published_ones_and_ours():
    presets = keras_fpn.list_presets()
    assert set(presets) == set(PUBLISHED) | set(SHIPPED)
    published = [presets[name] for name in PUBLISHED]
    averages = [next(iter(preset.metrics.values())) for preset in published]
    assert [metrics["box AP"] for metrics in averages] == [37.0, 46.7, 32.8, 22.8]
    for preset in published:
        assert "torchvision" in preset.source
    for name in SHIPPED:
        assert presets[name].source == f"keras_fpn, zoo/{name}.py"


@pytest.mark.parametrize("name", PUBLISHED)
def test_preset_has_the_published_number_of_parameters(name):
    model = keras_fpn.from_preset(name, load_weights=False)
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert count == PUBLISHED[name] - 4 * 1025
    assert model.name == name
    assert len(model.class_names) == 90


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
