import contextlib
import io
import math

import keras
import numpy as np
import pytest
from metrics.made import ground_truth, random_case
from models.tiny import tiny_detector
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_fpn.data.segments import mask_segment
from keras_fpn.metrics import evaluate_proposals, proposing
from keras_fpn.metrics.proposals import _reaching
from keras_fpn.preprocessing import Preprocessing, read_photo

SCALES = ("", "_small", "_medium", "_large")
NAMES = [f"AR{limit}{scale}" for limit in (10, 100, 1000) for scale in SCALES]


def many_proposals(truth, seed, count):
    """Proposals near the objects and elsewhere, in random order, as xyxy."""
    draw = np.random.default_rng(seed)
    proposals = []
    for image in truth["images"]:
        boxes = draw.uniform(0, 90, (count, 4))
        boxes[:, 2:] += boxes[:, :2] + 1
        own = [a["bbox"] for a in truth["annotations"] if a["image_id"] == image["id"]]
        near = np.repeat(np.array(own).reshape(-1, 4), 6, axis=0)
        near = near + draw.normal(0, 3, near.shape)
        near[:, 2:] = near[:, :2] + np.maximum(near[:, 2:], 1)
        boxes = draw.permutation(np.concatenate([boxes, near]))
        proposals.append((image["id"], boxes, draw.random(len(boxes))))
    return proposals


def recalls_of_pycocotools(truth, proposals):
    """All proposals given to pycocotools, without classes."""
    results = [
        {
            "image_id": image_id,
            "category_id": 3,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image_id, boxes, scores in proposals
        for (x1, y1, x2, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluator.params.useCats = 0
        evaluator.params.maxDets = [10, 100, 1000]
        evaluator.evaluate()
        evaluator.accumulate()
    recall = evaluator.eval["recall"][:, 0].mean(axis=0)  # (scales, limits)
    assert (recall >= 0).all(), "there must be objects of every scale"
    return recall


@pytest.mark.parametrize("seed", range(3))
def test_recalls_are_pycocotools_of_all_proposals(seed):
    truth, _ = random_case(seed)
    proposals = many_proposals(truth, seed, 130)
    recall = evaluate_proposals(truth, proposals)
    expected = recalls_of_pycocotools(truth, proposals).T.ravel()
    assert list(recall.values) == NAMES
    np.testing.assert_allclose(list(recall.values.values()), expected, rtol=1e-12)
    values = [recall.values[f"AR{limit}"] for limit in (10, 100, 1000)]
    assert values[0] < values[1] < values[2]
    assert recall.images == 6


def test_the_120th_best_proposal_counts_among_1000_not_100():
    truth = ground_truth([(1, 3, (10, 10, 40, 40)), (2, 90, (0, 0, 9, 9))])
    boxes = np.tile([150.0, 60, 160, 70], (200, 1))
    boxes[119] = [10, 10, 50, 50]
    proposals = [(1, boxes, np.linspace(1, 0.5, 200))]
    recall = evaluate_proposals(truth, iter(proposals))
    assert recall.values["AR100"] == recall.values["AR100_medium"] == 0.0
    assert recall.values["AR1000"] == 0.5  # the object of image 2 is not found
    assert recall.values["AR1000_medium"] == 1.0
    assert recall.values["AR1000_small"] == 0.0
    assert math.isnan(recall.values["AR1000_large"])
    assert recall.to_dict()["values"]["AR1000_large"] is None
    assert recall.objects == 2


def test_boxes_that_reach_an_object_by_nearly_half_are_kept():
    # IoU 49 and 48 of 100, and 1/2 of the proposal's own area in a crowd.
    truth = ground_truth([(1, 3, (10, 0, 40, 100)), (1, 3, (100, 0, 90, 90))])
    truth["annotations"][0]["iscrowd"], truth["annotations"][1]["iscrowd"] = 0, 1
    boxes = np.array([[10, 0, 40, 49], [10, 0, 40, 48], [90, 20, 20, 20]], float)
    kept = _reaching(boxes, truth["annotations"], "bbox")
    assert kept.tolist() == [True, False, True]
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    kept = _reaching(boxes, truth["annotations"], "bbox")
    assert kept.tolist() == [True, False, False]
    assert _reaching(boxes, [], "bbox").tolist() == [False] * 3
    proposal = (1, [[10, 0, 50, 50]], [0.5])
    # At the first of the ten thresholds, of one of two objects.
    recall = evaluate_proposals(truth, [proposal])
    assert recall.values["AR100"] == pytest.approx(0.1 / 2)
    assert recall.objects == 2


def test_the_best_100_are_by_score_and_of_equal_ones_the_first():
    truth = ground_truth([(1, 3, (10, 10, 40, 40))], category_ids=(3,))
    boxes = np.tile([150.0, 60, 160, 70], (101, 1))
    for place, found in ((0, 1.0), (99, 1.0), (100, 0.0)):
        boxes[place] = [10, 10, 50, 50]
        recall = evaluate_proposals(truth, [(1, boxes, np.full(101, 0.5))])
        assert recall.values["AR100"] == found, place
        boxes[place] = boxes[50]
    boxes[100] = [10, 10, 50, 50]
    recall = evaluate_proposals(truth, [(1, boxes, np.linspace(0, 1, 101))])
    assert recall.values["AR100"] == 1.0


def runs_of(boxes, size=(100, 200)):
    """The masks of whole-pixel boxes, xyxy, as COCO's run lengths."""
    masks = np.zeros((len(boxes), *size), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, np.array(boxes, int), strict=True):
        mask[max(y1, 0) : y2, max(x1, 0) : x2] = True
    return [mask_segment(mask) for mask in masks]


@pytest.mark.parametrize("seed", range(2))
def test_recalls_of_masks_are_those_of_boxes_that_they_fill(seed):
    truth, _ = random_case(seed, "segm")
    proposals = []
    for image_id, boxes, scores in many_proposals(truth, seed, 30):
        boxes = np.maximum(np.rint(boxes), 0)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        boxes = np.minimum(boxes, [199, 99, 200, 100])
        proposals.append((image_id, boxes, scores))
    for annotation in truth["annotations"]:
        x, y, w, h = annotation["bbox"]
        x, y, right, bottom = max(int(x), 0), max(int(y), 0), int(x + w), int(y + h)
        annotation["bbox"] = [x, y, min(right, 200) - x, min(bottom, 100) - y]
    expected = evaluate_proposals(truth, proposals).values
    masks = [(i, runs_of(boxes), scores) for i, boxes, scores in proposals]
    found = evaluate_proposals(truth, masks, "segm").values
    np.testing.assert_allclose(list(found.values()), list(expected.values()))
    assert 0 < found["AR10"] < found["AR1000"] < 1


def test_masks_are_compared_by_their_pixels_not_their_boxes():
    truth = ground_truth([(1, 3, (10, 10, 40, 40))], category_ids=(3,))
    whole, half = np.zeros((2, 100, 200), bool)
    whole[10:50, 10:50] = half[10:50, 10:50] = True
    half[10:50, 16:44] = False  # the same box, IoU 0.3
    truth["annotations"][0]["segmentation"] = mask_segment(whole)
    for mask, recall in ((whole, 1.0), (half, 0.0)):
        proposals = [(1, [mask_segment(mask)], [0.5])]
        assert evaluate_proposals(truth, proposals, "segm").values["AR10"] == recall
    with pytest.raises(
        ValueError, match=r"received 1 masks and scores of shape \(2,\)"
    ):
        evaluate_proposals(truth, [(1, [mask_segment(whole)], [0.5, 1])], "segm")
    del truth["annotations"][0]["segmentation"]
    with pytest.raises(ValueError, match=r"must have 'segmentation'; .* annotation"):
        evaluate_proposals(truth, [], "segm")


def test_no_proposals_reach_nothing():
    truth = ground_truth([(1, 3, (10, 10, 40, 40))])
    none = (1, np.zeros((0, 4)), np.zeros(0))
    for proposals in ([], [none]):
        assert evaluate_proposals(truth, proposals).values["AR1000"] == 0.0


@pytest.mark.parametrize(
    ("proposals", "message"),
    [
        ([(5, [], [])], r"received image_id=5, which is not in it"),
        ([(1, [], []), (1, [], [])], r"received image_id=1, which came before"),
        ([(1, np.ones((2, 4)), [1.0])], r"\(2, 4\) and scores of shape \(1,\)"),
        ([(1, np.full((1, 4), math.nan), [1.0])], r"image_id=1, finite: False"),
        ([(1, np.ones((1, 4)), [math.inf])], r"image_id=1, finite: False"),
        ([(1, np.ones(4), 0.5)], r"boxes of shape \(4,\) and scores of shape \(\) for"),
        (
            [(1, np.ones((1, 1, 4)), [[0.5]])],
            r"\(1, 1, 4\) and scores of shape \(1, 1\)",
        ),
    ],
)
def test_proposals_that_mean_nothing_are_named(proposals, message):
    truth = ground_truth([(1, 3, (10, 10, 40, 40))])
    with pytest.raises(ValueError, match=message):
        evaluate_proposals(truth, proposals)


def test_proposals_of_a_model_come_in_the_photos_own_pixels():
    model = tiny_detector()
    photo = np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8)
    boxes, scores = proposing(model)(photo)
    inputs, [(height, width)] = model.preprocessing.prepare([read_photo(photo)])
    trunk = model.trunk(inputs, training=False)
    rois = keras.ops.convert_to_numpy(trunk["rois"])[0]
    kept = keras.ops.convert_to_numpy(trunk["roi_scores"])[0] > 0
    assert 5 < len(boxes) == len(scores) == kept.sum()
    assert (np.diff(scores) <= 0).all()
    scale = np.array([100 / width, 60 / height] * 2)
    np.testing.assert_allclose(boxes, rois[kept] * scale, rtol=1e-4, atol=1e-3)


class OneOfTwo(keras.layers.Layer):
    """Proposes the whole image and, as padding, nothing."""

    def call(self, sizes):
        wide = sizes[:, ::-1]
        none = keras.ops.zeros_like(wide)
        rois = keras.ops.stack(
            [
                keras.ops.concatenate([none, wide], axis=1),
                keras.ops.concatenate([none, none], axis=1),
            ],
            axis=1,
        )
        return rois, keras.ops.concatenate([sizes[:, :1], none[:, :1]], axis=1) / 192


class ProposingModel:
    """Stands for a detector whose trunk has nothing but proposals, one of them none."""

    def __init__(self):
        images = keras.Input((None, None, 3), name="images")
        sizes = keras.Input((2,), name="image_sizes")
        self.input = {"images": images, "image_sizes": sizes}
        rois, scores = OneOfTwo()(sizes)
        self.trunk = keras.Model(self.input, {"rois": rois, "roi_scores": scores})
        self.preprocessing = Preprocessing(min_size=48, max_size=96)


def test_padding_is_no_proposal_and_no_other_output_is_needed():
    # A photo of 80 x 40, resized to 96 x 48: scores 96 / 192 and 0.
    boxes, scores = proposing(ProposingModel())(np.zeros((80, 40, 3), np.uint8))
    np.testing.assert_allclose(boxes, [[0, 0, 40, 80]], rtol=1e-6)
    np.testing.assert_allclose(scores, [0.5])


def test_models_of_one_stage_have_no_proposals():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"two-stage.*received a Sequential\."):
        proposing(model)
