"""The training in four steps of docs/fast_rcnn.md ends with one detector."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays

from keras_fpn.data import Loader, RandomFlip, with_proposals
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.layers import FeaturePyramid, Proposals, TwoFCBoxHead
from keras_fpn.metrics import propose_photos
from keras_fpn.models import FasterRCNN, TwoStageParts, fast_rcnn_fpn, rpn_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import SGD

pytestmark = pytest.mark.ci

SMALL = Preprocessing(64, 64)


def train(model, dataset, epochs=1):
    loader = Loader(
        dataset,
        model.preprocessing,
        2,
        [RandomFlip()],
        shuffle=True,
        shapes=[(64, 64)],
        max_objects=4,
        fill=True,
    )
    model.compile(SGD(0.01))
    steps = len(loader)
    batches = loader.for_fit(epochs)
    model.fit(batches, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)


def proposed(rpn, dataset):
    return with_proposals(dataset, propose_photos(rpn, dataset), limit=2000)


def small_rpn(backbone, neck, **parts):
    proposals = Proposals(50, 20, 50, 20, name="proposals")
    return rpn_fpn(
        backbone, preprocessing=SMALL, neck=neck, proposals=proposals, **parts
    )


def weights_of(*layers):
    return [arrays(weight) for layer in layers for weight in layer.weights]


def different(weights, others):
    return any((a != b).any() for a, b in zip(weights, others, strict=True))


def test_alternating_training_ends_with_shared_features():
    keras.utils.set_random_seed(0)
    dataset = scene_dataset(4, size=(64, 64), objects=(1, 3), sides=(16, None))
    levels = ("C4", "C5")
    rpn = small_rpn(tiny_backbone(levels), FeaturePyramid(16, name="neck"))
    train(rpn, dataset)
    fast = fast_rcnn_fpn(
        tiny_backbone(levels),
        class_names=dataset.class_names,
        preprocessing=SMALL,
        neck=FeaturePyramid(16, name="neck"),
        box_head=TwoFCBoxHead(16, name="box_head"),
    )
    train(fast, proposed(rpn, dataset))
    features = weights_of(fast.backbone, fast.neck)

    fast.backbone.trainable = fast.neck.trainable = False
    shared = small_rpn(fast.backbone, fast.neck, rpn_head=rpn.rpn_head)
    head = weights_of(shared.rpn_head)
    train(shared, dataset)
    assert different(head, weights_of(shared.rpn_head))
    box = weights_of(fast.box_head)
    train(fast, proposed(shared, dataset))
    assert different(box, weights_of(fast.box_head))
    assert shared.backbone is fast.backbone
    for own, before in zip(
        weights_of(shared.backbone, shared.neck), features, strict=True
    ):
        assert_array_equal(own, before)

    model = FasterRCNN(
        TwoStageParts(fast.backbone, fast.neck, shared.parts.region, fast.parts.box),
        fast.preprocessing,
        fast.class_names,
        fast.category_ids,
    )
    photo = dataset[0].path
    boxes, _ = propose_photos(shared, dataset)[dataset[0].image_id]
    [found] = fast.detect(photo, proposals=boxes)
    [expected] = model.detect(photo)
    assert len(found["boxes"]) == len(expected["boxes"])
    assert_allclose(found["boxes"], expected["boxes"], atol=0.1)
    assert np.isfinite(found["scores"]).all()
