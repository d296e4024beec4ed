"""Ground truth and results made up for the tests, in COCO's form."""

import contextlib
import copy
import io

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

CATEGORY_IDS = (90, 3, 17)  # with gaps, and not in order


def ground_truth(annotations, images=2, category_ids=CATEGORY_IDS):
    """Returns a ground truth with images 1, 2, ... of 200 x 100 pixels.

    Args:
        annotations: list of (image_id, category_id, box as x, y, width, height).
    """
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": 100, "width": 200}
            for i in range(1, images + 1)
        ],
        "categories": [{"id": i, "name": f"class {i}"} for i in category_ids],
        "annotations": [
            {
                "id": number,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": list(box),
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for number, (image_id, category_id, box) in enumerate(annotations, 1)
        ],
    }


def result(image_id, category_id, box, score):
    """Returns one of COCO's results."""
    return {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": list(box),
        "score": score,
    }


def random_case(seed, kind="bbox", images=6, joints=17):
    """Returns a ground truth and results that are partly right.

    Of all scales, with crowd regions and an image without objects.
    """
    draw = np.random.default_rng(seed)
    truth, results = ground_truth([], images), []
    for image_id in range(2, images + 1):  # image 1 has no objects
        for _ in range(draw.integers(1, 8)):
            corner, side = draw.uniform(0, 50, 2), draw.uniform(4, 50, 2)
            if draw.random() < 0.3:
                corner, side = draw.uniform(0, 3, 2), draw.uniform(104, 118, 2)
            entry = {
                "image_id": image_id,
                "category_id": int(draw.choice(CATEGORY_IDS)),
                "bbox": [*corner.tolist(), *side.tolist()],
                "iscrowd": int(draw.random() < 0.15),
                "id": len(truth["annotations"]) + 1,
            }
            entry["area"] = 0.9 * side[0] * side[1]
            truth["annotations"].append(entry)
            for _ in range(draw.integers(0, 3)):
                moved = np.array(entry["bbox"]) + draw.normal(0, 2, 4)
                moved[2:] = np.maximum(moved[2:], 1)
                category = entry["category_id"]
                if draw.random() < 0.2:
                    category = int(draw.choice(CATEGORY_IDS))
                # Few different scores: many are equal, as they may be.
                score = float(draw.integers(1, 20)) / 20
                results.append(result(image_id, category, moved.tolist(), score))
    for image_id in range(1, images + 1):
        box = [*draw.uniform(0, 50, 2).tolist(), 30.0, 20.0]
        results.append(result(image_id, int(draw.choice(CATEGORY_IDS)), box, 0.4))
    _add_shapes([*truth["annotations"], *results], kind, joints, draw)
    return truth, results


def _add_shapes(entries, kind, joints, draw):
    """Gives annotations masks or keypoints; results lose their boxes."""
    for entry in entries:
        x, y, width, height = entry["bbox"]
        if kind == "segm":
            pixels = np.zeros((100, 200), np.uint8, order="F")
            pixels[
                max(0, int(y)) : int(y + height), max(0, int(x)) : int(x + width)
            ] = 1
            runs = coco_mask.encode(pixels)
            entry["segmentation"] = {**runs, "counts": runs["counts"].decode()}
        if kind == "keypoints":
            # The same places in every box: what overlaps well, has near keypoints.
            shares = np.random.default_rng(5).random((joints, 2))
            points = shares * [width, height] + [x, y]
            flags = np.ones(joints)
            if "score" not in entry:
                flags = (draw.random(joints) < 0.8) * 2.0 * (1 - entry["iscrowd"])
                entry["num_keypoints"] = int((flags > 0).sum())
            entry["keypoints"] = np.column_stack([points, flags]).ravel().tolist()
        if kind != "bbox" and "score" in entry:
            del entry["bbox"]


def summarized(truth, results, kind):
    """Returns COCO's numbers by pycocotools' own summary, NaN for its -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return np.where(evaluator.stats < 0, np.nan, evaluator.stats)
