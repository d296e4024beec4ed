"""Writes panoptic maps as COCO panoptic json and PNGs."""

import json
import pathlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import relative_path
from keras_fpn.data.masks import mask_extents
from keras_fpn.data.pixel_labels import ranked
from keras_fpn.files import PathLike, printable, replacing, write_text


def write_panoptic(
    dataset: Dataset, path: PathLike, found: Iterable[dict] | None = None
) -> None:
    """Writes panoptic maps: a json file, and beside it a folder of PNGs with its name.

    `read_coco_panoptic` reads them. The maps are taken one by one.

    Args:
        dataset: Dataset; its photos, and the names and ids of things and stuff.
        path: str or Path of the json file; parent folders are created.
        found: for each photo in order, a dict with "panoptic_map", int (H, W), and
            "segments", as `model.detect` returns it; see `keras_fpn.data.pixel_labels`.
            None for the truth of the data set.

    Raises:
        ValueError: there are not as many results as photos, a map does not fit its
            photo or its segments, or a label has no class.
        OSError: a file cannot be written.
    """
    path = pathlib.Path(path)
    folder = path.with_suffix("")
    results = _truth(dataset) if found is None else found
    images, annotations = [], []
    for photo, result, name in zip(
        dataset.photos, results, _names(dataset), strict=True
    ):
        size = photo.height, photo.width
        numbers, segments = np.asarray(result["panoptic_map"]), result["segments"]
        _check_map(numbers, segments, size, photo)
        _write_png(folder / name, numbers)
        images.append(
            {
                "id": int(photo.image_id),
                "file_name": relative_path(pathlib.Path(photo.path), path.parent),
                "height": int(photo.height),
                "width": int(photo.width),
            }
        )
        annotations.append(
            {
                "image_id": int(photo.image_id),
                "file_name": name,
                "segments_info": [
                    _segment_info(segment, numbers, dataset) for segment in segments
                ],
            }
        )
    contents = {
        "images": images,
        "annotations": annotations,
        "categories": _categories(dataset),
    }
    write_text(path, printable(json.dumps(contents, ensure_ascii=False)))


def _truth(dataset):
    """Yields the panoptic map and segments of each photo of a data set."""
    for photo in dataset.photos:
        if photo.pixel_labels is None:
            raise ValueError(
                "Photos must have pixel labels if their panoptic maps are written; "
                f"received {photo.path} without."
            )
        size = photo.height, photo.width
        numbers, segments = photo.pixel_labels.panoptic_map(size)
        yield {"panoptic_map": numbers, "segments": segments}


def _names(dataset):
    """Returns the names of the PNGs: those of the photos, with the id if not unique."""
    stems = [pathlib.PurePath(photo.path.name).stem for photo in dataset.photos]
    return [
        f"{stem}.png" if stems.count(stem) == 1 else f"{stem}_{photo.image_id}.png"
        for stem, photo in zip(stems, dataset.photos, strict=True)
    ]


def _check_map(numbers, segments, size, photo):
    ids = [segment["id"] for segment in segments]
    if numbers.shape != size or len(set(ids)) < len(ids):
        raise ValueError(
            f"A panoptic map must have the height and width of its photo, {size}, and "
            f"segments different ids; received shape {numbers.shape}, ids {ids} for "
            f"{photo.path}."
        )
    ranks, unknown = ranked(numbers, np.array(ids, int))
    lacking = np.bincount(ranks.ravel(), minlength=len(ids) + 1)[1:] == 0
    if unknown or lacking.any():
        raise ValueError(
            "Every number in a panoptic map must be the id of a segment, 1 to 2^24 - 1,"
            f" and every segment must have pixels; received {photo.path} with "
            f"{unknown[:5]} and without {np.array(ids)[lacking][:5].tolist()}."
        )


def _write_png(path, numbers):
    parts = [numbers % 256, numbers // 256 % 256, numbers // 65536]
    image = Image.fromarray(np.stack(parts, axis=-1).astype(np.uint8))
    with replacing(path, sync=False) as partial:
        image.save(partial, format="PNG")


def _segment_info(segment, numbers, dataset):
    """Returns the entry of one segment in segments_info."""
    ids = dataset.category_ids if segment["isthing"] else dataset.stuff_ids
    label = int(segment["label"])
    if not 0 <= label < len(ids):
        raise ValueError(
            f"Labels must be 0..{len(ids) - 1}, one for each class; received {segment}."
        )
    mask = numbers == segment["id"]
    x1, y1, x2, y2 = mask_extents(mask[None])[0].tolist()
    info = {
        "id": int(segment["id"]),
        "category_id": int(ids[label]),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": int(np.count_nonzero(mask)),
        "iscrowd": int(segment.get("iscrowd", False)),
    }
    if segment.get("score") is not None:
        info["score"] = float(segment["score"])
    return info


def _categories(dataset):
    """Returns COCO's categories of things and stuff."""
    return [
        {"id": int(number), "name": name, "isthing": isthing}
        for names, ids, isthing in (
            (dataset.class_names, dataset.category_ids, 1),
            (dataset.stuff_names, dataset.stuff_ids, 0),
        )
        for name, number in zip(names, ids, strict=True)
    ]
