"""What a detector's outputs are: one table, by which all that reads them goes.

A batch's outputs are padded to a fixed number of rows. A photo's results have only the
rows that were found, in the photo's own pixels.
"""

from dataclasses import dataclass

import numpy as np

from keras_fpn.preprocessing import boxes_to_photo

COUNT = "num_detections"  # the output that says how many rows were found
SCORES = "scores"  # rows are sorted by it, the best first


@dataclass(frozen=True)
class Frame:
    """An image in a batch, and the photo that it was resized from.

    Attributes:
        image_size: height and width without the padding, pixels.
        photo_size: height and width of the photo, pixels.
    """

    image_size: tuple[int, int]
    photo_size: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """One output.

    Attributes:
        kind: str, which says how rows return to the photo: "boxes" are xyxy in pixels,
            a "value" is the same in any photo.
        padding: int or float, fills the rows after the last one found.
    """

    kind: str
    padding: float


RESULTS = {
    "boxes": Result("boxes", 0.0),
    "labels": Result("value", -1),
    SCORES: Result("value", 0.0),
}


def check_outputs(names):
    """Raises where a detector has outputs that nothing knows how to read.

    Args:
        names: iterable of str.

    Raises:
        ValueError: the count or the scores are missing, or an output is not in the
            table.
    """
    names = set(names)
    unknown = sorted(names - {COUNT} - set(RESULTS))
    missing = sorted({COUNT, SCORES} - names)
    if unknown or missing:
        raise ValueError(
            f"A detector's outputs must be {COUNT!r} and some of {sorted(RESULTS)}; "
            f"received {sorted(names)}, unknown {unknown}, missing {missing}. Add what "
            "is unknown to keras_fpn.models.RESULTS."
        )


def of_photo(outputs, index, frame, score_threshold=None, max_detections=None):
    """Returns one photo's results.

    Args:
        outputs: dict of arrays, a batch's outputs.
        index: int, 0..B-1, the image in the batch.
        frame: `Frame` of that image.
        score_threshold: float, rows with this score or less are left out; None, none.
        max_detections: int, rows at most; None, all.

    Returns:
        dict of arrays (n, ...) under the names of `RESULTS`, best first.
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
