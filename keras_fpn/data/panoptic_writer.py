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
from keras_fpn.files import PathLike, printable, write_image, write_text


class PanopticWriter:
    """Writes panoptic maps one by one: PNGs into a folder, at last the json beside it.

    Args:
        path: str or Path of the json file; the folder has its name. Parent folders are
            created.
        classes: `Dataset` or detector with the names and ids of things, `class_names`
            and `category_ids`, and of stuff, `stuff_names` and `stuff_ids`.

    Raises:
        ValueError: the json file has no suffix, so that the folder would have its path.
    """

    def __init__(self, path: PathLike, classes):
        self._path = pathlib.Path(path)
        if self._path.suffix == "":
            raise ValueError(
                "Panoptic maps must be written to a .json file, beside which the "
                f"folder of PNGs has its name; received path={str(path)!r}."
            )
        self._classes = classes
        self._images: list[dict] = []
        self._annotations: list[dict] = []
        self._names: set[str] = set()

    def add(self, image_id: int, photo: PathLike, panoptic_map, segments) -> None:
        """Writes the PNG of a photo.

        Args:
            image_id: of the photo.
            photo: str or Path of its file, after which the PNG is named; with the image
                id appended if there is a PNG of that name.
            panoptic_map: int (H, W), and its segments, as `model.detect` returns them;
                see `keras_fpn.data.pixel_labels`.

        Raises:
            ValueError: the map does not fit its segments, a label has no class, or the
                PNG would replace the photo.
            OSError: the PNG cannot be written.
        """
        photo, numbers = pathlib.Path(photo), np.asarray(panoptic_map)
        _check_map(numbers, segments, photo)
        infos = [_segment_info(one, numbers, self._classes) for one in segments]
        name = f"{photo.stem}.png"
        if name.lower() in self._names:
            name = f"{photo.stem}_{image_id}.png"
        self._names.add(name.lower())
        file = self._path.with_suffix("") / name
        if file.resolve() == photo.resolve():
            raise ValueError(
                "The PNG of a panoptic map must not replace its photo; received "
                f"{photo} and path={str(self._path)!r}. Name another json file."
            )
        _write_png(file, numbers)
        image = {
            "id": int(image_id),
            "file_name": relative_path(photo, self._path.parent),
            "height": int(numbers.shape[0]),
            "width": int(numbers.shape[1]),
        }
        self._images.append(image)
        self._annotations.append(
            {"image_id": int(image_id), "file_name": name, "segments_info": infos}
        )

    def close(self) -> None:
        """Writes the json file.

        Raises:
            OSError: it cannot be written.
        """
        contents = {
            "images": self._images,
            "annotations": self._annotations,
            "categories": _categories(self._classes),
        }
        write_text(self._path, printable(json.dumps(contents, ensure_ascii=False)))


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
    writer = PanopticWriter(path, dataset)
    results = _truth(dataset) if found is None else found
    for photo, result in zip(dataset.photos, results, strict=True):
        numbers, size = result["panoptic_map"], (photo.height, photo.width)
        if np.shape(numbers) != size:
            raise ValueError(
                f"A panoptic map must have the height and width of its photo, {size}; "
                f"received shape {np.shape(numbers)} for {photo.path}."
            )
        writer.add(photo.image_id, photo.path, numbers, result["segments"])
    writer.close()


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


def _check_map(numbers, segments, photo):
    ids = [segment["id"] for segment in segments]
    if numbers.ndim != 2 or len(set(ids)) < len(ids):
        raise ValueError(
            "A panoptic map must be (H, W), and its segments must have different ids; "
            f"received shape {numbers.shape}, ids {ids} for {photo}."
        )
    ranks, unknown = ranked(numbers, np.array(ids, int))
    lacking = np.bincount(ranks.ravel(), minlength=len(ids) + 1)[1:] == 0
    if unknown or lacking.any():
        raise ValueError(
            "Every number in a panoptic map must be the id of a segment, 1 to 2^24 - 1,"
            f" and every segment must have pixels; received {photo} with "
            f"{unknown[:5]} and without {np.array(ids)[lacking][:5].tolist()}."
        )


def _write_png(path, numbers):
    parts = [numbers % 256, numbers // 256 % 256, numbers // 65536]
    image = Image.fromarray(np.stack(parts, axis=-1).astype(np.uint8))
    write_image(image, path, sync=False, format="PNG")


def _segment_info(segment, numbers, classes):
    """Returns the entry of one segment in segments_info."""
    ids = classes.category_ids if segment["isthing"] else classes.stuff_ids
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


def _categories(classes):
    """Returns COCO's categories of things and stuff."""
    return [
        {"id": int(number), "name": name, "isthing": isthing}
        for names, ids, isthing in (
            (classes.class_names, classes.category_ids, 1),
            (classes.stuff_names, classes.stuff_ids, 0),
        )
        for name, number in zip(names, ids, strict=True)
    ]
