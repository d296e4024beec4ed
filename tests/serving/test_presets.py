"""Every preset can be exported; those that are added to the list later, too.

On small photos one of them in every run, all architectures in .ci/run. The slow tests
take each as it is, with photos of its own size; they ran last on 2026-11-30: all 31
answered as `detect`.
"""

import numpy as np
import pytest
import tensorflow as tf
from serving.conftest import encoded
from serving.operations import assert_stock
from skimage import data

import keras_fpn
from keras_fpn.export import export_saved_model
from keras_fpn.preprocessing import Preprocessing

pytestmark = pytest.mark.tensorflow_only

PRESETS = sorted(keras_fpn.list_presets())
IN_EVERY_RUN = {"faster_rcnn_resnet18_fpn_scenes"}
# One of each publisher and kind of photo; tests/models/test_family_files.py exports and
# asks a small detector of each kind.
IN_CI = {
    "fast_rcnn_resnet50_fpn_detectron2_1x",
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco",
    "faster_rcnn_resnet50_fpn_detectron2_1x",
    "mask_rcnn_resnet50_fpn_coco",
}
# For detectors that take some: x1, y1, x2, y2, pixels of the photo.
PROPOSALS = np.array(
    [[0, 0, 300, 200], [100, 50, 500, 350], [350, 120, 420, 260]], np.float32
)


def marks_of(name):
    if name in IN_EVERY_RUN:
        return []
    return [pytest.mark.ci if name in IN_CI else pytest.mark.slow]


SOME_IN_CI = [pytest.param(name, marks=marks_of(name)) for name in PRESETS]


def assert_it_answers_as_detect_does(model, folder):
    """Exports a model, asks it without Keras's help, and compares with `detect`."""
    folder = export_saved_model(model, folder / model.name)
    assert_stock(folder)
    loaded = tf.saved_model.load(str(folder))
    photo = data.coffee()
    given = [PROPOSALS] if "proposals" in model.input else None
    asked = {} if given is None else {"proposals": [PROPOSALS[:, [1, 0, 3, 2]]]}
    found = loaded.signatures["serving_default"](
        inputs=[encoded(photo, "PNG")],
        **{name: tf.constant(boxes, tf.float32) for name, boxes in asked.items()},
    )
    [detected] = model.detect([photo], proposals=given)
    count = int(found["num_detections"][0])
    assert count == len(detected["scores"]) > 0
    boxes = found["detection_boxes"].numpy()[0, :count][:, [1, 0, 3, 2]]
    scores = found["detection_scores"].numpy()[0, :count]
    np.testing.assert_allclose(np.sort(scores), np.sort(detected["scores"]), 0, 1e-3)
    # As sets: scores that are nearly equal may be in another order, and of two boxes
    # with such scores either may suppress the other.
    close = np.abs(boxes[:, None] - detected["boxes"]).max(axis=-1) <= 0.5
    close &= np.abs(scores[:, None] - detected["scores"]) <= 1e-3
    near_ties = 0.02 * count
    assert np.sum(~close.any(axis=0)) <= near_ties
    assert np.sum(~close.any(axis=1)) <= near_ties


def test_the_presets_of_every_run_are_there():
    assert set(PRESETS) > IN_EVERY_RUN | IN_CI


@pytest.mark.parametrize("name", SOME_IN_CI)
def test_a_preset_answers_as_its_detect_does_on_small_photos(name, tmp_path):
    # The formula moves FaPN's points out of the maps, so its fine levels are weak:
    # photos of 64 pixels have no score above the threshold; nor has ResNet-101.
    side = 96 if "fapn" in name or "resnet101" in name else 64
    small = Preprocessing(min_size=side, max_size=side * 3 // 2)
    model = keras_fpn.from_preset(name, load_weights=False, preprocessing=small)
    keras_fpn.weights.fill_with_formula(model)
    assert_it_answers_as_detect_does(model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_answers_as_its_detect_does(name, tmp_path):
    model = keras_fpn.from_preset(name, load_weights=False)
    keras_fpn.weights.fill_with_formula(model)
    assert_it_answers_as_detect_does(model, tmp_path)
