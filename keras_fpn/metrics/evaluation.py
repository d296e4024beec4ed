"""Evaluates a detector on the photos of a data set."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from keras_fpn.data.dataset import Dataset, Photo
from keras_fpn.data.keypoints import check_keypoints
from keras_fpn.data.proposals import check_proposals
from keras_fpn.data.semantic import labels_pixels
from keras_fpn.metrics.best_threshold import OperatingPoint, operating_point
from keras_fpn.metrics.check import shortened
from keras_fpn.metrics.coco import Metrics, evaluate_boxes
from keras_fpn.metrics.convert import coco_ground_truth, detections_to_coco
from keras_fpn.metrics.panoptic import PanopticMetrics
from keras_fpn.metrics.pixels import finds_objects, pixel_scores
from keras_fpn.metrics.proposals import ProposalRecall, evaluate_proposals, proposing
from keras_fpn.metrics.semantic import SemanticMetrics
from keras_fpn.models.keypoint_set import COCO_PERSON
from keras_fpn.preprocessing import read_photo


class PhotoError(ValueError):
    """A photo cannot be read or detected in; the message starts with its path."""


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A detector's results on a data set.

    Attributes:
        dataset: the data set that was evaluated on.
        model_name: what reports call the detector.
        notes: what a reader must know about the numbers.
        results: all detections, in the form of COCO's results; see
            `detections_to_coco`.
        metrics: COCO's numbers for boxes; None for a class-agnostic detector, or one
            that finds no boxes.
        proposals: recall of the first stage, or of a class-agnostic detector; None if
            it was not measured.
        masks: the same numbers for masks, of a detector that predicts them; None if the
            data set does not have a mask for every object.
        keypoints: COCO's numbers for keypoints, of a detector that locates them; None
            if the data set does not have any.
        semantic: numbers of semantic maps, of a detector that predicts them; None if
            the data set has no pixel labels.
        panoptic: numbers of panoptic maps; None if there are none, or no truth.
        operating_point: precision, recall and confusions of boxes by the score
            threshold; None if no box is right, or without classes.
    """

    dataset: Dataset
    model_name: str
    notes: list[str]
    results: list[dict]
    metrics: Metrics | None
    proposals: ProposalRecall | None
    masks: Metrics | ProposalRecall | None = None
    keypoints: Metrics | None = None
    semantic: SemanticMetrics | None = None
    panoptic: PanopticMetrics | None = None
    operating_point: OperatingPoint | None = None

    def __repr__(self):
        parts = self.metrics, self.proposals, self.masks, self.keypoints
        measured = [repr(one) for one in (*parts, self.semantic, self.panoptic) if one]
        title = f"{self.model_name!r} on {self.dataset.name!r}"
        return f"<Evaluation of {title}: {', '.join(measured)}>"


def evaluate_photos(
    model,
    dataset: Dataset,
    model_name: str = "detector",
    notes: Sequence[str] = (),
    with_proposals: bool = False,
    progress: Callable[[Sequence[Photo]], Iterable[Photo]] = iter,
    **views,
):
    """Detects objects in every photo, as `model.detect` does, and compares with COCO.

    Labels are matched by class name: the model and the data set may order their classes
    differently, and each may have classes that the other lacks. Detections of classes
    that the data set lacks are dropped and counted in a note. Of a class-agnostic
    detector, such as `keras_fpn.models.RPN`, only the recall is measured. One that
    takes proposals, such as `keras_fpn.models.FastRCNN`, gets those of the data set.
    Semantic and panoptic maps are compared pixel by pixel, see `SemanticScores` and
    `PanopticScores`.

    Args:
        model: detector, such as `keras_fpn.models.FasterRCNN`.
        dataset: the photos and their objects.
        model_name: what reports call the detector.
        notes: remarks to put before the function's own.
        with_proposals: whether to measure the recall of the first stage, too.
        progress: function that takes the list of photos and yields each of them, such
            as `tqdm.tqdm`; by default nothing is shown.
        **views: `scales`, `flip` and `merge` of `model.detect`.

    Returns:
        `Evaluation`.

    Raises:
        PhotoError: a photo cannot be read, or does not have its annotated size.
        ValueError: the model and the data set share no class, the model has no
            proposals, or takes some that the data set does not have.
    """
    check_proposals(model, dataset)
    pointed = locates_keypoints(model) and bool(dataset.keypoint_names)
    if pointed:
        check_keypoints(model, dataset)
    agnostic = class_agnostic(model)
    boxed = finds_objects(model)
    scores = pixel_scores(model, dataset)
    _check_comparable(boxed, scores, model, dataset)
    category_ids = _category_ids(model, dataset) if boxed else []
    propose = proposing(model) if with_proposals and not agnostic else None
    masked = boxed and predicts_masks(model) and dataset.has_masks
    truth = coco_ground_truth(dataset)
    results: list[dict] = []
    first_stage, proposals, count = [], [], 0
    for photo in progress(dataset.photos):
        try:
            pixels = _annotated_pixels(photo)
            given = {} if photo.proposals is None else {"proposals": [photo.proposals]}
            [found] = model.detect([pixels], **given, **views)
            if propose:
                first_stage.append((photo.image_id, *propose(pixels)))
            if scores is not None:
                scores.add(found, photo)
        except (ValueError, OSError) as error:
            raise PhotoError(f"{photo.path}: {error}") from error
        if not boxed:
            continue
        if agnostic:
            proposals.append((photo.image_id, found))
        count += len(found["labels"])
        results += detections_to_coco(found, photo.image_id, category_ids)
    boxes = compared(model, truth, results, proposals, "bbox") if boxed else None
    recall = evaluate_proposals(truth, first_stage) if propose else None
    return Evaluation(
        dataset=dataset,
        model_name=model_name,
        notes=[
            *notes,
            *(_view_notes(**views) if views else ()),
            *_notes(model, dataset, count - len(results)),
        ],
        results=results,
        metrics=None if agnostic else boxes,
        proposals=boxes if agnostic else recall,
        masks=compared(model, truth, results, proposals, "segm") if masked else None,
        keypoints=compared_keypoints(model, truth, results) if pointed else None,
        semantic=None if scores is None else scores.semantic,
        panoptic=None if scores is None else scores.panoptic,
        operating_point=operating_point(truth, results)
        if boxed and not agnostic
        else None,
    )


def _category_ids(model, dataset):
    """Returns the category id of each label of a detector, or None."""
    if class_agnostic(model):
        return model.category_ids
    return shared_categories(model.class_names, dataset)


def _check_comparable(boxed, scores, model, dataset):
    """Raises if a detector that finds no boxes has no pixels to be compared with."""
    if not boxed and scores is None:
        raise ValueError(
            f"A {type(model).__name__} finds no boxes, so photos must have pixel "
            f"labels; received the data set {dataset.name!r} without. Read a COCO "
            "panoptic file or semantic label images."
        )


def predicts_masks(model):
    """Returns whether a detector predicts masks, bool."""
    return "masks" in getattr(model, "targets", ())


def locates_keypoints(model):
    """Returns whether a detector locates keypoints, bool."""
    return getattr(model, "keypoint_set", None) is not None


def class_agnostic(model):
    """Returns whether a detector, or any model, says nothing about classes, bool."""
    return getattr(model, "class_agnostic", False)


def compared(model, truth: dict, results: list[dict], proposals: list, kind: str):
    """Returns `Metrics`; of a class-agnostic detector `ProposalRecall`.

    Args:
        model: detector.
        truth: in the form of COCO's annotation files.
        results: what it found, in the form of COCO's results.
        proposals: (image id, what `model.detect` returns for a photo) of each; read
            instead of `results` if the detector is class-agnostic.
        kind: what is compared: "bbox" or "segm" (masks).
    """
    if not class_agnostic(model):
        return evaluate_boxes(truth, results, kind)
    field = {"bbox": "boxes", "segm": "masks"}[kind]
    found = ((number, one[field], one["scores"]) for number, one in proposals)
    return evaluate_proposals(truth, found, kind)


def compared_keypoints(model, truth: dict, results: list[dict]):
    """Returns `Metrics` of keypoints, by the sigmas of the detector's `keypoint_set`.

    Args:
        model, truth, results: as of `compared`.
    """
    return evaluate_boxes(truth, results, "keypoints", model.keypoint_set.sigmas)


def shared_categories(class_names: Sequence[str], dataset: Dataset):
    """Returns the data set's category id for each label of a model, by class name.

    Args:
        class_names: the model's, by label.
        dataset: `keras_fpn.data.Dataset`.

    Returns:
        list of int, or None for a class that the data set lacks.

    Raises:
        ValueError: they share no class, or a shared name occurs twice in one of them.
    """
    names = list(dataset.class_names)
    shared = [name for name in class_names if name in names]
    if not shared:
        raise ValueError(
            "A model and a data set must share at least one class name; received "
            f"{shortened(class_names)} and {shortened(names)}. If they mean the same, "
            "set the names of the model and save it: see docs/evaluation.md."
        )
    twice = sorted(
        name for name in set(shared) if shared.count(name) > 1 or names.count(name) > 1
    )
    if twice:
        raise ValueError(
            "Each shared class name must be unique in the model and in the data set; "
            f"received more than once: {shortened(twice)}. Rename one of the classes."
        )
    ids = dict(zip(names, dataset.category_ids, strict=True))
    return [ids.get(name) for name in class_names]


def _annotated_pixels(photo):
    """Returns the pixels of a photo, which must have the size of its annotations."""
    pixels = read_photo(photo.path)
    if pixels.shape[:2] != (photo.height, photo.width):
        raise ValueError(
            "A photo must have the height and width of its annotations, "
            f"{photo.height, photo.width}; received {pixels.shape[:2]}."
        )
    return pixels


def _notes(model, dataset, dropped):
    notes = []
    if predicts_masks(model) and not dataset.has_masks:
        notes.append("Not every object has a mask: only boxes were compared.")
    if locates_keypoints(model) and not dataset.keypoint_names:
        notes.append("The data set has no keypoints: only boxes were compared.")
    elif locates_keypoints(model) and model.keypoint_set.sigmas != COCO_PERSON.sigmas:
        sigmas = ", ".join(f"{sigma:g}" for sigma in model.keypoint_set.sigmas)
        notes.append(f"Keypoints were compared with the sigmas {sigmas}.")
    if labels_pixels(model) and not dataset.has_semantic:
        notes.append("The data set has no pixel labels: only boxes were compared.")
    if class_agnostic(model) or not finds_objects(model):
        return notes
    unknown = [name for name in dataset.class_names if name not in model.class_names]
    if unknown:
        notes.append(f"The model does not know {', '.join(unknown)}: their AP is 0.")
    if dropped:
        notes.append(
            f"Dropped: {dropped} detections of classes that the data set lacks."
        )
    return notes


def _view_notes(scales=None, flip=False, merge="nms"):
    factors = ", ".join(f"{scale:g}" for scale in scales or (1,))
    mirrored = " and mirrored" if flip else ""
    return [f"Detected at scales {factors}{mirrored}, merged by {merge}."]
