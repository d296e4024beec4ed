"""RoIs read the same pyramid levels in training as in inference."""

import numpy as np
import pytest
from models.tiny import tiny_detector
from on_backend import compiled

from keras_fpn.layers import pyramid_roi_align

SIDE = 1024  # pixels
LARGE = [4.0, 4.0, 1004.0, 1004.0]  # Eq. 1: level 4 + log2(1000 / 224) = 6.2


@pytest.fixture
def read(monkeypatch):
    """The strides of the maps that RoIAlign read, call by call."""
    calls, original = [], pyramid_roi_align.roi_align

    def spy(features, rois, scales, levels, *settings):
        calls.append([round(1 / scale) for scale in scales])
        return original(features, rois, scales, levels, *settings)

    monkeypatch.setattr(pyramid_roi_align, "roi_align", spy)
    return calls


@pytest.mark.ci
def test_training_and_inference_read_p2_to_p5(read):
    model = tiny_detector()
    inputs = {
        "images": np.zeros((1, SIDE, SIDE, 3), "float32"),
        "image_sizes": np.full((1, 2), SIDE, "float32"),
    }
    targets = {
        "boxes": np.array([[LARGE]], "float32"),
        "labels": np.zeros((1, 1), "int32"),
    }
    read.clear()  # building calls it too

    def losses(inputs):
        return model.compute_loss(inputs, targets, None, training=False)

    assert np.isfinite(compiled(losses, inputs))
    in_training = read[-1]
    compiled(lambda inputs: model(inputs, training=False), inputs)
    assert read[-1] == in_training == [4, 8, 16, 32]


def test_the_trunk_names_both_pyramids():
    outputs = tiny_detector().trunk.output
    assert sorted(outputs["pyramid"]) == ["P2", "P3", "P4", "P5"]
    assert sorted(outputs["rpn_pyramid"]) == ["P2", "P3", "P4", "P5", "P6"]
