"""A copy without batch norms detects the same and is a model of its own."""

import keras
import numpy as np
import pytest
from models.tiny import give_statistics, normed_backbone, tiny_detector
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays
from skimage import data

from keras_fpn.layers import ConvBoxHead, ConvNorm, FeaturePyramid
from keras_fpn.models import fold_batch_norms


def with_norm_of_keras(backbone):
    """Returns the backbone with a norm of Keras's own on C5."""
    maps = dict(backbone.output)
    maps["C5"] = keras.layers.BatchNormalization(name="keras_norm")(maps["C5"])
    return keras.Model(backbone.input, maps, name="normed")


@pytest.fixture(scope="module")
def normed():
    model = tiny_detector(
        backbone=with_norm_of_keras(normed_backbone()),
        neck=FeaturePyramid(16, norm="batch", name="neck"),
        box_head=ConvBoxHead(1, 8, 32, norm="batch", name="box_head"),
    )
    give_statistics(model)
    model.training_step.assign(7)
    model.seed = 3
    return model


@pytest.fixture(scope="module")
def folded(normed):
    return fold_batch_norms(normed)


def norms(model):
    layers = [x for x in model._flatten_layers() if isinstance(x, ConvNorm)]
    return {layer.norm for layer in layers}


def test_only_norms_that_depend_on_no_image_are_folded(normed, folded):
    assert norms(normed) == {"frozen_batch", "batch", "group", None}
    assert norms(folded) == {"group", None}
    assert folded.backbone.get_layer("keras_norm").gamma.shape == (8,)


def test_run_eagerly_it_is_equal_to_the_bit(normed, folded):
    inputs, _ = normed.preprocessing.prepare([data.coffee()])
    inputs = {name: keras.ops.convert_to_tensor(x) for name, x in inputs.items()}
    expected, found = (arrays(model(inputs)) for model in (normed, folded))
    assert expected["num_detections"] > 0
    for name, value in expected.items():
        assert_array_equal(found[name], value)


def test_it_is_a_detector_that_detects_and_is_saved(normed, folded, tmp_path):
    photo = data.coffee()
    [expected], [found] = normed.detect(photo), folded.detect(photo)
    assert len(expected["scores"]) == len(found["scores"]) > 0
    assert_allclose(found["boxes"], expected["boxes"], atol=0.01)
    folded.save(tmp_path / "folded.keras")
    [again] = keras.models.load_model(tmp_path / "folded.keras").detect(photo)
    assert_array_equal(again["boxes"], found["boxes"])
    assert folded.class_names == normed.class_names
    assert (int(folded.training_step), folded.seed) == (7, 3)


def test_no_variable_is_shared_and_the_model_is_not_changed(normed, folded):
    assert not {id(w) for w in normed.weights} & {id(w) for w in folded.weights}
    before = [np.array(weight) for weight in normed.get_weights()]
    for weight in folded.weights:
        weight.assign(keras.ops.zeros_like(keras.ops.convert_to_tensor(weight)))
    for one, two in zip(before, normed.get_weights(), strict=True):
        assert_array_equal(one, two)
