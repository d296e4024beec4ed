"""COCO's numbers after every epoch of `fit`."""

import dataclasses
import warnings

import keras
import numpy as np

from keras_fpn.data.stream import stream_batches
from keras_fpn.metrics.coco import evaluate_boxes
from keras_fpn.metrics.convert import coco_ground_truth, detections_to_coco
from keras_fpn.models.compiled import compiled_call
from keras_fpn.preprocessing import boxes_to_photo

_NAMED = 5  # photos that a warning names


class CocoEvaluation(keras.callbacks.Callback):
    """Adds COCO's 12 numbers for boxes to the logs: "val_AP", "val_AP50", ...

    Put it before callbacks that monitor them, and tell these that more is better:

        evaluation = keras_fpn.metrics.CocoEvaluation(validation_loader)
        best = keras.callbacks.ModelCheckpoint(
            "best.keras", monitor="val_AP", mode="max", save_best_only=True
        )
        model.fit(..., callbacks=[evaluation, best])

    Every photo of the loader is detected in and its boxes are moved back to its own
    pixels; order and shapes of the batches do not matter. A number is NaN where there
    is no object it is about, such as val_AP_small without small ones.

    Args:
        loader: `keras_fpn.data.Loader` over the validation photos, without
            augmentation. Its data set's labels must be the model's.
        prefix: str, before each number's name.

    Attributes:
        metrics: `Metrics` of the last epoch, or None.
        results: list of dict, the last epoch's detections in COCO's form.

    Raises:
        ValueError: the loader augments, or its photos show no object; from `fit`, the
            model has other classes.
    """

    def __init__(self, loader, prefix="val_"):
        super().__init__()
        if loader.augment:
            raise ValueError(
                "Photos to evaluate on must not be augmented; received a loader with "
                f"augment={loader.augment}. Leave out augment."
            )
        self.loader = loader
        self.prefix = prefix
        self.metrics = None
        self.results = []
        self._ground_truth = coco_ground_truth(loader.dataset)
        # What is wrong with it is said now, not after an epoch.
        if evaluate_boxes(self._ground_truth, []).objects == 0:
            raise ValueError(
                "Photos to evaluate on must have objects, at least one; received a "
                f"loader of {len(loader.dataset)} photos without."
            )
        self._detect = None

    def set_model(self, model):
        super().set_model(model)
        self._detect = None
        names, expected = model.class_names, self.loader.dataset.class_names
        renamed = set(names) & set(expected) and list(names) != list(expected)
        if len(names) != len(expected) or renamed:
            raise ValueError(
                "The model must have the validation data's classes in the same order; "
                f"received class_names={list(names)} and {list(expected)}. Read the "
                "data with the class_names of the training data."
            )

    def on_epoch_end(self, epoch, logs=None):
        values = self.evaluate().values
        if logs is not None:
            logs |= {f"{self.prefix}{name}": value for name, value in values.items()}

    def evaluate(self):
        """Detects in every photo and returns the `Metrics`, also kept as an attribute.

        Warns:
            UserWarning: the loader skipped photos, which are left out then.
        """
        self._detect = self._detect or compiled_call(self.model)
        dataset = self.loader.dataset
        self.results, skipped = [], []
        plan, loaded = self.loader.batches(0), stream_batches(self.loader)
        for batch, (x, y, weights) in zip(plan, loaded, strict=True):
            found = {name: np.asarray(v) for name, v in self._detect(x).items()}
            for place, index in enumerate(batch.indices):
                if index < 0:  # fills the batch
                    continue
                photo = dataset.photos[index]
                if weights[place] == 0:
                    skipped.append(photo)
                    continue
                self.results += detections_to_coco(
                    _of_photo(found, x, y, place), photo.image_id, dataset.category_ids
                )
        self.metrics = evaluate_boxes(self._without(skipped), self.results)
        return self.metrics

    def _without(self, skipped):
        """Returns the ground truth without some photos, with a warning if any."""
        if not skipped:
            return self._ground_truth
        names = [str(photo.path) for photo in skipped]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        warnings.warn(
            f"Evaluated without {len(names)} photos that were skipped: "
            f"{', '.join(names[:_NAMED])}{more}.",
            stacklevel=2,
        )
        out = {photo.image_id for photo in skipped}
        dataset = self.loader.dataset
        kept = tuple(p for p in dataset.photos if p.image_id not in out)
        return coco_ground_truth(dataclasses.replace(dataset, photos=kept))


def _of_photo(found, x, y, place):
    """Returns the detections in one image of a batch, in its photo's own pixels."""
    count = int(found["num_detections"][place])
    size, photo_size = x["image_sizes"][place], y["photo_sizes"][place]
    return {
        "boxes": boxes_to_photo(found["boxes"][place, :count], size, photo_size),
        "labels": found["labels"][place, :count],
        "scores": found["scores"][place, :count],
    }
