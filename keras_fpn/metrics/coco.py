"""COCO's numbers: average precision and recall, overall, by class and by scale."""

import collections
import contextlib
import dataclasses
import io
from collections.abc import Callable, Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_fpn.metrics.check import checked_ground_truth, checked_results

# Name -> curve, IoU threshold (None: mean of all ten), scale, detections per image.
_OBJECT_NUMBERS = {
    "AP": ("precision", None, "all", 100),
    "AP50": ("precision", 0.5, "all", 100),
    "AP75": ("precision", 0.75, "all", 100),
    "AP_small": ("precision", None, "small", 100),
    "AP_medium": ("precision", None, "medium", 100),
    "AP_large": ("precision", None, "large", 100),
    "AR1": ("recall", None, "all", 1),
    "AR10": ("recall", None, "all", 10),
    "AR100": ("recall", None, "all", 100),
    "AR_small": ("recall", None, "small", 100),
    "AR_medium": ("recall", None, "medium", 100),
    "AR_large": ("recall", None, "large", 100),
}
_KEYPOINT_NUMBERS = {
    f"{short}{suffix}": (curve, threshold, scale, 20)
    for short, curve in (("AP", "precision"), ("AR", "recall"))
    for suffix, threshold, scale in (
        ("", None, "all"),
        ("50", 0.5, "all"),
        ("75", 0.75, "all"),
        ("_medium", None, "medium"),
        ("_large", None, "large"),
    )
}
_NUMBERS = {
    "bbox": _OBJECT_NUMBERS,
    "segm": _OBJECT_NUMBERS,
    "keypoints": _KEYPOINT_NUMBERS,
}


@dataclasses.dataclass(frozen=True)
class ClassMetrics:
    """One class's numbers.

    Attributes:
        name: the class's name.
        category_id: its id in the ground truth.
        objects: number of its objects, without crowd regions.
        detections: number of its detections.
        values: as in `Metrics`.
    """

    name: str
    category_id: int
    objects: int
    detections: int
    values: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Metrics:
    """The result of COCO's evaluation.

    Attributes:
        kind: "bbox", "segm" or "keypoints".
        values: name to number, 0..1. For boxes and masks COCO's 12: AP, AP50, AP75,
            AP_small, AP_medium, AP_large, AR1, AR10, AR100, AR_small, AR_medium,
            AR_large; for keypoints 10. NaN, where pycocotools says -1, if there are no
            objects that a number is about.
        per_class: K of them, in the order of the ground truth.
        precision: float (T, 101, K), 0..1, over objects of all scales, at the T IoU
            thresholds and the 101 recall points; NaN for a class without objects.
        scores: float (T, 101, K), the lowest score of the detections that are needed
            for this recall; 0 where it is not reached.
        iou_thresholds: float (T,), 0.5 to 0.95.
        recall_points: float (101,), 0 to 1.
        images, objects, detections: their numbers, without crowd regions.
    """

    kind: str
    values: dict[str, float]
    per_class: tuple[ClassMetrics, ...]
    precision: np.ndarray
    scores: np.ndarray
    iou_thresholds: np.ndarray
    recall_points: np.ndarray
    images: int
    objects: int
    detections: int

    def __repr__(self):
        return f"<Metrics of {self.kind}: {in_percent(self.values)}>"

    def to_dict(self):
        """Returns all but the curves as a dict that JSON can hold; None for NaN."""
        return json_metrics(self, "kind", "images", "objects", "detections")


def in_percent(values: dict[str, float], count: int = 3):
    """Returns the first numbers as text: "AP 37.0 %, AP50 58.5 %"."""
    shown = list(values.items())[:count]
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in shown)


def json_metrics(metrics, *fields: str):
    """Returns fields, "values" and "per_class" as a dict that JSON can hold."""
    return {
        **{name: getattr(metrics, name) for name in fields},
        "values": json_numbers(metrics.values),
        "per_class": [
            {**dataclasses.asdict(one), "values": json_numbers(one.values)}
            for one in metrics.per_class
        ],
    }


def json_numbers(values: dict[str, float]):
    """Returns the dict with None, JSON's null, instead of NaN."""
    return {name: None if np.isnan(v) else v for name, v in values.items()}


def evaluate_boxes(
    ground_truth: dict,
    results: Sequence[dict],
    kind: str = "bbox",
    sigmas: Sequence[float] | None = None,
):
    """Returns COCO's numbers for boxes, masks or keypoints, computed by pycocotools.

    Detections in images without objects count as wrong. Without any detection the
    numbers are 0. Nothing is printed, and the arguments are not changed.

    Args:
        ground_truth: in the form of COCO's annotation files; see `coco_ground_truth`.
            "iscrowd" defaults to 0, "area" to that of the box or mask.
        results: in the form of COCO's results; see `detections_to_coco`.
        kind: what is compared: "bbox", "segm" (masks) or "keypoints".
        sigmas: J numbers, the spread of each keypoint relative to the size of its
            object; None for those of COCO's 17 keypoints of a person.

    Returns:
        `Metrics`.

    Raises:
        ValueError: an image or category is not in the ground truth, an id of the ground
            truth is repeated, or a number is missing or not finite.
    """
    evaluator, checked = coco_evaluator(ground_truth, results, kind, sigmas)
    quietly(evaluator.evaluate, evaluator.accumulate)
    params = evaluator.params
    categories = ground_truth["categories"]
    ranks = [checked.categories[category["id"]] for category in categories]
    curves = {
        # recall (T, K, A, M), the others (T, R, K, A, M)
        name: np.where(values < 0, np.nan, values).take(np.array(ranks) - 1, axis=-3)
        for name, values in evaluator.eval.items()
        if name in ("precision", "recall", "scores")
    }
    numbers = _NUMBERS[kind]
    objects = collections.Counter(
        a["category_id"] for a in checked.annotations if not a["iscrowd"]
    )
    found = collections.Counter(
        result["category_id"] for result in evaluator.cocoDt.dataset["annotations"]
    )
    return Metrics(
        kind=kind,
        values={name: _mean(curves, params, *what) for name, what in numbers.items()},
        per_class=tuple(
            ClassMetrics(
                name=str(category["name"]),
                category_id=int(category["id"]),
                objects=objects[rank],
                detections=found[rank],
                values={
                    name: _mean(curves, params, *what, classes=[label])
                    for name, what in numbers.items()
                },
            )
            for label, (category, rank) in enumerate(
                zip(categories, ranks, strict=True)
            )
        ),
        precision=curves["precision"][..., 0, -1],
        scores=curves["scores"][..., 0, -1],
        iou_thresholds=params.iouThrs,
        recall_points=params.recThrs,
        images=len(ground_truth["images"]),
        objects=objects.total(),
        detections=found.total(),
    )


def coco_evaluator(
    ground_truth: dict,
    results: Sequence[dict],
    kind: str,
    sigmas: Sequence[float] | None = None,
):
    """Returns pycocotools' evaluator of checked copies, and the `GroundTruth`.

    In the copies, the ids of images and categories are their ranks, those of
    annotations and results their indices, all from 1.
    """
    checked = checked_ground_truth(ground_truth, kind)
    found = checked_results(results, checked)
    evaluator = COCOeval(
        _indexed(checked, checked.annotations), _indexed(checked, found), kind
    )
    if kind == "keypoints":
        if sigmas is not None:
            evaluator.params.kpt_oks_sigmas = np.asarray(sigmas, float)
        joints = len(evaluator.params.kpt_oks_sigmas)
        _check_joints([*checked.annotations, *found], joints)
    return evaluator, checked


def _indexed(ground_truth, annotations):
    """Returns pycocotools' index of annotations or results."""
    coco = COCO()
    images = [{"id": rank} for rank in range(1, len(ground_truth.images) + 1)]
    for image, (height, width) in zip(images, ground_truth.sizes, strict=False):
        image |= {"height": height, "width": width}
    coco.dataset = {
        "images": images,
        "categories": [{"id": rank} for rank in ground_truth.categories.values()],
        "annotations": annotations,
    }
    quietly(coco.createIndex)
    return coco


def quietly(*steps: Callable[[], object]):
    """Calls functions of pycocotools one after another, without what they print."""
    with contextlib.redirect_stdout(io.StringIO()):
        for step in steps:
            step()


def _check_joints(entries, joints):
    for entry in entries:
        if len(entry["keypoints"]) != 3 * joints:
            raise ValueError(
                f"Every object must have {joints} keypoints, as many as sigmas; "
                f"received {len(entry['keypoints']) // 3}. Pass sigmas for keypoints "
                "other than COCO's 17."
            )


def _mean(curves, params, curve, threshold, scale, most, classes=slice(None)):
    """Returns the mean that an entry of `_NUMBERS` defines; NaN over no objects."""
    values = curves[curve][
        ..., classes, params.areaRngLbl.index(scale), params.maxDets.index(most)
    ]
    if threshold is not None:
        values = values[np.isclose(params.iouThrs, threshold)]
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
