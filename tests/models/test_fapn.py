"""Detectors with FaPN as their neck: detect, are trained and folded."""

import keras
import numpy as np
import pytest
from models.tiny import give_statistics, tiny_backbone, two_levels, two_rectangles
from numpy.testing import assert_array_equal
from on_backend import arrays
from skimage import data

from keras_fpn.layers import FeaturePyramid, fapn
from keras_fpn.models import faster_rcnn_fpn, fold_batch_norms, rpn_fpn

PHOTO = data.coffee()


def tiny_fapn(**options):
    return two_levels(neck=fapn(16, **options, name="neck"))


@pytest.fixture(scope="module")
def model():
    return tiny_fapn()


def test_offsets_change_what_it_finds(model):
    [found] = model.detect(PHOTO)
    assert len(found["scores"]) > 0
    kernel = model.neck.merge["C3"].deform.predict_points.kernel
    moved = arrays(kernel)
    kernel.assign(np.zeros(kernel.shape))
    [unmoved] = model.detect(PHOTO)
    kernel.assign(moved)
    count = min(len(found["boxes"]), len(unmoved["boxes"]))
    assert np.abs(found["boxes"][:count] - unmoved["boxes"][:count]).max() > 0.1


@pytest.mark.ci
def test_it_learns_and_its_offsets_too():
    keras.utils.set_random_seed(0)
    model = faster_rcnn_fpn(
        tiny_backbone(("C3", "C4")),
        num_classes=2,
        neck=fapn(16, norm="group", name="neck"),
    )
    x, y = two_rectangles((64, 96), ((20, 16, 60, 56), (40, 8, 72, 48)))
    deform = model.neck.merge["C3"].deform
    assert not arrays(deform.predict_points.kernel).any()
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, y, batch_size=2, epochs=12, verbose=0).history
    assert history["loss"][-1] < 0.75 * history["loss"][0]
    moved = np.abs(arrays(deform.predict_points.kernel))
    assert moved[..., : 16 * 9].max() > 1e-3  # offsets
    assert moved[..., 16 * 9 :].max() > 1e-3  # masks


def test_its_batch_norms_are_folded():
    model = tiny_fapn(norm="frozen_batch")
    give_statistics(model)
    folded = fold_batch_norms(model)
    inputs, _ = model.preprocessing.prepare([PHOTO])
    inputs = {name: keras.ops.convert_to_tensor(x) for name, x in inputs.items()}
    expected, found = (arrays(one(inputs)) for one in (model, folded))
    assert expected["num_detections"] > 0
    for name, value in expected.items():
        assert_array_equal(found[name], value)
    assert folded.neck.merge["C3"].compare.bias is not None


@pytest.mark.parametrize("levels", [("C5",), ("C3", "C4")])
def test_it_fits_any_levels_and_any_head(levels):
    rpn = rpn_fpn(tiny_backbone(levels), neck=fapn(16, name="neck"))
    [found] = rpn.detect(PHOTO[:96, :128], min_size=64)
    assert len(found["scores"]) > 0
    pyramid = rpn.trunk.output["rpn_pyramid"]
    assert set(pyramid) == {f"P{level[1]}" for level in levels} | {
        f"P{int(levels[-1][1]) + 1}"
    }


@pytest.mark.parametrize("make", [fapn, FeaturePyramid])
def test_a_neck_built_with_levels_that_a_backbone_lacks_raises(make):
    neck = make(16)
    neck({name: keras.Input((None, None, 8)) for name in ("C2", "C3", "C4")})
    with pytest.raises(ValueError, match=r"'C2', 'C3', 'C4'\]; received \['C3', 'C4'"):
        faster_rcnn_fpn(tiny_backbone(("C3", "C4")), num_classes=2, neck=neck)
