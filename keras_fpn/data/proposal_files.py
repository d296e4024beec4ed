"""Reads and writes files of proposals."""

import pathlib
from collections.abc import Mapping

import numpy as np

from keras_fpn.data.coco_writer import write_coco_results
from keras_fpn.data.json_texts import load_json
from keras_fpn.data.text_files import shortest_float
from keras_fpn.files import PathLike
from keras_fpn.weights.array_pickle import read_array_pickle

_PICKLES = (".pkl", ".pickle")
_XYXY, _XYWH = 0, 1  # detectron2's modes of boxes, absolute
_OLD_NAMES = {"indexes": "ids", "scores": "objectness_logits"}  # of Detectron


def read_proposals(path: PathLike) -> dict:
    """Reads the proposals in a file.

    Two forms are known: COCO's results as JSON, a list of dicts with "image_id", "bbox"
    (x, y, width, height) and "score", as `keras-fpn detect` and `evaluate` write them;
    and detectron2's pickle (.pkl) of a dict with "ids", "boxes", "objectness_logits"
    and "bbox_mode". Of a pickle only arrays are read, and nothing in it is run.

    Args:
        path: str or Path.

    Returns:
        dict of image id, int -> (boxes, scores): float32 (n, 4), xyxy, pixels of the
        photo, and float32 (n,), higher is better.

    Raises:
        ValueError: there is no such file, it has another form, or a number of a box is
            missing or not finite; the error names the image.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() in _PICKLES:
        return _of_pickle(read_array_pickle(path), path)
    return _of_results(load_json(path), path)


def write_proposals(proposals: Mapping, path: PathLike) -> None:
    """Writes proposals as a COCO results file, which `read_proposals` reads.

    Args:
        proposals: dict as `read_proposals` returns it.
        path: str or Path of the json file; parent folders are created.

    Raises:
        OSError: the file cannot be written.
    """
    results = []
    for image_id, (boxes, scores) in proposals.items():
        for box, score in zip(boxes, scores, strict=True):
            x1, y1, x2, y2 = map(shortest_float, np.asarray(box, np.float32))
            results.append(
                {
                    "image_id": int(image_id),
                    "category_id": 1,
                    "bbox": [x1, y1, round(x2 - x1, 9), round(y2 - y1, 9)],
                    "score": shortest_float(np.float32(score)),
                }
            )
    write_coco_results(results, path)


def _of_results(results, path):
    """Returns the proposals of a COCO results file."""
    if not isinstance(results, list):
        raise ValueError(
            "Proposals must be COCO results, a list of boxes with scores; received "
            f"path={str(path)!r} with a {type(results).__name__}. Is it a file of "
            "annotations?"
        )
    rows: dict[int, list] = {}
    for number, result in enumerate(results):
        image_id, row = _row(result, number, path)
        rows.setdefault(image_id, []).append(row)
    arrays = {image_id: np.array(values) for image_id, values in rows.items()}
    return {
        image_id: _checked(values[:, :4], values[:, 4], image_id, path)
        for image_id, values in arrays.items()
    }


def _row(result, number, path):
    """Returns the image id, int, and x1, y1, x2, y2, score of a result."""
    try:
        image_id = result["image_id"]
        x, y, width, height = map(float, result["bbox"])
        row = x, y, x + width, y + height, float(result["score"])
    except (KeyError, TypeError, ValueError):
        image_id = None
    if type(image_id) is not int:
        raise ValueError(
            "A proposal must have an integer image_id, a bbox of 4 numbers and a "
            f"score; received {str(result)[:120]}, number {number} in "
            f"path={str(path)!r}."
        )
    return image_id, row


def _of_pickle(content, path):
    """Returns the proposals of a pickle of detectron2."""
    if isinstance(content, dict):
        content = {_OLD_NAMES.get(name, name): v for name, v in content.items()}
    lists = {}
    for name in ("ids", "boxes", "objectness_logits"):
        values = content.get(name) if isinstance(content, dict) else None
        if not isinstance(values, list | tuple | np.ndarray):
            raise ValueError(
                "A pickle of proposals must be a dict with lists 'ids', 'boxes' and "
                f"'objectness_logits'; received path={str(path)!r} without {name!r}."
            )
        lists[name] = values
    counts = {name: len(values) for name, values in lists.items()}
    mode = content.get("bbox_mode", _XYXY)
    if len(set(counts.values())) > 1 or mode not in (_XYXY, _XYWH):
        raise ValueError(
            "A pickle of proposals must have as many ids as boxes and scores, and "
            f"bbox_mode 0 (xyxy) or 1 (xywh); received path={str(path)!r} with "
            f"{counts} and bbox_mode={str(mode)[:60]}."
        )
    proposals = {}
    for image_id, boxes, scores in zip(*lists.values(), strict=True):
        number = _whole(image_id, path)
        if number in proposals:
            raise ValueError(
                "An image must have one entry of proposals; received two of image_id="
                f"{number} in path={str(path)!r}."
            )
        boxes, scores = _numbers(boxes), _numbers(scores)
        if mode == _XYWH and boxes.ndim == 2 and boxes.shape[1] == 4:
            boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        proposals[number] = _checked(boxes, scores, number, path)
    return proposals


def _numbers(values):
    """Returns an array of numbers; an array of one text of anything else."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # lists of different lengths, or nested deeply
        return np.array([""])
    return array if array.dtype.kind in "iuf" or array.size == 0 else np.array([""])


def _whole(image_id, path):
    """Returns an image id as an int; detectron2 also has them as texts."""
    try:
        return int(image_id)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"An image id must be an integer; received {str(image_id)[:60]!r} in "
            f"path={str(path)!r}."
        ) from error


def _checked(boxes, scores, image_id, path):
    """Returns boxes, float32 (n, 4), and scores, float32 (n,), of an image."""
    numeric = boxes.dtype.kind in "iuf" and scores.dtype.kind in "iuf"
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if not numeric or scores.ndim != 1 or boxes.shape != (len(scores), 4):
        raise ValueError(
            "Proposals must be boxes (n, 4) and scores (n,); received boxes of shape "
            f"{boxes.shape} and scores of shape {scores.shape} for image_id={image_id} "
            f"in path={str(path)!r}."
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    right = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    right &= (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
    if not right.all():
        row = int(np.argmin(right))
        raise ValueError(
            "Proposals must be finite boxes with x1 <= x2 and y1 <= y2; received "
            f"{boxes[row].tolist()} with score {scores[row]} for image_id={image_id} "
            f"in path={str(path)!r}."
        )
    return boxes, scores
