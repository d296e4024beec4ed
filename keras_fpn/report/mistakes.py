"""The worst mistakes: what was found where nothing is, and what was missed."""

import collections
import contextlib
import dataclasses
import io

import numpy as np
from pycocotools import mask as masks

from keras_fpn.metrics.coco import coco_evaluator

MATCH_IOU = 0.5  # as in AP50
NEAR_IOU = 0.1  # what overlaps less has nothing to do with an object
PER_PHOTO = 2  # mistakes of a kind, so that one bad photo does not fill the list

WRONG_CLASS = "wrong class"
DUPLICATE = "found twice"
LOOSE = "badly placed"
BACKGROUND = "fits no object"
UNFOUND = "not found"
SHARED = "one box for two objects"


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A detection without an object, or an object without a detection.

    Attributes:
        image_id: int.
        category_id: int, of the detection or of the missed object.
        box: 4 floats, xyxy, the photo's own pixels.
        score: float, of the detection; None for a missed object.
        reason: str, one of this module's.
        other_box: 4 floats or None: the object that was there, the detection that
            came near.
        other_category_id: int or None.
        other_score: float or None, of the detection that came near.
    """

    image_id: int
    category_id: int
    box: tuple[float, ...]
    score: float | None
    reason: str
    other_box: tuple[float, ...] | None = None
    other_category_id: int | None = None
    other_score: float | None = None


def find_mistakes(ground_truth, results, count=24):
    """Returns the worst false positives and the worst misses.

    A detection is right if it is matched with an object of its class at an IoU of 0.5,
    best scores first, as pycocotools does for AP50. Worst are the false positives with
    the highest scores, and the largest objects that no detection was matched with.

    Args:
        ground_truth, results: as `evaluate_boxes` takes them.
        count: int, mistakes of each kind at most.

    Returns:
        false_positives, misses: two lists of `Mistake`, the worst first.

    Raises:
        ValueError: as `evaluate_boxes`.
    """
    objects = ground_truth["annotations"]
    unmatched, missed = _unmatched(ground_truth, results)
    unmatched.sort(key=lambda place: -results[place]["score"])
    missed.sort(
        key=lambda place: -objects[place]["bbox"][2] * objects[place]["bbox"][3]
    )
    countable = _by_image(one for one in objects if not one.get("iscrowd", 0))
    found = _by_image(results)
    false_positives = [
        _mistake(results[place], countable, DUPLICATE, BACKGROUND)
        for place in _spread(unmatched, results, count)
    ]
    misses = [
        _mistake(objects[place], found, SHARED, UNFOUND)
        for place in _spread(missed, objects, count)
    ]
    return false_positives, misses


def _by_image(entries):
    images = collections.defaultdict(list)
    for entry in entries:
        images[entry["image_id"]].append(entry)
    return images


def _unmatched(ground_truth, results):
    """Returns the places of wrong results and of missed annotations, lists of int."""
    evaluator, _ = coco_evaluator(ground_truth, results, "bbox")
    params = evaluator.params
    params.iouThrs = np.array([MATCH_IOU])
    params.areaRng, params.areaRngLbl = params.areaRng[:1], params.areaRngLbl[:1]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.evaluate()
    wrong, missed = [], []
    for match in filter(None, evaluator.evalImgs):
        for numbers, matches, ignored, places in (
            (match["dtIds"], match["dtMatches"][0], match["dtIgnore"][0], wrong),
            (match["gtIds"], match["gtMatches"][0], match["gtIgnore"], missed),
        ):
            alone = np.logical_not(matches) & np.logical_not(ignored)
            places += [numbers[i] - 1 for i in np.flatnonzero(alone)]
    return wrong, missed


def _spread(places, entries, count):
    """Returns the first places, but few of one image."""
    taken: list[int] = []
    of_image: collections.Counter = collections.Counter()
    for place in places:
        image_id = entries[place]["image_id"]
        of_image[image_id] += 1
        if of_image[image_id] <= PER_PHOTO and len(taken) < count:
            taken.append(place)
    return taken


def _mistake(entry, others, same_class, alone):
    """Returns the Mistake of a detection or an object, by what overlaps it most.

    Args:
        entry: dict, an annotation or a result.
        others: dict of image id to list of dict, results or annotations.
        same_class: str, the reason if one of its class would match it.
        alone: str, the reason if nothing comes near.
    """
    there = others[entry["image_id"]]
    overlaps = _overlaps(entry, there)
    same = np.array([o["category_id"] == entry["category_id"] for o in there], bool)
    for reason, candidates in (
        (same_class, same & (overlaps >= MATCH_IOU)),
        (WRONG_CLASS, ~same & (overlaps >= MATCH_IOU)),
        (LOOSE, same & (overlaps >= NEAR_IOU)),
    ):
        if candidates.any():
            other = there[int(np.argmax(np.where(candidates, overlaps, -1)))]
            return Mistake(
                **_fields(entry),
                reason=reason,
                other_box=_xyxy(other["bbox"]),
                other_category_id=other["category_id"],
                other_score=other.get("score"),
            )
    return Mistake(**_fields(entry), reason=alone)


def _fields(entry):
    return {
        "image_id": entry["image_id"],
        "category_id": entry["category_id"],
        "box": _xyxy(entry["bbox"]),
        "score": entry.get("score"),
    }


def _overlaps(entry, others):
    """Returns the IoU of an entry's box with each of the others, float (n,)."""
    boxes = np.array([other["bbox"] for other in others], float)
    own = np.array([entry["bbox"]], float)
    return np.ravel(masks.iou(boxes, own, [0]))  # without others an empty list


def _xyxy(box):
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height
