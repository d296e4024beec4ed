"""Panoptic FPN detects, merges, is trained, and a client merges what is served."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from models.tiny_masks import tiny_mask_rcnn
from models.tiny_panoptic import STUFF, batch_of_two, tiny_panoptic_fpn
from numpy.testing import assert_array_equal
from PIL import Image
from pycocotools import mask as coco_mask
from skimage import data

import keras_fpn
from keras_fpn.layers import fapn
from keras_fpn.models import (
    COCO_STUFF,
    ExactPaste,
    MaskRCNN,
    MaskRCNNParts,
    PanopticMerge,
    StuffSet,
    panoptic_fpn,
)
from keras_fpn.training.transfer import with_classes

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_panoptic_fpn()


@pytest.fixture(scope="module")
def found(model):
    return model.detect(PHOTO)[0]


def test_segments_are_of_things_and_of_stuff(model, found):
    assert set(found) == {
        *("boxes", "labels", "scores", "masks"),
        *("semantic_map", "panoptic_map", "segments"),
    }
    panoptic_map, segments = found["panoptic_map"], found["segments"]
    assert (panoptic_map.shape, panoptic_map.dtype) == ((400, 600), np.int32)
    things = [one for one in segments if one["isthing"]]
    stuff = [one for one in segments if not one["isthing"]]
    assert min(len(things), len(stuff)) > 1
    assert [one["id"] for one in segments] == list(range(1, len(segments) + 1))
    areas = np.bincount(panoptic_map.ravel(), minlength=len(segments) + 1)
    assert [one["area"] for one in segments] == areas[1:].tolist()
    assert {one["label"] for one in things} <= {0, 1, 2}
    assert {model.stuff_names[one["label"]] for one in stuff} <= set(STUFF.names)
    for one in stuff:  # a pixel of stuff has its class in the semantic map
        pixels = found["semantic_map"][panoptic_map == one["id"]]
        assert (pixels == one["label"] + 1).all()


def test_things_are_parts_of_their_masks(found):
    masks = [coco_mask.decode(one).astype(bool) for one in found["masks"]]
    best = next(one for one in found["segments"] if one["isthing"])
    row = int(np.argmax(found["scores"] == np.float32(best["score"])))
    assert best["label"] == found["labels"][row]
    assert_array_equal(found["panoptic_map"] == best["id"], masks[row])


@pytest.mark.ci
def test_its_objects_are_those_of_mask_rcnn(model, found):
    own = [
        getattr(model.parts, field.name) for field in dataclasses.fields(MaskRCNNParts)
    ]
    masks = MaskRCNN(
        MaskRCNNParts(*own), model.preprocessing, model.class_names, model.category_ids
    )
    [alone] = masks.detect(PHOTO)
    assert alone["masks"] == found["masks"]
    assert set(found) - set(alone) == {"semantic_map", "panoptic_map", "segments"}


def test_masks_come_in_any_form_and_limits_are_the_segments_too(model, found):
    [full] = model.detect(PHOTO, masks="full")
    assert_array_equal(full["panoptic_map"], found["panoptic_map"])
    [few] = model.detect(PHOTO, max_detections=1, masks="crops")
    assert sum(one["isthing"] for one in few["segments"]) == 1
    [none] = model.detect(PHOTO, score_threshold=0.999)
    assert len(none["boxes"]) == 0
    assert not any(one["isthing"] for one in none["segments"])
    assert none["segments"]
    with pytest.raises(ValueError, match=r"received scales=\(0\.5, 1\), flip=False"):
        model.detect(PHOTO, scales=(0.5, 1))


def test_the_default_is_detectron2s():
    branch = panoptic_fpn(tiny_backbone(), num_classes=3).parts.semantic
    assert branch.stuff == COCO_STUFF
    assert branch.panoptic_merge == PanopticMerge(0.5, 0.5, 4096)
    assert branch.semantic_loss_weight == 0.5
    assert branch.semantic_predictor.num_stuff == 53


def test_known_stuff_and_things_keep_their_weights(model):
    stuff = StuffSet(("sea", "road"))
    new = with_classes(model, ["class 1"], [4], stuff=stuff)
    assert (new.stuff_names, new.stuff_ids) == (["sea", "road"], [1, 2])
    own, theirs = (
        each.semantic_predictor.logits.get_weights() for each in (new, model)
    )
    assert own[0].shape[-1] == 3
    assert_array_equal(own[0][..., :2], theirs[0][..., [0, 2]])
    assert not np.allclose(own[0][..., 2], theirs[0][..., 1])
    same = with_classes(model, ["class 1"], [4])
    assert_array_equal(same.semantic_predictor.logits.get_weights()[0], theirs[0])
    other = with_classes(model, ["class 1"], [4], stuff=StuffSet(("hill",)))
    assert_array_equal(
        other.semantic_predictor.logits.get_weights()[0][..., 0], theirs[0][..., 0]
    )


@pytest.mark.ci
def test_fit_learns_things_and_stuff():
    learner = tiny_panoptic_fpn(filled=False, mask_paste=ExactPaste())
    x, y = batch_of_two(classes=4)
    learner.compile(keras.optimizers.Adam(0.01))
    before = learner.semantic_head.get_weights()
    history = learner.fit(x, y, batch_size=2, epochs=12, verbose=0).history
    assert set(history) == {"loss", *learner.loss_names}
    assert learner.loss_names[-1] == "semantic_loss"
    assert history["semantic_loss"][-1] < 0.8 * history["semantic_loss"][0]
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    for old, new in zip(before, learner.semantic_head.get_weights(), strict=True):
        assert np.abs(new - old).max() > 1e-4
    bare = {name: value for name, value in y.items() if name != "semantic_map"}
    with pytest.raises(ValueError, match=r"without \['semantic_map'\]"):
        learner.compute_loss(x, bare, None, training=False)


@pytest.mark.ci
def test_fapn_is_a_neck_of_it():
    aligned = tiny_panoptic_fpn(neck=fapn(16, name="neck"))
    [found] = aligned.detect(PHOTO)
    assert found["panoptic_map"].any()
    assert len(found["segments"]) > 1


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_it_is_served_and_the_client_merges(model, found, tmp_path):
    import tensorflow as tf

    from keras_fpn.export import export_saved_model

    folder = export_saved_model(model, tmp_path / "panoptic")
    stuff = json.loads((folder / "assets.extra" / "stuff.json").read_text("utf-8"))
    assert stuff[1] == {"id": 155, "name": "sea"}
    serve = tf.saved_model.load(str(folder)).signatures["image_tensor"]
    served = serve(inputs=tf.constant(PHOTO[None]))
    served = {name: value.numpy()[0] for name, value in served.items()}
    assert served["semantic_map"].dtype == np.uint8
    # As in docs/panoptic.md.
    height, width = served["image_info"][1].astype(int)
    small = Image.fromarray(served["semantic_map"][:height, :width])
    semantic_map = np.asarray(small.resize((600, 400), Image.Resampling.NEAREST))
    boxes = served["detection_boxes"][:, [1, 0, 3, 2]]
    masks = (
        model.mask_paste(mask, box, (400, 600))
        for mask, box in zip(served["detection_masks"], boxes, strict=True)
    )
    labels = [
        model.category_ids.index(number) if number >= 0 else -1
        for number in served["detection_classes"]
    ]
    panoptic_map, segments = PanopticMerge(0.3, stuff_area=100)(
        served["detection_scores"], labels, masks, semantic_map
    )
    assert [one["label"] for one in segments] == [
        one["label"] for one in found["segments"]
    ]
    assert (panoptic_map == found["panoptic_map"]).mean() > 0.97


@pytest.mark.ci
def test_resnet101_shares_all_but_the_backbone():
    models = [
        keras_fpn.from_preset(f"panoptic_{name}", load_weights=False)
        for name in ("resnet50_fpn_detectron2_1x", "resnet101_fpn_detectron2_3x")
    ]
    own = [
        {
            name: [tuple(weight.shape) for weight in layer.weights]
            for name, layer in each.parts.layers().items()
            if name != "backbone"
        }
        for each in models
    ]
    assert own[0] == own[1]
    assert len(own[0]["semantic_head"]) == 7 * 3
    bodies = [len(each.backbone.weights) for each in models]
    assert bodies[0] < bodies[1]


def test_a_mask_rcnn_is_no_panoptic_one():
    with pytest.raises(ValueError, match=r"received 'stuf'. Near names"):
        panoptic_fpn(tiny_backbone(), num_classes=3, stuf=STUFF)
    assert tiny_mask_rcnn(filled=False).stuff_set is None
