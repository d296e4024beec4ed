"""Average recall of proposals: how many objects they cover, whatever the class."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
from pycocotools import mask as masks

from keras_fpn.data.dataset import Dataset, Photo
from keras_fpn.data.segments import segment_runs
from keras_fpn.metrics.check import checked_ground_truth
from keras_fpn.metrics.coco import coco_evaluator, in_percent, json_numbers, quietly
from keras_fpn.models.compiled import compiled_call
from keras_fpn.preprocessing import boxes_to_photo, read_photo

LIMITS = (10, 100, 1000)
_LEAST_IOU = 0.49  # below the lowest threshold, 0.5, with room for rounding


@dataclasses.dataclass(frozen=True)
class ProposalRecall:
    """Average recall of proposals at IoU 0.5 to 0.95.

    Attributes:
        values: name to number, 0..1: AR100, AR100_small, AR100_medium, AR100_large
            with the best 100 proposals of each image, AR10 and AR1000 and their scales
            with 10 and 1000; NaN if there is no object of the scale.
        images, objects: their numbers, without crowd regions.
    """

    values: dict[str, float]
    images: int
    objects: int

    def __repr__(self):
        return f"<ProposalRecall: {in_percent(self.values)}>"

    def to_dict(self):
        """Returns everything as a dict that JSON can hold; None for NaN."""
        return {**dataclasses.asdict(self), "values": json_numbers(self.values)}


def evaluate_proposals(
    ground_truth: dict, proposals: Iterable[tuple], kind: str = "bbox"
):
    """Returns the recall of proposals, computed by pycocotools without classes.

    Args:
        ground_truth: in the form of COCO's annotation files; see `coco_ground_truth`.
        proposals: (image_id, boxes, scores) of each image, at most once: int; float
            (n, 4), xyxy, the photo's own pixels; float (n,). For masks, n COCO
            run-length dicts instead of boxes. It is iterated once, so a generator saves
            memory.
        kind: what is compared: "bbox" or "segm" (masks).

    Returns:
        `ProposalRecall`.

    Raises:
        ValueError: an image is not in the ground truth or comes twice, the numbers of
            boxes and scores differ, one is not finite, or an object has no mask.
    """
    checked = checked_ground_truth(ground_truth, kind)
    truth = {rank: [] for rank in checked.images.values()}
    for annotation in checked.annotations:
        truth[annotation["image_id"]].append(annotation)
    category = ground_truth["categories"][0]["id"]
    field = {"bbox": "bbox", "segm": "segmentation"}[kind]
    kept = {limit: [] for limit in LIMITS}
    seen = set()
    for image_id, shapes, scores in proposals:
        shapes, scores = _checked(image_id, shapes, scores, checked, seen)
        seen.add(image_id)
        order = np.argsort(-scores, kind="stable")
        own = truth[checked.images[image_id]]
        useful = _reaching([shapes[i] for i in order], own, field)
        for limit in LIMITS:
            kept[limit] += [
                {
                    "image_id": image_id,
                    "category_id": category,
                    field: shapes[i],
                    "score": float(scores[i]),
                }
                for i in order[:limit][useful[:limit]]
            ]
    values = {}
    for limit in LIMITS:
        values |= _recalls(ground_truth, kept[limit], limit, kind)
    objects = sum(not annotation["iscrowd"] for annotation in checked.annotations)
    return ProposalRecall(values, len(checked.images), objects)


def proposing(model):
    """Returns a function that finds a two-stage detector's proposals in a photo.

    Args:
        model: `keras_fpn.models.FasterRCNN`, or another detector with a `trunk` that
            has the outputs "rois" and "roi_scores".

    Returns:
        function of a photo (see `keras_fpn.preprocessing.read_photo`) that returns
        boxes, float32 (n, 4), xyxy, the photo's own pixels, and scores, float32 (n,),
        best first.

    Raises:
        ValueError: the model has no proposals.
    """
    outputs = getattr(getattr(model, "trunk", None), "output", {})
    if not {"rois", "roi_scores"} <= set(outputs):
        raise ValueError(
            "The model must be a two-stage detector, which has proposals; received a "
            f"{type(model).__name__}."
        )
    rois = {name: outputs[name] for name in ("rois", "roi_scores")}
    call = compiled_call(keras.Model(model.input, rois))

    def propose(photo):
        photo = read_photo(photo)
        inputs, [resized] = model.preprocessing.prepare([photo])
        found = {name: np.asarray(value)[0] for name, value in call(inputs).items()}
        proposed = found["roi_scores"] > 0  # not padding
        boxes = boxes_to_photo(found["rois"][proposed], resized, photo.shape[:2])
        return boxes, found["roi_scores"][proposed]

    return propose


def propose_photos(
    model,
    dataset: Dataset,
    progress: Callable[[Sequence[Photo]], Iterable[Photo]] = iter,
):
    """Returns a detector's proposals for all photos of a data set.

    With `keras_fpn.data.with_proposals` they are those of another data set, on which a
    `keras_fpn.models.FastRCNN` is trained.

    Args:
        model: as of `proposing`.
        dataset: `keras_fpn.data.Dataset`.
        progress: as of `evaluate_photos`.

    Returns:
        dict of image id -> (boxes, scores), as `keras_fpn.data.read_proposals` returns.

    Raises:
        ValueError: the model has no proposals, or a photo cannot be read.
    """
    propose = proposing(model)
    return {p.image_id: propose(p.path) for p in progress(dataset.photos)}


def _checked(image_id, shapes, scores, checked, seen):
    """Returns x, y, width, height of boxes, or run lengths, a list; and the scores."""
    if image_id not in checked.images or image_id in seen:
        reason = "came before" if image_id in seen else "is not in it"
        raise ValueError(
            "Each image of the ground truth must have proposals at most once; received "
            f"image_id={image_id}, which {reason}."
        )
    scores = np.asarray(scores, np.float64)
    finite = bool(np.isfinite(scores).all())
    if checked.kind == "segm":
        size = checked.sizes[checked.images[image_id] - 1]
        shapes = [segment_runs(shape, size) for shape in shapes]
        found, fits = f"{len(shapes)} masks", scores.shape == (len(shapes),)
    else:
        boxes = np.array(shapes, np.float64)
        boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
        found = f"boxes of shape {boxes.shape}"
        fits = boxes.shape == (*scores.shape, 4) and boxes.ndim == 2
        finite = finite and bool(np.isfinite(boxes).all())
        boxes[..., 2:] -= boxes[..., :2]
        shapes = boxes.tolist()
    if not (fits and finite):
        raise ValueError(
            "Proposals must be finite boxes (n, 4), or n masks, and scores (n,); "
            f"received {found} and scores of shape {scores.shape} for "
            f"image_id={image_id}, finite: {finite}."
        )
    return shapes, scores


def _reaching(shapes, annotations, field):
    """Returns bool (n,): which boxes or masks could be matched with an object.

    Most proposals overlap no object enough to change a recall. Without them pycocotools
    is much faster.
    """
    if not len(shapes) or not annotations:
        return np.zeros(len(shapes), bool)
    objects = [annotation[field] for annotation in annotations]
    crowd = [annotation["iscrowd"] for annotation in annotations]
    if field == "bbox":
        overlaps = masks.iou(np.array(shapes), np.array(objects), crowd)
    else:
        overlaps = masks.iou(shapes, objects, crowd)
    return overlaps.max(axis=1) >= _LEAST_IOU


def _recalls(ground_truth, results, limit, kind):
    """Returns the recall at one limit for every scale, dict of name to float."""
    evaluator, _ = coco_evaluator(ground_truth, results, kind)
    evaluator.params.useCats = 0
    evaluator.params.maxDets = [limit]
    quietly(evaluator.evaluate, evaluator.accumulate)
    recall = evaluator.eval["recall"][:, 0, :, 0]  # (T, scales)
    recall = np.where(recall < 0, np.nan, recall).mean(axis=0)
    return {
        f"AR{limit}" if scale == "all" else f"AR{limit}_{scale}": float(value)
        for scale, value in zip(evaluator.params.areaRngLbl, recall, strict=True)
    }
