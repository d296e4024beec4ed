import keras
import numpy as np
import pytest
from layer_checks import check_layer
from models.tiny import tiny_backbone
from numpy.testing import assert_allclose
from on_backend import outputs_of

from keras_fpn.backbones.split import split_backbone
from keras_fpn.layers import ConvNorm, StageBoxHead


def a_stage():
    cells = keras.Input((None, None, 3))
    convolution = ConvNorm(5, 3, 2, norm="group", activation="relu", name="C5")
    return keras.Model(cells, convolution(cells), name="C5")


def features(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def test_keeps_what_a_layer_owes():
    check_layer(
        StageBoxHead,
        {"stage": a_stage()},
        (features(2, 4, 6, 6, 3),),
        ((None, None, 6, 6, 3),),
        (features(1, 3, 6, 6, 3),),
    )


def test_each_roi_is_the_mean_of_the_stage_over_its_cells():
    stage = a_stage()
    rois = features(2, 3, 6, 6, 3)
    hidden = outputs_of(StageBoxHead(stage), rois)
    assert hidden.shape == (2, 3, 5)
    alone = outputs_of(stage, rois[1, 2:3])
    assert_allclose(hidden[1, 2], alone.mean(axis=(0, 1, 2)), rtol=1e-5, atol=1e-6)


def test_both_parts_of_a_split_backbone_make_the_whole():
    backbone = tiny_backbone()
    lower, stage = split_backbone(backbone, "C4")
    assert lower.name == backbone.name
    assert list(lower.output) == ["C2", "C3", "C4"]
    image = features(1, 64, 96, 3)
    whole = outputs_of(backbone, image)
    assert_allclose(outputs_of(lower, image)["C4"], whole["C4"], rtol=1e-5, atol=1e-6)
    last = outputs_of(stage, whole["C4"])
    assert_allclose(last, whole["C5"], rtol=1e-5, atol=1e-6)
    assert len(lower.weights) + len(stage.weights) == len(backbone.weights)
    assert stage.weights[0] is backbone.get_layer("C5").weights[0]


@pytest.mark.parametrize("level", ["C5", "C6", "P4"])
def test_a_backbone_cannot_be_split_elsewhere(level):
    with pytest.raises(ValueError, match=rf"'C4'\].*received level='{level}'"):
        split_backbone(tiny_backbone(), level)
