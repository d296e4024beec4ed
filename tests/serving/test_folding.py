"""Batch norms are in the kernels of what is exported, and nothing else changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.tiny import give_statistics, normed_backbone, tiny_detector
from serving.conftest import CLASSES
from serving.operations import nodes
from skimage import data

from keras_fpn.export import export_saved_model
from keras_fpn.layers import FeaturePyramid

pytestmark = pytest.mark.tensorflow_only

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def normed():
    """A detector with norms of every kind; what it detects depends on their weights."""
    neck = FeaturePyramid(16, norm="batch", name="neck")
    model = tiny_detector(backbone=normed_backbone(), neck=neck, **CLASSES)
    [before] = model.detect(PHOTO)
    give_statistics(model)
    [after] = model.detect(PHOTO)
    assert np.abs(before["boxes"] - after["boxes"]).max() > 1
    return model


@pytest.fixture(scope="module")
def folders(normed, tmp_path_factory):
    """dict, frozen -> pathlib.Path of what was exported so."""
    folder = tmp_path_factory.mktemp("normed")
    return {
        frozen: export_saved_model(normed, folder, frozen=frozen)
        for frozen in (False, True)
    }


@pytest.mark.ci
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norms_are_in_the_kernels(normed, folders, frozen):
    folder = folders[frozen]
    serve = tf.saved_model.load(str(folder)).signatures["image_tensor"]
    found = serve(inputs=tf.constant(PHOTO[None]))
    found = {name: value.numpy()[0] for name, value in found.items()}
    [detected] = normed.detect(PHOTO)
    count = len(detected["scores"])
    assert count == found["num_detections"] > 0
    boxes = found["detection_boxes"][:count, [1, 0, 3, 2]]
    np.testing.assert_allclose(boxes, detected["boxes"], atol=0.01)
    scores = found["detection_scores"][:count]
    np.testing.assert_allclose(scores, detected["scores"], atol=1e-4)
    roots = [node.name for node in nodes(folder) if node.op in ("Sqrt", "Rsqrt")]
    # RoIs are put on levels by the root of their area; a batch norm has none left.
    [group, _] = sorted(roots, key=lambda name: "roi_align" in name)
    assert "group_norm" in group
    stored = sum(path.stat().st_size for path in (folder / "variables").iterdir())
    assert (stored < 1024) == frozen


def test_kernels_and_statistics_are_not_stored_beside_what_they_became(normed, folders):
    path = folders[False] / "variables" / "variables"
    reader = tf.train.load_checkpoint(str(path))
    shapes = reader.get_variable_to_shape_map()
    stored = sum(np.prod(shape) for name, shape in shapes.items() if "weights" in name)
    own = sum(weight.shape.num_elements() for weight in normed.weights)
    # Of five numbers per channel (a bias in place of gamma, beta, mean and variance),
    # three are gone, and so is the count of training steps.
    channels = 8 + 8 + 8 + 8 * 16
    assert stored == own - 3 * channels - 1


@pytest.mark.usefixtures("folders")
def test_the_model_itself_stays_as_it_was(normed):
    layer = normed.get_layer("normed").get_layer("stem")
    kernel, bias = (keras.ops.convert_to_numpy(value) for value in layer.folded())
    layer.gamma.assign(layer.gamma * 2)
    np.testing.assert_allclose(layer.folded()[0], kernel * 2, rtol=1e-6)
    layer.gamma.assign(layer.gamma / 2)
    np.testing.assert_allclose(layer.folded()[1], bias, rtol=1e-6)
