"""Checks and copies ground truth and results in COCO's form, for pycocotools.

pycocotools changes the dicts that it is given, treats a match with an annotation of id
0 as no match, and sorts ids as floats, which rounds large ones. Therefore it gets
copies, with ids replaced by their ranks, from 1.
"""

import collections
import dataclasses
import math
import numbers
from collections.abc import Iterable, Sequence

from keras_fpn.data.segments import check_segment, segment_area, segment_runs
from keras_fpn.run_lengths import SHOWN

KINDS = ("bbox", "segm", "keypoints")
_SIDES = ("height", "width")


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """Ground truth, checked for one kind of evaluation.

    Attributes:
        kind: one of KINDS.
        images, categories: dict of id to rank, from 1.
        sizes: height and width of the images, by rank - 1; empty unless masks are
            evaluated.
        annotations: dicts as pycocotools needs them.
    """

    kind: str
    images: dict[int, int]
    categories: dict[int, int]
    sizes: list[tuple[int, int]]
    annotations: list[dict]


def checked_ground_truth(ground_truth: dict, kind: str):
    """Returns the `GroundTruth` of a dict in the form of COCO's annotation files.

    Raises:
        ValueError: there is no image or category, an id is repeated, or an annotation
            has an unknown id or lacks what this kind of evaluation needs.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}; received kind={kind!r}.")
    lists = "images", "annotations", "categories"
    absent = [name for name in lists if name not in ground_truth]
    if absent:
        raise ValueError(
            f"Ground truth must have the keys {lists}; received one without {absent}."
        )
    for name in lists:
        if not _are_dicts(ground_truth[name]):
            raise ValueError(
                f"Ground truth must have a list of dicts as {name!r}; received "
                f"{str(ground_truth[name])[:SHOWN]}."
            )
    images = _ranks(ground_truth["images"], "images")
    categories = _ranks(ground_truth["categories"], "categories")
    sizes = []
    if kind == "segm":
        in_order = sorted(ground_truth["images"], key=lambda image: image["id"])
        sizes = [tuple(_side(image, name) for name in _SIDES) for image in in_order]
    checked = GroundTruth(kind, images, categories, sizes, [])
    for number, entry in enumerate(ground_truth["annotations"], 1):
        where = f"annotation id={str(entry.get('id', number))[:SHOWN]}"
        own = _identity(entry, number, checked, where)
        own["iscrowd"] = _crowd(entry, where)
        area = _shape(entry, own, checked, where)
        if kind == "keypoints":
            own["bbox"] = _box(entry, where)
            own["num_keypoints"] = sum(flag > 0 for flag in own["keypoints"][2::3])
            area = own["bbox"][2] * own["bbox"][3]
        given = entry.get("area") is not None
        own["area"] = _number(entry, "area", where) if given else area
        checked.annotations.append(own)
    return checked


def checked_results(results: Iterable[dict], ground_truth: GroundTruth):
    """Returns COCO's results as pycocotools needs them, list of dict.

    Only what is evaluated is copied: if a mask came with a box, pycocotools would
    classify the mask as small or large by the area of the box.

    Args:
        results: dicts in the form of COCO's results.
        ground_truth: what they are compared with.

    Raises:
        ValueError: as `checked_ground_truth`.
    """
    checked = []
    for number, entry in enumerate(results):
        where = f"result {number}"
        if not isinstance(entry, dict):
            raise ValueError(
                f"Results must be dicts; received {str(entry)[:SHOWN]} as {where}."
            )
        own = _identity(entry, number + 1, ground_truth, where)
        own["iscrowd"] = 0
        own["score"] = _number(entry, "score", where)
        own["area"] = _shape(entry, own, ground_truth, where)
        checked.append(own)
    return checked


def _ranks(entries, what):
    """Returns the rank of each entry's id among them, from 1."""
    if not entries:
        raise ValueError(
            f"Ground truth must have at least one entry in {what}; received {what}=[]."
        )
    ids = [_whole(entry.get("id"), f"The ids of {what}") for entry in entries]
    twice = sorted(number for number, n in collections.Counter(ids).items() if n > 1)
    if twice:
        raise ValueError(
            f"The ids of {what} must be unique; received more than once: "
            f"{shortened(twice)}."
        )
    return {number: rank for rank, number in enumerate(sorted(ids), 1)}


def _identity(entry, number, ground_truth, where):
    """Returns a new entry's ids."""
    images, categories = ground_truth.images, ground_truth.categories
    return {
        "id": number,
        "image_id": _rank(entry, "image_id", images, "images", where),
        "category_id": _rank(entry, "category_id", categories, "categories", where),
    }


def _are_dicts(entries):
    return isinstance(entries, (list, tuple)) and all(
        isinstance(entry, dict) for entry in entries
    )


def _side(image, name):
    """Returns the height or width of an image, int."""
    where = f"image id={image['id']}"
    side = _whole(_field(image, name, where), f"The {name} of images")
    if side < 1:
        raise ValueError(
            f"The {name} of images must be 1 or more; received {side} in {where}."
        )
    return side


def _crowd(entry, where):
    """Returns whether an annotation is a crowd region, 0 or 1."""
    value = entry.get("iscrowd", 0)
    if not isinstance(value, numbers.Real) or value not in (0, 1):
        raise ValueError(
            f"iscrowd must be 0 or 1; received iscrowd={repr(value)[:SHOWN]} in "
            f"{where}."
        )
    return int(value == 1)


def _shape(entry, own, ground_truth, where):
    """Copies an entry's box, mask or keypoints; returns their area, square pixels."""
    if ground_truth.kind == "segm":
        segment = _field(entry, "segmentation", where)
        size = ground_truth.sizes[own["image_id"] - 1]
        own["segmentation"] = _run_lengths(segment, size, where)
        return segment_area(segment)
    if ground_truth.kind == "keypoints":
        points = own["keypoints"] = _points(entry, where)
        x, y = points[0::3], points[1::3]
        return (max(x) - min(x)) * (max(y) - min(y))
    box = own["bbox"] = _box(entry, where)
    return box[2] * box[3]


def _run_lengths(segment, size, where):
    """Returns an object's mask as COCO's compressed run lengths."""
    try:
        check_segment(segment, size)
        if not segment:
            raise ValueError("A mask must have a polygon; received segment=[].")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return segment_runs(segment, size)


def _box(entry, where):
    """Returns x, y, width, height, list of float."""
    values = _floats(_field(entry, "bbox", where))
    if len(values) != 4 or values[2] < 0 or values[3] < 0:
        raise ValueError(
            "bbox must be finite x, y, width and height, the last two not negative; "
            f"received bbox={str(entry['bbox'])[:SHOWN]} in {where}."
        )
    return values


def _points(entry, where):
    """Returns x, y and visibility or score of each keypoint in turn, list of float."""
    values = _floats(_field(entry, "keypoints", where))
    if not values or len(values) % 3:
        raise ValueError(
            "keypoints must be finite numbers, 3 per point; received "
            f"keypoints={str(entry['keypoints'])[:SHOWN]} in {where}."
        )
    return values


def _floats(values):
    """Returns values as list of float; an empty list if one is not a finite number."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return []
    values = list(values)
    return [float(value) for value in values] if all(map(_is_finite, values)) else []


def _is_finite(value):
    """Returns whether a value is a number that a float can hold."""
    try:
        return isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _number(entry, name, where):
    value = _field(entry, name, where)
    if not _is_finite(value):
        raise ValueError(
            f"{name} must be a finite number; received {name}={repr(value)[:SHOWN]} in "
            f"{where}."
        )
    return float(value)


def _field(entry, name, where):
    if entry.get(name) is None:
        raise ValueError(
            f"Each object to evaluate must have {name!r}; received {where} with "
            f"{str(sorted(entry))[:SHOWN]}."
        )
    return entry[name]


def _rank(entry, name, ranks, what, where):
    """Returns the rank of the image or category that an entry names."""
    number = _whole(_field(entry, name, where), name)
    if number not in ranks:
        raise ValueError(
            f"{name} must be one of the ground truth's {what}, "
            f"{shortened(sorted(ranks))}; received {name}={number} in {where}."
        )
    return ranks[number]


def _whole(number, what):
    if not isinstance(number, numbers.Integral) or isinstance(number, bool):
        raise ValueError(
            f"{what} must be integers, as in COCO's files; received "
            f"{repr(number)[:SHOWN]}."
        )
    return int(number)


def shortened(values: Sequence, most: int = 20):
    """Returns a list as text; of a long one, only the first values and their number."""
    if len(values) <= most:
        return str(list(values))
    return f"{str(list(values[:most]))[:-1]}, ... ({len(values)} in all)]"
