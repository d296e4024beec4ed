"""Semantic and panoptic numbers of a detector's results on a data set."""

from collections.abc import Sequence

import numpy as np

from keras_fpn.data.dataset import Dataset, Photo
from keras_fpn.data.pixel_labels import IGNORED
from keras_fpn.data.semantic import labels_pixels, semantic_names
from keras_fpn.metrics.check import shortened
from keras_fpn.metrics.panoptic import PanopticMetrics, PanopticScores
from keras_fpn.metrics.semantic import SemanticMetrics, SemanticScores


class PixelScores:
    """Compares the maps that a detector predicts, one photo at a time.

    Classes are matched by name. Pixels and segments of classes that the data set lacks
    count as pixels without a prediction.

    Args:
        model: detector whose results have a "semantic_map" or a "panoptic_map" with
            "segments".
        dataset: `keras_fpn.data.Dataset` with pixel labels.

    Raises:
        ValueError: they share no class.
    """

    def __init__(self, model, dataset: Dataset):
        names = dataset.semantic_names
        self._semantic = SemanticScores(names)
        self._panoptic = PanopticScores(dataset.class_names, dataset.stuff_names)
        self._seen = {"semantic": False, "panoptic": False}
        found = semantic_names(model)
        self._values = np.full(256, IGNORED, np.uint8)
        self._values[: len(found)] = _places(found, names, IGNORED)
        if not (self._values != IGNORED).any():
            raise ValueError(
                "The model and the data set must share at least one semantic class; "
                f"received {shortened(found)} and {shortened(names)}. Build the model "
                "with the names of the data set."
            )
        self._labels = {
            True: _places(model.class_names, dataset.class_names, -1),
            False: _places(getattr(model, "stuff_names", ()), dataset.stuff_names, -1),
        }
        self._has_segments = bool(dataset.stuff_names)

    def add(self, found: dict, photo: Photo):
        """Adds the results for a photo.

        Args:
            found: dict, as `model.detect` returns it.
            photo: the `Photo`, which has pixel labels.

        Raises:
            ValueError: a map does not fit the photo, or its labels cannot be read.
        """
        size = photo.height, photo.width
        labels = photo.pixel_labels
        if labels is None:
            return
        if "semantic_map" in found:
            predicted = self._values[found["semantic_map"]]
            self._semantic.add(labels.semantic_map(size), predicted)
            self._seen["semantic"] = True
        if "panoptic_map" in found and self._has_segments:
            segments, numbers = [], found["panoptic_map"]
            dropped = []
            for segment in found["segments"]:
                label = self._labels[bool(segment["isthing"])][segment["label"]]
                if label < 0:
                    dropped.append(segment["id"])
                else:
                    segments.append({**segment, "label": label})
            if dropped:
                numbers = np.where(np.isin(numbers, dropped), 0, numbers)
            self._panoptic.add(*labels.panoptic_map(size), numbers, segments)
            self._seen["panoptic"] = True

    @property
    def semantic(self) -> SemanticMetrics | None:
        """`SemanticMetrics` so far; None if no result had a semantic map."""
        return self._semantic.result() if self._seen["semantic"] else None

    @property
    def panoptic(self) -> PanopticMetrics | None:
        """`PanopticMetrics` so far; None if no result had a panoptic map."""
        return self._panoptic.result() if self._seen["panoptic"] else None


def pixel_scores(model, dataset: Dataset) -> PixelScores | None:
    """Returns `PixelScores`; None if the model or the data set labels no pixels."""
    if labels_pixels(model) and dataset.has_semantic:
        return PixelScores(model, dataset)
    return None


def finds_objects(model) -> bool:
    """Returns whether the results of a model have boxes."""
    return "boxes" in getattr(model, "targets", ("boxes",))


def _places(found: Sequence[str], names: Sequence[str], absent: int):
    """Returns for each name found its place among others; `absent` if it has none."""
    others = list(names)
    return [others.index(name) if name in others else absent for name in found]
