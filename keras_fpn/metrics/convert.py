"""Data sets and detections in the form of COCO's files."""

from collections.abc import Sequence

import numpy as np

from keras_fpn.data.coco_writer import coco_dict
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.segments import mask_segment
from keras_fpn.data.text_files import shortest_float


def coco_ground_truth(dataset: Dataset):
    """Returns a data set in the form of COCO's annotation files.

    COCO tells small objects from large ones by their area: that of the mask where an
    object has one, as in COCO's own files, otherwise that of the box.

    Args:
        dataset: `keras_fpn.data.Dataset`.

    Returns:
        dict that JSON can hold: "images", "annotations", "categories".

    Raises:
        ValueError: an object's label has no class.
    """
    for photo in dataset.photos:
        _check_labels(photo.objects.labels, dataset.category_ids, photo.image_id)
    return coco_dict(dataset)


def detections_to_coco(found, image_id: int, category_ids: Sequence[int | None]):
    """Returns one photo's detections in the form of COCO's results files.

    Args:
        found: dict of "boxes" float (n, 4), xyxy, the photo's own pixels; "labels" int
            (n,); "scores" float (n,); and, if the model predicts them, "masks", n
            run-length dicts or bool (n, H, W), and "keypoints" float (n, J, 3), x, y,
            score.
        image_id: the photo's.
        category_ids: by label; None for a label whose detections are dropped.

    Returns:
        list of dict that JSON can hold: "image_id", "category_id", "bbox" (x, y,
        width, height), "score"; and, if given, "segmentation" (compressed run lengths)
        and "keypoints" (x, y, score, x, ...).

    Raises:
        ValueError: the numbers of boxes, labels and scores differ, or a label has no
            class.
    """
    boxes, labels, scores = (found[name] for name in ("boxes", "labels", "scores"))
    if not len(boxes) == len(labels) == len(scores):
        raise ValueError(
            "There must be as many boxes as labels and scores; received "
            f"{len(boxes)} boxes, {len(labels)} labels, {len(scores)} scores for "
            f"image_id={image_id}."
        )
    _check_labels(labels, category_ids, image_id)
    results = []
    for i, label in enumerate(labels):
        category_id = category_ids[label]
        if category_id is None:
            continue
        x1, y1, x2, y2 = map(shortest_float, boxes[i])
        result = {
            "image_id": int(image_id),
            "category_id": int(category_id),
            "bbox": [x1, y1, round(x2 - x1, 9), round(y2 - y1, 9)],
            "score": shortest_float(scores[i]),
        }
        if "masks" in found:
            mask = found["masks"][i]
            encoded = isinstance(mask, dict)
            result["segmentation"] = mask if encoded else mask_segment(mask)
        if "keypoints" in found:
            points = np.ravel(found["keypoints"][i])
            result["keypoints"] = [shortest_float(value) for value in points]
        results.append(result)
    return results


def _check_labels(labels, category_ids, image_id):
    wrong = [int(label) for label in labels if not 0 <= label < len(category_ids)]
    if wrong:
        raise ValueError(
            f"Labels must be 0..{len(category_ids) - 1}, one for each class; received "
            f"labels {wrong} for image_id={image_id}. Remove the padding, -1."
        )
