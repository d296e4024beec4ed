"""FCOS: its parts, detects, is trained and fine-tuned."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, two_rectangles
from models.tiny_one_stage import tiny_fcos
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays
from skimage import data

from keras_fpn.layers import (
    DenseHead,
    FeaturePyramid,
    SubsampledLevel,
)
from keras_fpn.models import FCOS, fcos_fpn, fold_batch_norms
from keras_fpn.training.transfer import with_classes

pytestmark = pytest.mark.ci

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_fcos()


def test_default_parts_are_torchvisions():
    model = fcos_fpn(tiny_backbone(), num_classes=3)
    assert model.anchors.sizes == {f"P{n}": (2**n,) for n in range(3, 8)}
    assert model.anchors.ratios == (1.0,)
    assert (model.dense_head.norm, model.dense_head.num_convs) == ("biased_group", 4)
    assert model.coarse_level.convolutions["P6"].kernel.shape[2] == 256  # from P5
    assert model.loss_names == ("class_loss", "box_loss", "centerness_loss")
    assert (model.score_threshold, model.nms_threshold) == (0.2, 0.6)
    maps = fcos_fpn("mobilenet_v3_large", num_classes=2).anchors.sizes
    assert maps == {"P5": (32,), "P6": (32,), "P7": (64,), "P8": (128,)}


def test_it_detects_within_limits(model):
    [found] = model.detect(PHOTO)
    assert len(found["boxes"]) == 20
    assert (np.diff(found["scores"]) <= 0).all()


def test_it_is_folded_and_fine_tuned(model):
    assert type(fold_batch_norms(model)) is FCOS
    new = with_classes(model, ["owl", "cat"], [5, 9])
    kernels = (m.dense_predictor.class_logits.kernel for m in (new, model))
    new_kernel, old_kernel = map(arrays, kernels)
    assert_array_equal(new_kernel[..., 1], old_kernel[..., 0])


def test_it_learns():
    keras.utils.set_random_seed(0)
    model = fcos_fpn(
        tiny_backbone(("C3", "C4")),
        num_classes=2,
        neck=FeaturePyramid(16, name="neck"),
        coarse_level=SubsampledLevel(name="coarse_level"),
        dense_head=DenseHead(1, name="dense_head"),
    )
    x, y = two_rectangles()
    model.compile(keras.optimizers.Adam(0.005))
    history = model.fit(x, y, batch_size=2, epochs=80, verbose=0).history
    assert set(history) == {"loss", *model.loss_names}
    # The centerness loss does not fall to 0, because its targets are probabilities.
    assert history["class_loss"][-1] < 0.2 * history["class_loss"][0]
    assert history["box_loss"][-1] < 0.3 * history["box_loss"][0]
    found = model.predict_on_batch(x)
    assert_array_equal(found["labels"][:, 0], [0, 1])
    assert_allclose(found["boxes"][:, 0], y["boxes"][:, 0], atol=12)
