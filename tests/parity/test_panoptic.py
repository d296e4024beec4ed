"""Panoptic FPN equals detectron2 on two photographs: maps, segments, losses, gradients.

What it shares with Mask R-CNN is compared by the checks of Mask R-CNN.
"""

import numpy as np
import pytest
from parity.goldens import ONE_IMAGE, Golden, assert_same_boxes
from parity.masks import unpacked

import keras_fpn
from keras_fpn.models.compiled import compiled_function
from keras_fpn.models.results import Frame, joined, of_photo
from keras_fpn.ops.bilinear_upsample import bilinear_upsample

pytestmark = pytest.mark.parity

PRESET = "panoptic_resnet50_fpn_detectron2_1x"
PIXELS = 0.1  # within which boxes agree
# Computed another way, the recording itself differs in 49 of a photo's 240,000 pixels.
SAME_SEGMENT = 0.999
AREA = 20  # pixels, by which the area of a segment may differ
OTHER_CLASS = 5  # pixels that may have another class, beside the near-ties


class Run:
    """What the model finds in one photograph, and what was recorded."""

    def __init__(self, detector, image):
        self.model, self.golden, run = detector
        self.image = image
        photos = np.load(self.golden.folder / "images_432x720.npz")
        photo = photos[f"{image}/pixels_rgb"]
        self.inputs, [self.resized] = self.model.preprocessing.prepare(
            [photo], **self.golden.sizes()
        )
        self.stages, outputs = run(self.inputs)
        self.outputs = {name: np.asarray(value) for name, value in outputs.items()}
        self.size = photo.shape[:2]
        found = of_photo(self.outputs, 0, Frame(self.resized, self.size))
        self.found = self.model.merged(found, self.size)

    def recorded(self, stage):
        return self.golden[f"{self.image}/{stage}"]

    def assert_stage(self, got, stage):
        self.golden.assert_stage(got, f"{self.image}/{stage}")


@pytest.fixture(scope="module")
def detector(detectron2_folder):
    golden = Golden(detectron2_folder, "panoptic_fpn_R_50")
    model = keras_fpn.from_preset(PRESET, load_weights=False)
    keras_fpn.weights.load_detectron2(model, golden.tensors())

    def stages_and_results(inputs):
        stages = model.trunk(inputs, training=False)
        return stages, joined(model.results(model.parts, stages))

    return model, golden, compiled_function(model, stages_and_results)


@pytest.fixture(scope="module", params=ONE_IMAGE)
def run(request, detector):
    return Run(detector, request.param)


def same_segments(found, wanted):
    """Returns the share of pixels whose segment has the same class in both.

    Each is a dict of "panoptic_map" (H, W) and "segments"; the ids of segments may
    differ, but each must be one of the other's.
    """
    one, other = (
        class_of_segments(each)[each["panoptic_map"]] for each in (found, wanted)
    )
    pairs = found["panoptic_map"].astype(np.int64) << 32 | wanted["panoptic_map"]
    # The most frequent partner of each id stands for it.
    pairs, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    partners = {}
    for pair in pairs[np.argsort(counts)]:
        partners[pair >> 32] = pair & 0xFFFFFFFF
    own = np.array([partners[pair >> 32] == pair & 0xFFFFFFFF for pair in pairs])
    own = own[inverse].reshape(one.shape)
    return ((one == other) & own).mean()


def class_of_segments(panoptic):
    """Returns the class of each id: 0 for none, things above, stuff below."""
    segments = panoptic["segments"]
    classes = np.zeros(max(one["id"] for one in segments) + 1, int)
    for one in segments:
        sign = 1 if one["isthing"] else -1
        classes[one["id"]] = sign * (1 + one["label"])
    return classes


def recorded_panoptic(run):
    fields = {
        name: run.recorded(f"panoptic/segments/{name}")
        for name in ("id", "isthing", "category_id", "area")
    }
    segments = [
        {
            "id": number,
            "isthing": bool(isthing),
            "label": category if isthing else category - 1,  # 0 is "things"
            "area": area,
        }
        for number, isthing, category, area in zip(*fields.values(), strict=True)
    ]
    return {
        "panoptic_map": run.recorded("panoptic/segments_map").astype(np.int32),
        "segments": segments,
    }


def test_semantic_logits_are_equal_at_both_sizes(run):
    low = run.outputs["semantic_logits"]
    run.assert_stage(low, "semantic_logits_low")
    full = bilinear_upsample(low, 4)
    run.assert_stage(full, "semantic_logits")
    assert full.shape[1:3] == run.inputs["images"].shape[1:3]


def test_pixels_have_the_same_classes_where_two_are_not_as_likely(run):
    wanted = run.recorded("panoptic/semantic_argmax")
    near_ties = unpacked(run.recorded("panoptic/semantic_margin_below_1e-3"), run.size)
    assert 0.0 < near_ties.mean() < 0.01
    found = run.found["semantic_map"]
    assert (found != wanted)[~near_ties].sum() <= OTHER_CLASS
    for other in (np.zeros_like(found), np.roll(found, 1, axis=1)):
        assert (other != wanted)[~near_ties].sum() > OTHER_CLASS


def test_detections_are_the_same_boxes(run):
    wanted = {
        name: run.recorded(f"detections/{name}")
        for name in ("boxes", "scores", "labels")
    }
    scores, labels = ((run.found[n], wanted[n]) for n in ("scores", "labels"))
    assert_same_boxes(
        run.found["boxes"], wanted["boxes"], PIXELS, scores=scores, labels=labels
    )


def test_segments_are_the_same(run):
    wanted = recorded_panoptic(run)
    found, own = run.found["segments"], wanted["segments"]
    kinds = [
        sorted((one["isthing"], one["label"]) for one in each) for each in (found, own)
    ]
    assert kinds[0] == kinds[1]
    stuff = [
        {one["label"]: one["area"] for one in each if not one["isthing"]}
        for each in (found, own)
    ]
    for label, area in stuff[1].items():
        assert abs(stuff[0][label] - area) <= AREA
    assert sum(one["isthing"] for one in own) > 5
    assert len(stuff[1]) > 5


def test_the_panoptic_map_is_the_same(run):
    wanted = recorded_panoptic(run)
    assert same_segments(run.found, wanted) >= SAME_SEGMENT
    assert same_segments(wanted, wanted) == 1
    plain = run.found["panoptic_map"]
    for other in (np.zeros_like(plain), np.ones_like(plain), np.roll(plain, 1, axis=1)):
        wrong = {**run.found, "panoptic_map": other}
        assert same_segments(wrong, wanted) < SAME_SEGMENT
