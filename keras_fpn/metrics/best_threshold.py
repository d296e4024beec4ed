"""The score from which on a detector's boxes are best taken, and what they then are."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as masks

from keras_fpn.metrics.coco import coco_evaluator, quietly

MATCH_IOU = 0.5  # as in AP50
# Two decimals are enough to be typed. A detection counts if its score is above.
THRESHOLDS = np.arange(100) / 100


@dataclasses.dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Precision and recall by the score threshold, and more at the best one.

    A detection is right if it is matched with an object of its class at an IoU of 0.5,
    highest scores first. Detections in crowd regions do not count. All classes are
    counted together.

    Attributes:
        threshold: 0..1, the score above which detections count: that of the best F1,
            the harmonic mean of precision and recall; of several equal ones, which
            follow each other, that in the middle.
        precisions: float (100,), 0..1, the share of detections that are right, for
            scores above `THRESHOLDS`; NaN where there is no detection.
        recalls: float (100,), 0..1, the share of objects that are found.
        found: int (K,), detections of each class with a score above the threshold.
        confusion: int (K + 1, K + 1), objects of each class (rows) by the class of the
            detection at the threshold that is matched with them (columns). Detections
            of the right class are matched first; the others, highest scores first, with
            the objects that are left. The last column is of objects without a
            detection, the last row of detections without an object.
        class_thresholds: float (K,), 0..1, the threshold that is best for each class
            alone; NaN for a class of which no detection is right.
        class_recalls: float (K,), 0..1, the share of each class's objects that are
            found above its own threshold; NaN likewise.
    """

    threshold: float
    precisions: np.ndarray
    recalls: np.ndarray
    found: np.ndarray
    confusion: np.ndarray
    class_thresholds: np.ndarray
    class_recalls: np.ndarray

    @property
    def f1s(self):
        """float (100,), 0..1, for scores above `THRESHOLDS`; 0 if nothing is found."""
        return _f1s(self.precisions, self.recalls)

    @property
    def values(self):
        """dict of "F1", "precision" and "recall" at the threshold, 0..1."""
        curves = {"F1": self.f1s, "precision": self.precisions, "recall": self.recalls}
        place = round(self.threshold * 100)
        return {name: float(curve[place]) for name, curve in curves.items()}

    def __repr__(self):
        return f"<OperatingPoint {self.threshold:.2f}: F1 {self.values['F1']:.3f}>"

    def to_dict(self):
        """Returns the thresholds and the numbers at `threshold`; JSON can hold it."""
        own = [None if np.isnan(one) else one for one in self.class_thresholds.tolist()]
        return {"threshold": self.threshold, **self.values, "class_thresholds": own}


def operating_point(ground_truth: dict, results: Sequence[dict]):
    """Returns the `OperatingPoint` of detections; None if none above 0 is right.

    Args:
        ground_truth, results: as for `keras_fpn.metrics.evaluate_boxes`.

    Raises:
        ValueError: as `evaluate_boxes`.
    """
    objects = ground_truth["annotations"]
    matches = matches_of(ground_truth, results)
    labels = {one["id"]: i for i, one in enumerate(ground_truth["categories"])}
    countable = collections.Counter(
        one["category_id"] for one in objects if not one.get("iscrowd", 0)
    )
    precisions, recalls = _curves(matches, countable.total())
    if not recalls.any():
        return None
    threshold = float(THRESHOLDS[_best_place(precisions, recalls)])
    found = collections.Counter(
        labels[one["category_id"]] for one in results if one["score"] > threshold
    )
    class_thresholds, class_recalls = _by_class(matches, countable, labels)
    return OperatingPoint(
        threshold,
        precisions,
        recalls,
        found=np.array([found[label] for label in range(len(labels))]),
        confusion=_confusion(matches, objects, results, labels, threshold),
        class_thresholds=class_thresholds,
        class_recalls=class_recalls,
    )


def matches_of(ground_truth: dict, results: Sequence[dict]):
    """Returns what pycocotools matches at an IoU of 0.5, list of its dicts.

    There is one for each photo and class with an object or a detection. Its ids are
    indices of annotations and of results, those of categories their ranks, all from 1.

    Args:
        ground_truth, results: as for `keras_fpn.metrics.evaluate_boxes`.
    """
    evaluator, _ = coco_evaluator(ground_truth, results, "bbox")
    params = evaluator.params
    params.iouThrs = np.array([MATCH_IOU])
    params.areaRng, params.areaRngLbl = params.areaRng[:1], params.areaRngLbl[:1]
    quietly(evaluator.evaluate)
    return [match for match in evaluator.evalImgs if match is not None]


def _f1s(precisions, recalls):
    """Returns the harmonic means of precisions and recalls; 0 if nothing is found."""
    found = np.nan_to_num(precisions)
    sums = found + recalls
    return 2 * found * recalls / np.where(sums == 0, 1, sums)


def _curves(matches, count):
    """Returns precisions and recalls, float (100,) each, of matches with count objects.

    They are those of `OperatingPoint`.
    """
    right = _scores(matches, True)
    taken = np.concatenate([right, _scores(matches, False)])
    hits = np.array([(right > one).sum() for one in THRESHOLDS])
    counts = np.array([(taken > one).sum() for one in THRESHOLDS])
    precisions = np.where(counts, hits / np.maximum(counts, 1), np.nan)
    return precisions, hits / max(count, 1)


def _by_class(matches, countable, labels):
    """Returns `OperatingPoint.class_thresholds` and `class_recalls`.

    Args:
        countable: dict of category id -> number of objects outside crowd regions.
        labels: dict of category id -> label.
    """
    parts = collections.defaultdict(list)
    for match in matches:
        parts[match["category_id"]].append(match)
    thresholds, recalls = np.full((2, len(labels)), np.nan)
    for rank, number in enumerate(sorted(labels), 1):
        label = labels[number]
        precisions, found = _curves(parts[rank], countable[number])
        if found.any():
            place = _best_place(precisions, found)
            thresholds[label], recalls[label] = THRESHOLDS[place], found[place]
    return thresholds, recalls


def _scores(matches, right):
    """Returns the scores of right or of wrong detections, float (n,)."""
    scores = [np.zeros(0)]
    for match in matches:
        counts = np.logical_not(match["dtIgnore"][0])
        matched = match["dtMatches"][0] > 0
        scores.append(np.array(match["dtScores"])[counts & (matched == right)])
    return np.concatenate(scores)


def _best_place(precisions, recalls):
    """Returns the index in the middle of the first run of the largest F1s."""
    values = _f1s(precisions, recalls)
    best = np.flatnonzero(values == values.max())
    run = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)[0]
    return run[len(run) // 2]


def _confusion(matches, objects, results, labels, threshold):
    """Returns `OperatingPoint.confusion`."""
    counts = np.zeros((len(labels) + 1,) * 2, int)
    wrong, missed = collections.defaultdict(list), collections.defaultdict(list)
    for match in matches:
        image = match["image_id"]
        above = np.array(match["dtScores"]) > threshold
        hit = {int(one) for one in match["dtMatches"][0][above] if one}
        for place in np.flatnonzero(above & ~match["dtIgnore"][0].astype(bool)):
            number = match["dtIds"][place]
            if not match["dtMatches"][0][place]:
                wrong[image].append(results[number - 1])
        for number, ignored in zip(match["gtIds"], match["gtIgnore"], strict=True):
            if ignored:
                continue
            one = objects[number - 1]
            if number in hit:
                label = labels[one["category_id"]]
                counts[label, label] += 1
            else:
                missed[image].append(one)
    for image in wrong.keys() | missed.keys():
        for one, other in _pairs(missed[image], wrong[image]):
            row, column = (
                -1 if entry is None else labels[entry["category_id"]]
                for entry in (one, other)
            )
            counts[row, column] += 1
    return counts


def _pairs(objects, found):
    """Yields (object, detection) of a photo, either of which may be None.

    Detections choose among the objects that are left, highest scores first.
    """
    left = list(objects)
    for one in sorted(found, key=lambda entry: -entry["score"]):
        boxes = np.array([other["bbox"] for other in left], float)
        overlaps = np.ravel(masks.iou(boxes, np.array([one["bbox"]], float), [0]))
        if len(left) and overlaps.max() >= MATCH_IOU:
            yield left.pop(int(overlaps.argmax())), one
        else:
            yield None, one
    yield from ((one, None) for one in left)
