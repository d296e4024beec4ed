"""The table of a detector's outputs, which all code that reads them uses.

The outputs for a batch are padded to a fixed number of rows. The results for a photo
have only the rows of found objects, in pixels of the photo.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from keras_fpn.preprocessing import boxes_to_photo

COUNT = "num_detections"  # name of the output with the number of rows that were found
SCORES = "scores"  # rows are sorted by score, highest first


@dataclass(frozen=True)
class Frame:
    """The sizes of an image in a batch and of the photo from which it was resized.

    Attributes:
        image_size: (height, width) without the padding, pixels.
        photo_size: (height, width) of the photo, pixels.
    """

    image_size: tuple[int, int]
    photo_size: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """How to read one output of a detector.

    Attributes:
        kind: str, how rows are converted to the photo: "boxes" are xyxy in pixels and
            are scaled, a "value" is not changed.
        padding: int or float, value of the rows after the last found one.
    """

    kind: str
    padding: float


RESULTS = {
    "boxes": Result("boxes", 0.0),
    "labels": Result("value", -1),
    SCORES: Result("value", 0.0),
}


def check_outputs(names: Iterable[str]):
    """Raises an error if a detector has outputs that are not in the table.

    Args:
        names: names of the detector's outputs.

    Raises:
        ValueError: "num_detections" or "scores" is missing, or an output is not in
            `RESULTS`.
    """
    names = set(names)
    unknown = sorted(names - {COUNT} - set(RESULTS))
    missing = sorted({COUNT, SCORES} - names)
    if unknown or missing:
        raise ValueError(
            f"A detector's outputs must be {COUNT!r} and some of {sorted(RESULTS)}; "
            f"received {sorted(names)}, unknown {unknown}, missing {missing}. Add "
            "unknown outputs to keras_fpn.models.RESULTS."
        )


def of_photo(
    outputs: dict,
    index: int,
    frame: Frame,
    score_threshold: float | None = None,
    max_detections: int | None = None,
):
    """Returns the results for one photo.

    Args:
        outputs: dict of arrays, the outputs for a batch.
        index: int, 0..B-1, index of the image in the batch.
        frame: `Frame` of that image.
        score_threshold: float, 0..1; only rows with a score above it are returned. None
            returns all.
        max_detections: int, maximum number of rows; None returns all.

    Returns:
        dict of arrays (n, ...) with names as in `RESULTS`, sorted by score, highest
        first.
    """
    count = int(outputs[COUNT][index])
    if max_detections is not None:
        count = min(count, max_detections)
    if score_threshold is not None:
        count = int(np.sum(outputs[SCORES][index][:count] > score_threshold))
    return {
        name: _rows_in_photo(RESULTS[name].kind, value[index][:count], frame)
        for name, value in outputs.items()
        if name != COUNT
    }


def _rows_in_photo(kind, rows, frame):
    if kind == "boxes":
        return boxes_to_photo(rows, frame.image_size, frame.photo_size)
    return rows


def mirrored(found: dict, width: float):
    """Returns the results for the mirror image of a photo.

    Args:
        found: dict, as returned by `of_photo`.
        width: of the photo, pixels.
    """
    return {
        name: _mirrored_rows(RESULTS[name].kind, rows, width)
        for name, rows in found.items()
    }


def _mirrored_rows(kind, rows, width):
    if kind == "boxes":
        x1, y1, x2, y2 = rows.T
        return np.stack([width - x2, y1, width - x1, y2], axis=1)
    return rows
