"""A `fit` that fails does not spoil the next one."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, two_levels

from keras_fpn.layers import DenseHead, FeaturePyramid
from keras_fpn.models import retinanet_fpn

SIDE = 64
INPUTS = {
    "images": np.full((2, SIDE, SIDE, 3), 128, "float32"),
    "image_sizes": np.full((2, 2), SIDE, "float32"),
}
TARGETS = {
    "boxes": np.array([[[8, 8, 40, 48]]] * 2, "float32"),
    "labels": np.zeros((2, 1), "int32"),
}


def tiny_retinanet():
    neck, head = FeaturePyramid(16, name="neck"), DenseHead(1, name="dense_head")
    return retinanet_fpn(
        tiny_backbone(("C3", "C4")), neck=neck, dense_head=head, num_classes=3
    )


WRONG = [
    {"boxes": TARGETS["boxes"]},  # fails before there is a loss
    {**TARGETS, "is_crowd": np.zeros((2, 4), bool)},  # and in one
]


def weights_of(model):
    return [np.array(value) for value in model.get_weights()]


def compiled(model):
    # Momentum has a variable for each weight, made when Keras builds the optimizer.
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9))
    return model


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("build", [two_levels, tiny_retinanet])
def test_right_targets_train_after_wrong_ones(build, wrong):
    model = compiled(build())
    before = weights_of(model)
    with pytest.raises((ValueError, TypeError)):
        model.fit(INPUTS, wrong, verbose=0)
    for one, two in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(one, two)
    history = model.fit(INPUTS, TARGETS, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert int(model.training_step.value) == 1  # the failed one took none
    after = weights_of(model)
    assert any((one != two).any() for one, two in zip(before, after, strict=True))


def test_the_weights_survive_wrong_validation_data_and_images():
    model = compiled(tiny_retinanet())
    before = weights_of(model)
    with pytest.raises((ValueError, TypeError)):
        model.evaluate(INPUTS, WRONG[0], verbose=0)
    with pytest.raises((ValueError, TypeError)):
        model.predict({**INPUTS, "images": INPUTS["images"][..., :2]}, verbose=0)
    for one, two in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(one, two)
