"""Panoptic quality: how well segments of things and stuff match those of the truth."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_fpn.data.pixel_labels import ranked
from keras_fpn.metrics.coco import in_percent, json_metrics

_NUMBERS = ("PQ", "SQ", "RQ")


@dataclasses.dataclass(frozen=True)
class PanopticClass:
    """One class's numbers.

    Attributes:
        name: the class's name.
        isthing: whether it is a class of things.
        matched: segments that match one of the truth.
        wrong: segments that match none.
        missed: segments of the truth that none matches.
        values: "PQ", "SQ" and "RQ", 0..1; NaN if there is no segment to compare.
    """

    name: str
    isthing: bool
    matched: int
    wrong: int
    missed: int
    values: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class PanopticMetrics:
    """The numbers of panoptic maps.

    Attributes:
        values: name to number, 0..1: "PQ", "SQ" and "RQ", the means over all classes
            with a segment to compare, and the same of things and of stuff,
            "PQ_things", ..., "RQ_stuff". NaN if there is no such class.
        per_class: `PanopticClass` of the classes of things, then of stuff.
        images: number of photos.
    """

    values: dict[str, float]
    per_class: tuple[PanopticClass, ...]
    images: int

    def __repr__(self):
        return f"<PanopticMetrics: {in_percent(self.values)}>"

    def to_dict(self):
        """Returns a dict that JSON can hold; None for NaN."""
        return json_metrics(self, "images")


class PanopticScores:
    """Compares panoptic maps with the truth, one photo at a time.

    A segment matches one of the truth if they are of one class and their IoU is above
    0.5; pixels without truth do not count. Regions of many things are neither matched
    nor missed. A segment that matches none is not wrong if more than half of it has no
    truth, or is in such a region of its class (of several in a photo, the last).

    Of each class, PQ = sum of the IoUs of matches / (matched + wrong / 2 + missed / 2),
    SQ is the mean IoU of matches, and RQ = PQ / SQ.

    Source: Kirillov et al. 2019, Panoptic Segmentation (arXiv:1801.00868), Sec. 4, as
    computed by panopticapi. No deviation.

    Args:
        class_names: names of things, by label.
        stuff_names: names of stuff, by label.
    """

    def __init__(self, class_names: Sequence[str], stuff_names: Sequence[str]):
        self._things, self._stuff = len(class_names), len(stuff_names)
        self._names = (*class_names, *stuff_names)
        self._images = 0
        self._iou = np.zeros(len(self._names))
        self._counts = np.zeros((3, len(self._names)), np.int64)

    def add(self, truth, truth_segments, predicted, segments):
        """Adds a photo.

        Args:
            truth, predicted: int (H, W), 0..2^24 - 1, numbers of segments, 0 for none.
            truth_segments, segments: list of dict of "id", "label", "isthing"; and, in
                the truth, "iscrowd", False if missing. See
                `keras_fpn.data.pixel_labels`.

        Raises:
            ValueError: the shapes differ, a map has a number without a segment or lacks
                that of one, or a label has no class.
        """
        truth, predicted = np.asarray(truth), np.asarray(predicted)
        if truth.shape != predicted.shape or truth.ndim != 2:
            raise ValueError(
                "Panoptic maps must be (H, W) of the same photo; received shapes "
                f"{truth.shape} and {predicted.shape}."
            )
        rows = self._ranks(truth, truth_segments, "truth")
        columns = self._ranks(predicted, segments, "map")
        shape = len(truth_segments) + 1, len(segments) + 1
        # Pixels of each pair of segments; row and column 0 are of none.
        pixels = np.bincount(
            rows.ravel().astype(int) * shape[1] + columns.ravel(),
            minlength=shape[0] * shape[1],
        ).reshape(shape)
        for name, counts in (("truth", pixels.sum(1)), ("map", pixels.sum(0))):
            if not counts[1:].all():
                listed = truth_segments if name == "truth" else segments
                first = listed[int(np.argmin(counts[1:]))]
                raise ValueError(
                    f"Every segment must have pixels; received a {name} without those "
                    f"of {first}."
                )
        self._count(
            pixels,
            self._classes(truth_segments),
            np.array([bool(s.get("iscrowd", False)) for s in truth_segments], bool),
            self._classes(segments),
        )
        self._images += 1

    def result(self):
        """Returns the `PanopticMetrics` of all photos so far."""
        matched, wrong, missed = self._counts
        weight = matched + wrong / 2 + missed / 2
        some = np.maximum(weight, 0.5)
        per_class = {
            "PQ": self._iou / some,
            "SQ": self._iou / np.maximum(matched, 1),
            "RQ": matched / some,
        }
        per_class = {n: np.where(weight > 0, v, np.nan) for n, v in per_class.items()}
        is_thing = np.arange(len(self._names)) < self._things
        values = {}
        for suffix, rows in (("", True), ("_things", is_thing), ("_stuff", ~is_thing)):
            kept = (weight > 0) & rows
            for name in _NUMBERS:
                numbers = per_class[name][kept]
                values[name + suffix] = float(numbers.mean()) if kept.any() else np.nan
        return PanopticMetrics(
            values=values,
            per_class=tuple(
                PanopticClass(
                    name,
                    bool(is_thing[i]),
                    int(matched[i]),
                    int(wrong[i]),
                    int(missed[i]),
                    {number: float(per_class[number][i]) for number in _NUMBERS},
                )
                for i, name in enumerate(self._names)
            ),
            images=self._images,
        )

    def _count(self, pixels, classes, crowd, found_classes):
        """Counts the segments of one photo.

        Args:
            pixels: int (T + 1, P + 1), of each pair of segments.
            classes, found_classes: int (T,) and (P,).
            crowd: bool (T,).
        """
        shared, without_truth = pixels[1:, 1:], pixels[0, 1:]
        areas, found_areas = pixels[1:].sum(axis=1), pixels[:, 1:].sum(axis=0)
        union = areas[:, None] + found_areas - without_truth - shared
        same = (classes[:, None] == found_classes) & ~crowd[:, None]
        # IoU > 0.5 in whole numbers; at most one pair of a row or column has that.
        match = same & (2 * shared > union)
        rows, columns = np.nonzero(match)
        np.add.at(
            self._iou, classes[rows], shared[rows, columns] / union[rows, columns]
        )
        excused = without_truth.copy()
        last = {classes[row]: row for row in np.flatnonzero(crowd)}  # by class
        for label, row in last.items():
            excused += shared[row] * (found_classes == label)
        wrong = ~match.any(axis=0) & (2 * excused <= found_areas)
        missed = ~match.any(axis=1) & ~crowd
        for place, members in enumerate(
            (classes[rows], found_classes[wrong], classes[missed])
        ):
            np.add.at(self._counts[place], members, 1)

    def _ranks(self, numbers, segments, name):
        """Returns (H, W), 1 + the index of the segment of each pixel, or 0."""
        ids = [segment["id"] for segment in segments]
        ranks, unknown = ranked(numbers, np.array(ids, int))
        if unknown or len(set(ids)) < len(ids):
            raise ValueError(
                "Every number in a panoptic map must be the id of one segment, 1 to "
                f"2^24 - 1; received a {name} with {unknown[:5]} and segments {ids}."
            )
        return ranks

    def _classes(self, segments):
        """Returns int (S,), indices into the names of things and stuff."""
        classes = []
        for segment in segments:
            is_thing, label = bool(segment["isthing"]), int(segment["label"])
            if not 0 <= label < (self._things if is_thing else self._stuff):
                raise ValueError(
                    f"Labels must be 0..{self._things - 1} of things and "
                    f"0..{self._stuff - 1} of stuff; received {segment}."
                )
            classes.append(label if is_thing else self._things + label)
        return np.array(classes, int)
