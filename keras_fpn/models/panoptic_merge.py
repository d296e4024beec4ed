"""Merges objects and stuff into one map in which no two segments overlap."""

from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np

from keras_fpn.config import Config


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class PanopticMerge(Config):
    """Assigns each pixel to at most one object or class of stuff.

    Objects come first, those with higher scores before others. An object gets the
    pixels of its mask that no earlier one has; it is left out if earlier ones have more
    than a share of its mask. What is left of the classes of the semantic map becomes
    stuff, one segment per class, if it is large enough.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3, after "Panoptic
    Segmentation" (arXiv:1801.00868), Sec. 5; numbers as in detectron2.

    Args:
        score_threshold: float, 0..1, the lowest score of an object.
        overlap_threshold: float, 0..1, the highest share of an object's mask that
            belongs to earlier ones.
        stuff_area: int, the smallest number of pixels of a stuff segment.

    Call arguments:
        scores: float (n,), highest first.
        labels: int (n,), classes of objects.
        masks: iterable of n (pixels, corner): bool (h, w), a part of the photo, and
            (y, x), its place there. They are read one by one, and only as long as
            scores are high enough. A whole mask has the corner (0, 0).
        semantic_map: int (H, W), 0 for objects, and from 1 on classes of stuff.

    Returns:
        panoptic_map: int32 (H, W), ids of segments, 0 for pixels of none.
        segments: list of dict, in the order of their ids 1, 2, ...: "id"; "isthing",
            bool; "label", int, of an object one of `labels`, of stuff the class in the
            semantic map less 1; "score", float, None for stuff; "area", int, pixels.

    Raises:
        ValueError: a threshold is out of range.
    """

    score_threshold: float = 0.5
    overlap_threshold: float = 0.5
    stuff_area: int = 4096

    def __post_init__(self):
        for name in ("score_threshold", "overlap_threshold"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(
                    f"{name} must be within 0..1; received {name}={value}."
                )
        if self.stuff_area < 0:
            raise ValueError(
                "stuff_area must be a number of pixels from 0 on; received "
                f"stuff_area={self.stuff_area}."
            )

    def __call__(self, scores, labels, masks: Iterable[tuple], semantic_map):
        panoptic_map = np.zeros(semantic_map.shape, np.int32)
        # Without `strict`: what follows a low score is not read, and so not pasted.
        objects = zip(scores, labels, masks, strict=False)
        segments = self._add_objects(panoptic_map, objects)
        free = panoptic_map == 0
        areas = np.bincount(semantic_map[free], minlength=1)
        ids = np.zeros(len(areas), np.int32)  # by class
        for label in range(1, len(areas)):
            if areas[label] and areas[label] >= self.stuff_area:
                ids[label] = len(segments) + 1
                segments.append(_segment(ids[label], label - 1, None, areas[label]))
        panoptic_map[free] = ids[semantic_map[free]]
        return panoptic_map, segments

    def _add_objects(self, panoptic_map, objects):
        """Returns the segments of objects, and writes their ids into the map."""
        segments = []
        for score, label, (pixels, (y, x)) in objects:
            if score < self.score_threshold:
                break
            window = panoptic_map[y : y + pixels.shape[0], x : x + pixels.shape[1]]
            free = pixels & (window == 0)
            area, own = int(pixels.sum()), int(free.sum())
            if not own or (area - own) / area > self.overlap_threshold:
                continue
            window[free] = len(segments) + 1
            segments.append(_segment(len(segments) + 1, label, float(score), own))
        return segments


def _segment(number, label, score, area):
    return {
        "id": int(number),
        "isthing": score is not None,
        "label": int(label),
        "score": score,
        "area": int(area),
    }
