"""COCO's numbers after every epoch of `fit`."""

import dataclasses
import warnings
from collections.abc import Callable

import keras
import numpy as np

from keras_fpn.data.keypoints import check_keypoints
from keras_fpn.data.loader import Loader
from keras_fpn.data.proposals import check_proposals
from keras_fpn.data.semantic import check_semantic
from keras_fpn.data.stream import stream_batches
from keras_fpn.metrics.coco import evaluate_boxes
from keras_fpn.metrics.convert import coco_ground_truth, detections_to_coco
from keras_fpn.metrics.evaluation import (
    class_agnostic,
    compared,
    compared_keypoints,
    locates_keypoints,
    predicts_masks,
)
from keras_fpn.metrics.panoptic import PanopticMetrics
from keras_fpn.metrics.pixels import finds_objects, pixel_scores
from keras_fpn.metrics.semantic import SemanticMetrics
from keras_fpn.models.compiled import compiled_call
from keras_fpn.models.results import Frame, of_photo, with_masks

_MAX_NAMES = 5  # photos that a warning lists


class CocoEvaluation(keras.callbacks.Callback):
    """Adds COCO's 12 numbers for boxes to the logs: "val_AP", "val_AP50", ...

    A class-agnostic detector, such as `keras_fpn.models.RPN`, is measured by its recall
    instead: "val_AR100", "val_AR1000" and their scales. Of a detector that predicts
    masks, "val_mask_AP" or "val_mask_AR100", ..., are added; of one that locates
    keypoints, "val_keypoint_AP", ...; of one that predicts semantic maps, "val_mIoU"
    and three more, and "val_PQ" and eight more of panoptic maps. See `SemanticMetrics`
    and `PanopticMetrics`.

    Put it before callbacks that monitor these numbers, and tell those that more is
    better:

        evaluation = keras_fpn.metrics.CocoEvaluation(validation_loader)
        best = keras.callbacks.ModelCheckpoint(
            "best.keras", monitor="val_AP", mode="max", save_best_only=True
        )
        model.fit(..., callbacks=[evaluation, best])

    Objects are detected in every photo of the loader, with boxes in the photo's own
    pixels; order and shapes of the batches do not matter. A number about objects that
    do not exist is NaN, such as val_AP_small if no object is small.

    Args:
        loader: `keras_fpn.data.Loader` of the validation photos, without augmentation.
            Its data set must have the model's classes in the same order.
        prefix: put before each number's name.

    Attributes:
        metrics: `Metrics` of the last epoch, or None; `ProposalRecall` of a
            class-agnostic detector.
        masks: the same numbers for masks, or None.
        keypoints: `Metrics` of keypoints, or None.
        semantic: `SemanticMetrics`, or None.
        panoptic: `PanopticMetrics`, or None.
        results: list of dict, the last epoch's detections in COCO's form; empty for a
            class-agnostic detector.

    Raises:
        ValueError: the loader augments photos, or they have no objects; from `fit`, the
            model has other classes, predicts masks and an object has none, locates
            keypoints that objects do not have, or takes proposals and the photos have
            none.
    """

    def __init__(self, loader: Loader, prefix: str = "val_"):
        super().__init__()
        if loader.augment:
            raise ValueError(
                "Validation photos must not be augmented; received a loader with "
                f"augment={loader.augment}. Create it without augment."
            )
        self.loader = loader
        self.prefix = prefix
        self.metrics = self.masks = self.keypoints = None
        self.semantic: SemanticMetrics | None = None
        self.panoptic: PanopticMetrics | None = None
        self.results: list[dict] = []
        self._ground_truth = coco_ground_truth(loader.dataset)
        # Bad ground truth raises now instead of after the first epoch.
        objects = evaluate_boxes(self._ground_truth, []).objects
        if objects == 0 and not loader.dataset.has_semantic:
            raise ValueError(
                "Validation photos must have at least one object; received a loader of "
                f"{len(loader.dataset)} photos without objects."
            )
        self._detect: Callable | None = None

    def set_model(self, model):
        super().set_model(model)
        self._detect = None
        if predicts_masks(model) and not self.loader.dataset.has_masks:
            raise ValueError(
                "Validation objects must all have masks, because the model predicts "
                f"masks; received the data set {self.loader.dataset.name!r}. Leave out "
                "photos whose objects have none."
            )
        check_proposals(model, self.loader.dataset)
        check_keypoints(model, self.loader.dataset)
        check_semantic(model, self.loader.dataset)
        if class_agnostic(model) or not finds_objects(model):
            return
        names, expected = model.class_names, self.loader.dataset.class_names
        renamed = set(names) & set(expected) and list(names) != list(expected)
        if len(names) != len(expected) or renamed:
            raise ValueError(
                "The model and the validation data must have the same classes in the "
                f"same order; received class_names={list(names)} and {list(expected)}. "
                "Read the data with the class_names of the training data."
            )

    def on_epoch_end(self, epoch, logs=None):
        self.evaluate()
        values: dict[str, float] = {}
        for kind, more in (
            ("", self.metrics),
            ("mask_", self.masks),
            ("keypoint_", self.keypoints),
            ("", self.semantic),
            ("", self.panoptic),
        ):
            if more is not None:
                values |= {f"{kind}{name}": v for name, v in more.values.items()}
        if logs is not None:
            logs |= {f"{self.prefix}{name}": value for name, value in values.items()}

    def evaluate(self):
        """Detects in every photo, returns `metrics` and sets all attributes.

        Warns:
            UserWarning: the loader skipped photos, so the numbers are without them.
        """
        self._detect = self._detect or compiled_call(self.model)
        model, dataset = self.model, self.loader.dataset
        self.results, proposals, skipped = [], [], []
        boxed, scores = finds_objects(model), pixel_scores(model, dataset)
        plan, loaded = self.loader.batches(0), stream_batches(self.loader)
        for batch, (x, y, weights) in zip(plan, loaded, strict=True):
            found = {name: np.asarray(v) for name, v in self._detect(x).items()}
            for row, index in enumerate(batch.indices):
                if index < 0:  # fills the batch
                    continue
                photo = dataset.photos[index]
                if weights[row] == 0:
                    skipped.append(photo)
                    continue
                frame = Frame(x["image_sizes"][row], y["photo_sizes"][row])
                one = of_photo(found, row, frame)
                if scores is not None:
                    one = model.merged(one, frame.photo_size)
                    scores.add(one, photo)
                if not boxed:
                    continue
                if "masks" in one:
                    paste = model.mask_paste
                    one = with_masks(one, frame.photo_size, "rle", paste)
                if class_agnostic(model):
                    proposals.append((photo.image_id, one))
                else:
                    ids = dataset.category_ids
                    self.results += detections_to_coco(one, photo.image_id, ids)
        truth = self._without(skipped)
        if boxed:
            self.metrics = compared(model, truth, self.results, proposals, "bbox")
        if scores is not None:
            self.semantic, self.panoptic = scores.semantic, scores.panoptic
        if predicts_masks(model):
            self.masks = compared(model, truth, self.results, proposals, "segm")
        if locates_keypoints(model):
            self.keypoints = compared_keypoints(model, truth, self.results)
        return self.metrics

    def _without(self, skipped):
        """Returns the ground truth without these photos; warns if there are any."""
        if not skipped:
            return self._ground_truth
        names = [str(photo.path) for photo in skipped]
        listed = ", ".join(names[:_MAX_NAMES])
        if len(names) > _MAX_NAMES:
            listed += f" and {len(names) - _MAX_NAMES} more"
        warnings.warn(
            f"Evaluated without {len(names)} photos that were skipped: {listed}.",
            stacklevel=2,
        )
        out = {photo.image_id for photo in skipped}
        dataset = self.loader.dataset
        kept = tuple(p for p in dataset.photos if p.image_id not in out)
        return coco_ground_truth(dataclasses.replace(dataset, photos=kept))
