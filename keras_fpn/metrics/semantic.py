"""Mean IoU of semantic maps, from a confusion matrix over all photos."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_fpn.data.pixel_labels import IGNORED
from keras_fpn.metrics.coco import in_percent, json_metrics


@dataclasses.dataclass(frozen=True)
class SemanticClass:
    """One class's numbers.

    Attributes:
        name: the class's name.
        pixels: number of its pixels in the truth.
        found: number of pixels that were predicted to be of it, where there is truth.
        values: "IoU" and "accuracy", the share of its pixels that were found, 0..1;
            NaN if there is nothing to compare.
    """

    name: str
    pixels: int
    found: int
    values: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class SemanticMetrics:
    """The numbers of semantic maps.

    Attributes:
        values: name to number, 0..1: "mIoU", the mean IoU of the classes that are in
            the truth or were predicted; "fwIoU", the mean weighted by the pixels in the
            truth; "mean_accuracy", of the classes in the truth; and "pixel_accuracy".
            NaN without any pixel in the truth.
        per_class: K `SemanticClass`.
        confusion: int64 (K, K + 1), pixels of each class in the truth (rows) that were
            predicted to be of each class (columns); the last column is of none.
        images: number of photos.
    """

    values: dict[str, float]
    per_class: tuple[SemanticClass, ...]
    confusion: np.ndarray
    images: int

    def __repr__(self):
        return f"<SemanticMetrics: {in_percent(self.values)}>"

    def to_dict(self):
        """Returns all but the matrix as a dict that JSON can hold; None for NaN."""
        return json_metrics(self, "images")


class SemanticScores:
    """Compares semantic maps with the truth, one photo at a time.

    Source: the usual definition, as in detectron2's SemSegEvaluator: pixels of all
    photos are counted together; those without truth do not count.

    Args:
        names: names of the K classes, by value.
    """

    def __init__(self, names: Sequence[str]):
        self._names, self._images = tuple(names), 0
        count = len(self._names)
        self._confusion = np.zeros((count, count + 1), np.int64)

    def add(self, truth, predicted):
        """Adds a photo.

        Args:
            truth, predicted: integers (H, W), 0..K - 1, or 255: in the truth for pixels
                that do not count, in the prediction for no class.

        Raises:
            ValueError: the shapes differ, or a value has no class.
        """
        truth, predicted = np.asarray(truth), np.asarray(predicted)
        if truth.shape != predicted.shape or truth.ndim != 2:
            raise ValueError(
                "Semantic maps must be (H, W) of the same photo; received shapes "
                f"{truth.shape} and {predicted.shape}."
            )
        count = len(self._names)
        counted = truth != IGNORED
        rows, columns = truth[counted].astype(int), predicted[counted].astype(int)
        columns[columns == IGNORED] = count
        for name, values, end in (("truth", rows, count), ("map", columns, count + 1)):
            if values.size and not 0 <= values.min() <= values.max() < end:
                raise ValueError(
                    f"Values of semantic maps must be 0..{count - 1}, one for each "
                    f"class, or {IGNORED}; received a {name} with {values.min()} to "
                    f"{values.max()}."
                )
        places = np.bincount(
            rows * (count + 1) + columns, minlength=self._confusion.size
        )
        self._confusion += places.reshape(self._confusion.shape)
        self._images += 1

    def result(self):
        """Returns the `SemanticMetrics` of all photos so far."""
        confusion = self._confusion
        right = np.diagonal(confusion).astype(float)
        pixels, found = confusion.sum(axis=1), confusion[:, :-1].sum(axis=0)
        ious, accuracies = (
            _shares(right, pixels + found - right),
            _shares(right, pixels),
        )
        total = pixels.sum()
        seen = pixels > 0
        values = {
            "mIoU": _mean(ious) if total else np.nan,
            "fwIoU": _share((ious[seen] * pixels[seen]).sum(), total),
            "mean_accuracy": _mean(accuracies),
            "pixel_accuracy": _share(right.sum(), total),
        }
        return SemanticMetrics(
            values={name: float(value) for name, value in values.items()},
            per_class=tuple(
                SemanticClass(
                    name,
                    int(pixels[i]),
                    int(found[i]),
                    {"IoU": float(ious[i]), "accuracy": float(accuracies[i])},
                )
                for i, name in enumerate(self._names)
            ),
            confusion=confusion.copy(),
            images=self._images,
        )


def _shares(parts, wholes):
    """Returns float (K,), NaN where the whole is 0."""
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), np.nan)


def _share(part, whole):
    return part / whole if whole else np.nan


def _mean(values):
    """Returns the mean without NaN; NaN if nothing is left."""
    values = values[~np.isnan(values)]
    return values.mean() if values.size else np.nan
