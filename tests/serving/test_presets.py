"""Every preset can be exported; those that are added to the list later, too."""

import numpy as np
import pytest
import tensorflow as tf
from serving.conftest import encoded
from skimage import data

import keras_fpn
from keras_fpn.serving import export_saved_model

SMALLEST = "faster_rcnn_resnet18_fpn_scenes"  # the others take half a minute and more

PRESETS = [
    pytest.param(name, marks=[] if name == SMALLEST else pytest.mark.slow)
    for name in keras_fpn.list_presets()
]


def test_one_preset_is_tried_in_every_run():
    assert SMALLEST in keras_fpn.list_presets()


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_answers_as_its_detect_does(name, tmp_path):
    model = keras_fpn.from_preset(name, load_weights=False)
    keras_fpn.weights.fill_with_formula(model)
    folder = export_saved_model(model, tmp_path / name)
    loaded = tf.saved_model.load(str(folder))
    photo = data.coffee()
    found = loaded.signatures["serving_default"](inputs=[encoded(photo, "PNG")])
    [detected] = model.detect(photo)
    count = int(found["num_detections"][0])
    assert count == len(detected["scores"]) > 0
    boxes = found["detection_boxes"].numpy()[0, :count][:, [1, 0, 3, 2]]
    np.testing.assert_allclose(boxes, detected["boxes"], atol=0.5)
    scores = found["detection_scores"].numpy()[0, :count]
    np.testing.assert_allclose(scores, detected["scores"], atol=1e-3)
