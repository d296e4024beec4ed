"""Writes data sets in the COCO format."""

import contextlib
import json
import pathlib

from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import relative_path
from keras_fpn.data.pixel_labels import ImageSegment
from keras_fpn.data.segments import mask_segment
from keras_fpn.data.statistics import object_areas
from keras_fpn.data.text_files import shortest_float
from keras_fpn.files import PathLike, printable, replacing, write_text


def write_coco(dataset: Dataset, path: PathLike) -> dict[str, int]:
    """Writes a data set as a COCO json file, its file names relative to that file.

    The COCO format holds everything in a Dataset except its name.

    Args:
        dataset: Dataset.
        path: str or Path of the json file; parent folders are created.

    Returns:
        dict of str -> int: what was not written, and how often; empty.
    """
    path = pathlib.Path(path)
    contents = coco_dict(dataset)
    for image, photo in zip(contents["images"], dataset.photos, strict=True):
        image["file_name"] = relative_path(photo.path, path.parent)
    write_text(path, json.dumps(contents))
    return {}


def coco_dict(dataset: Dataset) -> dict[str, list]:
    """Returns a data set in the COCO format, a dict that JSON can hold.

    Annotations are numbered from 1 in the order of the photos, because the matching of
    pycocotools fails on an id of 0. File names have no folders.

    Args:
        dataset: Dataset.
    """
    images, annotations = [], []
    for photo in dataset.photos:
        size = {"height": int(photo.height), "width": int(photo.width)}
        image_id = int(photo.image_id)
        images.append({"id": image_id, "file_name": photo.path.name, **size})
        for annotation in _annotations(
            photo.objects, (photo.height, photo.width), dataset
        ):
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append({**ids, **annotation})
    categories = []
    for name, category in zip(dataset.class_names, dataset.category_ids, strict=True):
        categories.append({"id": int(category), "name": name})
        if dataset.keypoint_names:
            categories[-1]["keypoints"] = list(dataset.keypoint_names)
        if dataset.skeleton:
            lines = [[first + 1, second + 1] for first, second in dataset.skeleton]
            categories[-1]["skeleton"] = lines
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco_results(results: list[dict], path: PathLike) -> None:
    """Writes detections as a COCO results file, one detection per line.

    Args:
        results: list of dict, of `keras_fpn.metrics.detections_to_coco`.
        path: str or Path of the json file; parent folders are created.

    Raises:
        OSError: the file cannot be written.
    """
    with coco_results_file(path) as write:
        write(results)


@contextlib.contextmanager
def coco_results_file(path: PathLike):
    """Yields a function that appends detections, as `write_coco_results` takes them.

    So they need not be in memory all at once. The file appears when the context ends.

    Args:
        path: str or Path of the json file; parent folders are created.

    Raises:
        OSError: the file cannot be written.
    """
    with (
        replacing(pathlib.Path(path)) as partial,
        open(partial, "w", encoding="utf-8") as file,
    ):
        before = "[\n"

        def write(results):
            nonlocal before
            for result in results:
                text = printable(json.dumps(result, ensure_ascii=False))
                file.write(before + text)
                before = ",\n"

        yield write
        file.write("[]\n" if before == "[\n" else "\n]\n")


def _annotations(objects, size, dataset):
    """Returns a list of COCO annotations of a photo's objects, without their ids."""
    annotations = []
    areas = object_areas(objects)
    for i, box in enumerate(objects.boxes):
        x1, y1, x2, y2 = map(shortest_float, box)
        annotation = {
            "category_id": int(dataset.category_ids[objects.labels[i]]),
            "bbox": [x1, y1, round(x2 - x1, 12), round(y2 - y1, 12)],
            "area": float(areas[i]),
            "iscrowd": int(objects.is_crowd[i]),
        }
        segment = objects.segments[i] if objects.segments else None
        if segment is not None:
            annotation["segmentation"] = _json_segment(segment, size)
        if objects.keypoints is not None:
            points = objects.keypoints[i]
            annotation["keypoints"] = [*map(shortest_float, points.ravel())]
            annotation["num_keypoints"] = int((points[:, 2] > 0).sum())
        annotations.append(annotation)
    return annotations


def _json_segment(segment, size):
    if isinstance(segment, ImageSegment):
        return mask_segment(segment.mask(size))
    if not isinstance(segment, dict):
        return [[float(number) for number in polygon] for polygon in segment]
    counts = segment["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    elif not isinstance(counts, str):
        counts = [int(count) for count in counts]
    return {"size": [int(side) for side in segment["size"]], "counts": counts}
