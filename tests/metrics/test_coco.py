import copy
import json
import math
import re

import numpy as np
import pytest
from metrics.made import (
    CATEGORY_IDS,
    ground_truth,
    random_case,
    result,
    summarized,
)
from numpy.testing import assert_allclose

from keras_fpn.metrics import evaluate_boxes

NAMES = (
    "AP AP50 AP75 AP_small AP_medium AP_large "
    "AR1 AR10 AR100 AR_small AR_medium AR_large"
).split()
KEYPOINT_NAMES = (
    "AP AP50 AP75 AP_medium AP_large AR AR50 AR75 AR_medium AR_large".split()
)


def same_numbers(values, others):
    return np.array_equal(list(values.values()), list(others.values()), equal_nan=True)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_cocos_fake_results_have_the_published_numbers(data_folder, kind):
    folder = data_folder / "metrics"
    truth = json.loads((folder / "instances_val2014_100.json").read_text())
    file = folder / "results" / f"instances_val2014_fake{kind}100_results.json"
    published = (folder / "results" / "val2014_fake_eval_res.txt").read_text()
    block = re.search(rf"type={kind}\n(.*?)(?:\n-----|\Z)", published, re.DOTALL)[1]
    expected = re.findall(r"= (\d\.\d{3})$", block, re.MULTILINE)
    metrics = evaluate_boxes(truth, json.loads(file.read_text()), kind)
    assert len(expected) == 12
    assert [f"{value:.3f}" for value in metrics.values.values()] == expected
    assert list(metrics.values) == NAMES


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_pycocotools_own_summary(seed, kind):
    truth, results = random_case(seed, kind)
    metrics = evaluate_boxes(truth, results, kind)
    expected = summarized(truth, results, kind)
    np.testing.assert_allclose(list(metrics.values.values()), expected, rtol=1e-12)
    assert list(metrics.values) == (KEYPOINT_NAMES if kind == "keypoints" else NAMES)
    assert 0.02 < metrics.values["AP"] < 0.98, "the case must be able to fail"


@pytest.mark.parametrize("seed", range(3))
def test_a_classes_numbers_are_those_of_its_objects_alone(seed):
    truth, results = random_case(seed)
    metrics = evaluate_boxes(truth, results)
    assert [one.category_id for one in metrics.per_class] == list(CATEGORY_IDS)
    for label, one in enumerate(metrics.per_class):
        alone = {**truth, "categories": [truth["categories"][label]]}
        alone["annotations"] = [
            a for a in truth["annotations"] if a["category_id"] == one.category_id
        ]
        found = [r for r in results if r["category_id"] == one.category_id]
        np.testing.assert_allclose(
            list(one.values.values()), summarized(alone, found, "bbox"), rtol=1e-12
        )
        assert one.objects == sum(not a["iscrowd"] for a in alone["annotations"])
        assert one.detections == len(found)
        assert one.name == f"class {one.category_id}"
    assert metrics.objects == sum(one.objects for one in metrics.per_class)
    assert metrics.detections == len(results)
    assert metrics.images == 6


def test_half_of_the_objects_found_is_half_the_area():
    # One of two objects, exactly: precision 1 up to recall 0.5, which are 51 of the 101
    # recall points from 0 to 1; both are of medium size, 40 x 40.
    truth = ground_truth([(1, 3, (0, 0, 40, 40)), (2, 3, (9, 9, 40, 40))])
    metrics = evaluate_boxes(truth, [result(1, 3, (0, 0, 40, 40), 0.3)])
    for name in ("AP", "AP50", "AP75", "AP_medium"):
        assert metrics.values[name] == pytest.approx(51 / 101)
    for name in ("AR1", "AR10", "AR100", "AR_medium"):
        assert metrics.values[name] == 0.5
    for name in ("AP_small", "AR_small", "AP_large", "AR_large"):
        assert math.isnan(metrics.values[name])
    label = CATEGORY_IDS.index(3)
    curve = metrics.precision[0, :, label]
    assert curve.shape == (101,)
    np.testing.assert_allclose(curve, metrics.recall_points <= 0.5)
    np.testing.assert_allclose(metrics.scores[0, :, label], 0.3 * curve)
    assert np.isnan(metrics.precision[..., 0]).all()
    np.testing.assert_allclose(metrics.iou_thresholds, np.arange(50, 100, 5) / 100)


def test_curves_are_those_of_100_detections_in_objects_of_every_scale():
    # What is right comes after 12 mistakes in the same photo: the 13th.
    box = (0, 0, 40, 40)
    truth = ground_truth([(1, 3, box)])
    found = [result(1, 3, (100, 0, 40, 40), 0.9 - i / 100) for i in range(12)]
    metrics = evaluate_boxes(truth, [*found, result(1, 3, box, 0.5)])
    label = CATEGORY_IDS.index(3)
    np.testing.assert_allclose(metrics.precision[0, :, label], np.full(101, 1 / 13))
    # Recall 0 is reached with the first detection, all else with the right one.
    np.testing.assert_allclose(metrics.scores[0, :, label], [0.9] + [0.5] * 100)
    assert metrics.values["AR10"] == 0
    assert metrics.values["AR100"] == 1


def test_an_overlap_counts_at_the_thresholds_below_it():
    # 40 x 40 against 40 x 50, one inside the other: IoU 0.8, reached at 7 of the 10
    # thresholds 0.5, 0.55, ..., 0.8.
    truth = ground_truth([(1, 3, (0, 0, 40, 40))])
    metrics = evaluate_boxes(truth, [result(1, 3, (0, 0, 40, 50), 0.3)])
    assert metrics.values["AP"] == pytest.approx(0.7)
    assert metrics.values["AP50"] == pytest.approx(1)
    assert metrics.values["AP75"] == pytest.approx(1)


def test_what_is_found_where_nothing_is_lowers_precision():
    # The better score is wrong: precision 1/2 at every recall.
    truth = ground_truth([(1, 3, (0, 0, 40, 40))])
    found = [result(1, 3, (0, 0, 40, 40), 0.3), result(2, 3, (0, 0, 40, 40), 0.4)]
    assert evaluate_boxes(truth, found).values["AP"] == pytest.approx(0.5)


def test_a_detection_in_a_crowd_is_neither_right_nor_wrong():
    truth = ground_truth([(1, 3, (0, 0, 40, 40)), (1, 3, (50, 0, 90, 90))])
    truth["annotations"][1]["iscrowd"] = 1
    found = [result(1, 3, (0, 0, 40, 40), 0.3), result(1, 3, (60, 9, 9, 9), 0.4)]
    metrics = evaluate_boxes(truth, found)
    assert metrics.values["AP"] == pytest.approx(1)
    assert metrics.objects == 1


def test_without_detections_everything_is_zero():
    truth = ground_truth([(1, 3, (0, 0, 9, 9))])
    metrics = evaluate_boxes(truth, [])
    assert metrics.values["AP"] == metrics.values["AR100"] == 0.0
    assert metrics.values["AP_small"] == 0.0
    assert metrics.detections == 0
    masks, _ = random_case(0, "segm")
    points, _ = random_case(0, "keypoints")
    assert evaluate_boxes(masks, [], "segm").values["AP"] == 0.0
    assert evaluate_boxes(points, [], "keypoints").values["AP"] == 0.0


def test_without_objects_there_is_no_number():
    metrics = evaluate_boxes(ground_truth([]), [result(1, 3, (0, 0, 9, 9), 0.5)])
    assert all(math.isnan(value) for value in metrics.values.values())
    written = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert written["values"]["AP"] is None
    assert written["detections"] == written["per_class"][1]["detections"] == 1


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_nothing_is_printed_or_changed(capsys, kind):
    truth, results = random_case(1, kind)
    before = copy.deepcopy((truth, results))
    evaluate_boxes(truth, results, kind)
    assert (truth, results) == before
    assert capsys.readouterr() == ("", "")


def test_an_annotation_of_id_0_can_be_found():
    truth = ground_truth([(1, 3, (0, 0, 40, 40))])
    truth["annotations"][0]["id"] = 0
    found = [result(1, 3, (0, 0, 40, 40), 0.3)]
    assert evaluate_boxes(truth, found).values["AP"] == pytest.approx(1)


@pytest.mark.parametrize("big", [0, -7, 2**31, 2**53 + 1, 2**64 + 1])
def test_ids_may_be_any_whole_numbers(big):
    truth, results = random_case(2)
    expected = evaluate_boxes(truth, results).values
    new = {i: big - 10 + i for i in range(1, 7)}
    for entry in (*truth["annotations"], *results):
        entry["image_id"] = new[entry["image_id"]]
        entry["category_id"] += big
    for image in truth["images"]:
        image["id"] = new[image["id"]]
    for category in truth["categories"]:
        category["id"] += big
    metrics = evaluate_boxes(truth, results)
    assert same_numbers(metrics.values, expected)
    assert metrics.per_class[0].category_id == 90 + big


def test_ids_and_scores_may_be_numpys():
    truth, results = random_case(2)
    expected = evaluate_boxes(truth, results).values
    for entry in results:
        entry["image_id"] = np.int64(entry["image_id"])
        entry["score"] = np.float64(entry["score"])
        entry["bbox"] = np.array(entry["bbox"])
    assert same_numbers(evaluate_boxes(truth, results).values, expected)


def test_area_and_crowd_may_be_left_out():
    truth = ground_truth([(1, 3, (0, 0, 40, 40))])
    del truth["annotations"][0]["area"], truth["annotations"][0]["iscrowd"]
    found = [result(1, 3, (0, 0, 40, 40), 0.3)]
    assert evaluate_boxes(truth, found).values["AP_medium"] == pytest.approx(1)


def test_masks_are_small_or_large_by_themselves_not_by_their_boxes():
    # A mask of 10 x 10 pixels that is no object, with the box of a large one: among
    # the small masks it is a mistake, the better of two.
    truth = ground_truth([(1, 3, (0, 0, 10, 10))])
    truth["annotations"][0]["segmentation"] = [[0, 0, 10, 0, 10, 10, 0, 10]]
    found = [result(1, 3, (0, 0, 10, 10), 0.3), result(1, 3, (0, 0, 100, 100), 0.4)]
    found[0]["segmentation"] = [[0, 0, 10, 0, 10, 10, 0, 10]]
    found[1]["segmentation"] = [[50, 50, 60, 50, 60, 60, 50, 60]]
    assert evaluate_boxes(truth, found, "segm").values["AP_small"] == pytest.approx(0.5)


def test_masks_may_be_polygons_or_run_lengths_of_either_form():
    # The same 2 x 3 pixels at the upper left, as columns of 100 pixels.
    polygon = [[0, 0, 2, 0, 2, 3, 0, 3]]
    plain = {"size": [100, 200], "counts": [0, 3, 97, 3, 19897]}
    packed = random_case(0, "segm")[0]["annotations"][0]["segmentation"]
    truth = ground_truth([(1, 3, (0, 0, 2, 3)), (2, 3, (0, 0, 9, 9))])
    truth["annotations"][0]["segmentation"] = polygon
    truth["annotations"][1]["segmentation"] = packed
    found = [result(1, 3, (0, 0, 2, 3), 0.3), result(2, 3, (0, 0, 9, 9), 0.4)]
    found[0]["segmentation"] = plain
    found[1]["segmentation"] = {**packed, "counts": packed["counts"].encode()}
    assert evaluate_boxes(truth, found, "segm").values["AP"] == pytest.approx(1)


def test_keypoints_that_are_not_a_persons_need_sigmas():
    truth, results = random_case(0, "keypoints", joints=4)
    with pytest.raises(
        ValueError, match=r"have 17 keypoints, .* received 4\. Pass sig"
    ):
        evaluate_boxes(truth, results, "keypoints")
    loose = evaluate_boxes(truth, results, "keypoints", sigmas=[0.3] * 4)
    strict = evaluate_boxes(truth, results, "keypoints", sigmas=[0.01] * 4)
    assert strict.values["AP"] < loose.values["AP"]


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match=r"one of \('bbox', .* kind='boxes'\."):
        evaluate_boxes(ground_truth([]), [], "boxes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, r"images, \[1, 2\]; received image_id=9 in result 0"),
        ({"category_id": 1}, r"\[3, 17, 90\]; received category_id=1 in result 0"),
        ({"image_id": "1"}, r"image_id must be integers.*received '1'"),
        ({"category_id": True}, r"category_id must be integers.*received True"),
        ({"score": float("nan")}, r"score=nan in result 0"),
        ({"score": "0.5"}, r"score='0\.5' in result 0"),
        ({"bbox": [0, 0, float("nan"), 1]}, r"bbox=\[0, 0, nan, 1\] in result 0"),
        ({"bbox": [0, 0, float("inf"), 1]}, r"bbox=\[0, 0, inf, 1\] in result 0"),
        ({"bbox": [5, 5, -1, 2]}, r"not negative; received bbox=\[5, 5, -1, 2\]"),
        ({"bbox": [5, 5, 2]}, r"bbox=\[5, 5, 2\] in result 0"),
        ({"bbox": 5}, r"bbox=5 in result 0"),
        ({"bbox": None}, r"must have 'bbox'; received result 0 with"),
    ],
)
def test_results_that_mean_nothing_are_named(change, message):
    truth = ground_truth([(1, 3, (0, 0, 9, 9))])
    with pytest.raises(ValueError, match=message):
        evaluate_boxes(truth, [{**result(1, 3, (0, 0, 9, 9), 0.5), **change}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, r"received image_id=9 in annotation id=1\."),
        ({"category_id": 4}, r"received category_id=4 in annotation id=1\."),
        ({"bbox": [0, 0, 1, math.nan]}, r"bbox=\[0, 0, 1, nan\] in annotation id=1"),
        ({"area": math.nan}, r"area must be a finite number; received area=nan"),
    ],
)
def test_annotations_that_mean_nothing_are_named(change, message):
    truth = ground_truth([(1, 3, (0, 0, 9, 9))])
    truth["annotations"][0].update(change)
    with pytest.raises(ValueError, match=message):
        evaluate_boxes(truth, [])


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ([], r"result 0: A mask must have a polygon; received segment=\[\]"),
        ({"size": [9, 9], "counts": [81]}, r"\[100, 200\]; received size=\[9, 9\]"),
        ([[0, 0, 5, 5]], r"result 0: A polygon .* at least 3 points"),
    ],
)
def test_masks_that_mean_nothing_are_named(segment, message):
    truth = ground_truth([])
    found = {**result(1, 3, (0, 0, 9, 9), 0.5), "segmentation": segment}
    with pytest.raises(ValueError, match=message):
        evaluate_boxes(truth, [found], "segm")


@pytest.mark.parametrize("points", [[1, 2], [1, 2, math.nan], []])
def test_keypoints_that_mean_nothing_are_named(points):
    found = {**result(1, 3, (0, 0, 9, 9), 0.5), "keypoints": points}
    with pytest.raises(ValueError, match=r"3 per point; received keypoints=\["):
        evaluate_boxes(ground_truth([]), [found], "keypoints")


def test_repeated_or_missing_lists_are_named():
    truth = ground_truth([])
    with pytest.raises(ValueError, match=r"received one without \['categories'\]"):
        evaluate_boxes({"images": truth["images"], "annotations": []}, [])
    with pytest.raises(
        ValueError, match=r"at least one entry in images; .*images=\[\]"
    ):
        evaluate_boxes({**truth, "images": []}, [])
    with pytest.raises(
        ValueError, match=r"ids of images must .* more than once: \[1, 2\]"
    ):
        evaluate_boxes({**truth, "images": truth["images"] * 2}, [])
    with pytest.raises(
        ValueError, match=r"ids of categories must .* more than once: \[3, 17, 90\]"
    ):
        evaluate_boxes({**truth, "categories": truth["categories"] * 2}, [])
    many = ground_truth([], images=30)
    with pytest.raises(ValueError, match=r"19, 20, \.\.\. \(30 in all\)\]; received"):
        evaluate_boxes(many, [result(0, 3, (0, 0, 9, 9), 0.5)])


def test_masks_that_reach_far_away_are_measured_by_what_is_in_the_photo():
    far = 1e9  # to draw it all would end the process
    truth = ground_truth([(1, 3, (0, 0, 200, 50))])
    truth["annotations"][0]["segmentation"] = [[0, 0, 200, 0, 200, 50, 0, 50]]
    found = [result(1, 3, (0, 0, 200, 50), 0.3)]
    found[0]["segmentation"] = [[-far, -far, far, -far, far, 50, -far, 50]]
    assert evaluate_boxes(truth, found, "segm").values["AP"] == pytest.approx(1)
    found[0]["segmentation"] = [[-far, 60, far, 60, far, far, -far, far]]
    assert evaluate_boxes(truth, found, "segm").values["AP"] == 0


# One object of area 400, so that s * s is 400, with two keypoints whose sigmas are 0.1:
# the similarity of a keypoint d pixels away is exp(-d^2 / (2 * 400 * (2 * 0.1)^2)), and
# 2 * 400 * 0.04 = 32.
def keypoint_case(distances, visible=(2, 2), sigmas=(0.1, 0.1)):
    """AP at each threshold of one detection, distances of its keypoints given."""
    points = np.array([[10.0, 10.0], [30.0, 20.0]])
    flags = np.array(visible, float)[:, None]
    truth = ground_truth([(1, 3, (5, 5, 40, 20))])
    truth["annotations"][0] |= {
        "keypoints": np.hstack([points, flags]).ravel().tolist(),
        "area": 400.0,
    }
    moved = points + [[distance, 0] for distance in distances]
    scores = np.full((2, 1), 0.5)
    found = result(1, 3, (5, 5, 40, 20), 0.9)
    found["keypoints"] = np.hstack([moved, scores]).ravel().tolist()
    metrics = evaluate_boxes(truth, [found], "keypoints", sigmas=sigmas)
    return np.nanmean(metrics.precision, axis=(1, 2))  # NaN: other classes


@pytest.mark.parametrize(
    ("distances", "similarity"),
    [
        ((0, 0), 1.0),
        ((4, 0), (np.exp(-0.5) + 1) / 2),  # 16 / 32; 0.803
        ((4, 4), np.exp(-0.5)),  # 0.607
        ((0, 100), 0.5),
        ((100, 100), 0.0),
    ],
)
def test_the_similarity_of_keypoints_is_the_mean_of_theirs(distances, similarity):
    thresholds = np.linspace(0.5, 0.95, 10)
    expected = (similarity >= thresholds - 1e-9).astype(float)  # 0.5 is reached
    assert_allclose(keypoint_case(distances), expected, atol=1e-6)


def test_keypoints_that_are_not_annotated_are_not_compared():
    expected = np.ones(10)
    assert_allclose(keypoint_case((0, 100), visible=(2, 0)), expected, atol=1e-6)
    assert keypoint_case((0, 100), visible=(1, 1)).sum() < 2


def test_larger_sigmas_forgive_more():
    # 16 / (2 * 400 * 0.16) = 0.125, and exp(-0.125) is 0.88.
    assert_allclose(keypoint_case((4, 4), sigmas=(0.2, 0.2)).sum(), 8, atol=1e-6)
    assert_allclose(keypoint_case((4, 4)).sum(), 3, atol=1e-6)
