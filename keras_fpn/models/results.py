"""The table of a detector's outputs, which all code that reads them uses.

The outputs for a batch are padded to a fixed number of rows. The results for a photo
have only the rows of found objects, in pixels of the photo.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_fpn.models.pasted_masks import Paste, full_masks, run_length_masks
from keras_fpn.models.semantic_map import semantic_map
from keras_fpn.preprocessing import boxes_to_photo, points_to_photo

COUNT = "num_detections"  # name of the output with the number of rows that were found
SCORES = "scores"  # rows are sorted by score, highest first
SEMANTIC_LOGITS = "semantic_logits"
MASK_FORMS = ("rle", "crops", "full")


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
            are scaled, and so are "keypoints", x, y, score; "masks" are crops that are
            pasted, a "value" is not changed. A "map" has no rows: it covers the image.
        padding: int or float, value of the rows after the last found one.
    """

    kind: str
    padding: float


RESULTS = {
    "boxes": Result("boxes", 0.0),
    "labels": Result("value", -1),
    SCORES: Result("value", 0.0),
    "masks": Result("masks", 0.0),  # probabilities in cells of "mask_windows"
    "mask_windows": Result("boxes", 0.0),  # if missing, masks are over "boxes"
    "keypoints": Result("keypoints", 0.0),
    SEMANTIC_LOGITS: Result("map", 0.0),  # of cells of 4 pixels; see `semantic_map`
}


def joined(results):
    """Returns the outputs of all branches of a detector as one dict.

    Args:
        results: dict of outputs, or a list of dicts, one for each branch.

    Raises:
        ValueError: two branches have an output of the same name.
    """
    if isinstance(results, dict):
        return results
    outputs: dict = {}
    for branch in results:
        for name, value in branch.items():
            if name in outputs:
                raise ValueError(
                    "Each output of a detector must have a different name; received "
                    f"two outputs {name!r}: {outputs[name]} and {value}. Rename one."
                )
            outputs[name] = value
    return outputs


def check_outputs(names: Iterable[str]):
    """Raises an error if a detector has outputs that are not in the table.

    Args:
        names: names of the detector's outputs.

    Raises:
        ValueError: an output is not in `RESULTS`, or "num_detections" or "scores" is
            missing, which only a detector with nothing but maps does not have.
    """
    names = set(names)
    unknown = sorted(names - {COUNT} - set(RESULTS))
    maps = {name for name in names if name in RESULTS and RESULTS[name].kind == "map"}
    missing = [] if maps and maps == names else sorted({COUNT, SCORES} - names)
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
        first. "masks" are float32 (n, h, w), 0..1, each of which covers its box in
        "mask_windows"; see `with_masks`. "semantic_logits" become "semantic_map", uint8
        (H, W), the classes of the photo's pixels.
    """
    found = {}
    if SEMANTIC_LOGITS in outputs:
        logits = outputs[SEMANTIC_LOGITS][index]
        found["semantic_map"] = semantic_map(logits, frame.image_size, frame.photo_size)
    if COUNT not in outputs:
        return found
    count = int(outputs[COUNT][index])
    if max_detections is not None:
        count = min(count, max_detections)
    if score_threshold is not None:
        count = int(np.sum(outputs[SCORES][index][:count] > score_threshold))
    rows = {
        name: _rows_in_photo(RESULTS[name].kind, value[index][:count], frame)
        for name, value in outputs.items()
        if name != COUNT and RESULTS[name].kind != "map"
    }
    if "masks" in rows:
        rows.setdefault("mask_windows", rows["boxes"])
    return rows | found


def check_mask_form(masks: str):
    """Raises ValueError if masks cannot be returned in this form."""
    if masks not in MASK_FORMS:
        raise ValueError(
            f"masks must be one of {MASK_FORMS}; received masks={masks!r}."
        )


def _rows_in_photo(kind, rows, frame):
    if kind == "boxes":
        return boxes_to_photo(rows, frame.image_size, frame.photo_size)
    if kind == "keypoints":
        return points_to_photo(rows, frame.image_size, frame.photo_size)
    return rows


def with_masks(found: dict, photo_size: tuple[int, int], form: str, paste: Paste):
    """Returns the results for a photo with their masks, if any, in the requested form.

    Args:
        found: dict, as returned by `of_photo`.
        photo_size: (height, width) of the photo, pixels.
        form: "crops", as they are; "rle", a list of n compressed COCO run-length dicts;
            or "full", bool (n, H, W).
        paste: the rule by which masks become pixels.
    """
    if "masks" not in found or form == "crops":
        return found
    pasted = {"rle": run_length_masks, "full": full_masks}[form]
    size = (int(photo_size[0]), int(photo_size[1]))
    masks = pasted(found["masks"], found["mask_windows"], size, paste)
    others = {name: value for name, value in found.items() if name != "mask_windows"}
    return {**others, "masks": masks}


def mirrored(found: dict, width: float, flip_pairs: Sequence[tuple[int, int]] = ()):
    """Returns the results for the mirror image of a photo.

    Args:
        found: dict, as returned by `of_photo`.
        width: of the photo, pixels.
        flip_pairs: pairs of ints, keypoints that are exchanged.
    """
    return {
        name: _mirrored_rows(RESULTS[name].kind, rows, width, flip_pairs)
        for name, rows in found.items()
    }


def _mirrored_rows(kind, rows, width, flip_pairs):
    if kind == "keypoints":
        order = np.arange(rows.shape[1])
        for first, second in flip_pairs:
            order[[first, second]] = second, first
        x, y, scores = np.moveaxis(rows[:, order], -1, 0)
        return np.stack([width - x, y, scores], axis=-1)
    if kind == "boxes":
        x1, y1, x2, y2 = rows.T
        return np.stack([width - x2, y1, width - x1, y2], axis=1)
    if kind == "masks":
        return rows[:, :, ::-1]
    return rows
