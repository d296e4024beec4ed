"""The worst mistakes: wrong detections and missed objects."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as masks

from keras_fpn.metrics.best_threshold import MATCH_IOU, matches_of

NEAR_IOU = 0.1  # a detection that overlaps an object less is unrelated to it
PER_PHOTO = 2  # mistakes of each kind, so that one bad photo does not fill the list

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
        image_id: the photo's.
        category_id: of the detection or of the missed object.
        box: xyxy, the photo's own pixels.
        score: of the detection; None for a missed object.
        reason: one of the constants of this module, such as WRONG_CLASS.
        other_box: for a detection, the object that it overlaps; for an object, the
            detection that overlaps it; None if there is none.
        other_category_id: of the other box.
        other_score: of the other box, if that is a detection.
        matched_box: for SHARED, the object that the detection is matched with.
    """

    image_id: int
    category_id: int
    box: tuple[float, ...]
    score: float | None
    reason: str
    other_box: tuple[float, ...] | None = None
    other_category_id: int | None = None
    other_score: float | None = None
    matched_box: tuple[float, ...] | None = None


def find_mistakes(ground_truth: dict, results: Sequence[dict], count: int = 24):
    """Returns the worst false positives and the worst misses.

    A detection is right if it is matched with an object of its class at an IoU of 0.5,
    highest scores first, as pycocotools does for AP50. The worst false positives are
    those with the highest scores, the worst misses the largest objects without a
    matched detection.

    Args:
        ground_truth, results: as for `keras_fpn.metrics.evaluate_boxes`.
        count: maximum number of mistakes of each kind.

    Returns:
        false_positives, misses: two lists of `Mistake`, the worst first.

    Raises:
        ValueError: as `evaluate_boxes`.
    """
    objects = ground_truth["annotations"]
    matches = matches_of(ground_truth, results)
    unmatched, missed = _unmatched(matches)
    matched = _matched(matches)
    unmatched.sort(key=lambda i: -results[i]["score"])
    missed.sort(key=lambda i: -objects[i]["bbox"][2] * objects[i]["bbox"][3])
    countable = _by_image(one for one in objects if not one.get("iscrowd", 0))
    found = _by_image(
        {**one, "matched": objects[matched[i]]["bbox"] if i in matched else None}
        for i, one in enumerate(results)
    )
    false_positives = [
        _mistake(results[i], countable, DUPLICATE, BACKGROUND)
        for i in _spread(unmatched, results, count)
    ]
    misses = [
        _mistake(objects[i], found, SHARED, UNFOUND)
        for i in _spread(missed, objects, count)
    ]
    return false_positives, misses


def _by_image(entries):
    images = collections.defaultdict(list)
    for entry in entries:
        images[entry["image_id"]].append(entry)
    return images


def _unmatched(matches_of_all):
    """Returns the indices of wrong results and of missed annotations, lists of int."""
    wrong, missed = [], []
    for match in matches_of_all:
        for numbers, matches, ignored, indices in (
            (match["dtIds"], match["dtMatches"][0], match["dtIgnore"][0], wrong),
            (match["gtIds"], match["gtMatches"][0], match["gtIgnore"], missed),
        ):
            alone = np.logical_not(matches) & np.logical_not(ignored)
            indices += [numbers[i] - 1 for i in np.flatnonzero(alone)]
    return wrong, missed


def _matched(matches_of_all):
    """Returns the index of the annotation that each right result is matched with."""
    return {
        int(number) - 1: int(one) - 1
        for match in matches_of_all
        for number, one in zip(match["dtIds"], match["dtMatches"][0], strict=True)
        if one
    }


def _spread(indices, entries, count):
    """Returns the first indices, with at most `PER_PHOTO` of each image."""
    taken: list[int] = []
    of_image: collections.Counter = collections.Counter()
    for index in indices:
        image_id = entries[index]["image_id"]
        of_image[image_id] += 1
        if of_image[image_id] <= PER_PHOTO and len(taken) < count:
            taken.append(index)
    return taken


def _mistake(entry, others, same_class, alone):
    """Returns the `Mistake` of a detection or an object, by what overlaps it most.

    Args:
        entry: dict, a result or an annotation.
        others: image id -> list of dict, annotations or results, respectively.
        same_class: str, the reason if one of the same class would match it.
        alone: str, the reason if nothing overlaps it.
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
            matched = other["matched"] if reason == SHARED else None
            return Mistake(
                **_fields(entry),
                reason=reason,
                other_box=_xyxy(other["bbox"]),
                other_category_id=other["category_id"],
                other_score=other.get("score"),
                matched_box=None if matched is None else _xyxy(matched),
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
    return np.ravel(masks.iou(boxes, own, [0]))  # of an empty list, if no others


def _xyxy(box):
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height
