"""Detects in many photos, one after the other: pictures, COCO's results, failures."""

import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.cli.photo_files import picture_paths
from keras_fpn.files import replacing

_JPEG_SIDE = 65500  # pixels; longer ones JPEG cannot hold
_ENCODING: dict[str, dict] = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".png": {"format": "PNG", "compress_level": 3},
}


@dataclass
class Outcome:
    """What became of the photos.

    Attributes:
        results: list of dict, COCO's results; see `coco_results`.
        pictures: list of Path, the annotated pictures.
        failed: int, photos without one.
        seconds: float, from the first photo to the last picture.
        interrupted: bool, Ctrl-C came before the last photo.
    """

    results: list[dict] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0
    interrupted: bool = False


def detect_photos(model, photos, output, title=None, **limits):
    """Detects in each photo alone, and draws its picture.

    A photo that cannot be read gets a line on stderr, and the work goes on. A progress
    bar shows on stderr if that is a terminal. Ctrl-C ends the work, not the program.

    Args:
        model: detector with `detect`, `class_names` and `category_ids`.
        photos: list of Path.
        output: Path, folder for the pictures; made if absent.
        title: str above each picture, or None.
        **limits: arguments of `model.detect` besides the photos.

    Returns:
        Outcome.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from keras_fpn.data.image_files import image_ids

    console = Console(stderr=True)
    columns = *Progress.get_default_columns(), MofNCompleteColumn()
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    work = list(
        zip(photos, image_ids(photos), picture_paths(photos, output), strict=True)
    )
    outcome = Outcome()
    start = time.perf_counter()
    with warnings.catch_warnings(), progress:
        # They tell of damaged metadata; damaged pixels raise.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        # It tells of too many pixels before ours does, which then refuses the photo.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"PIL\.")
        try:
            for photo, image_id, path in progress.track(work, description="Detecting"):
                try:
                    found, picture = _detect_one(model, photo, path, title, limits)
                except (ValueError, OSError) as error:
                    outcome.failed += 1
                    console.out(f"{photo}: {one_line(error)}", highlight=False)
                    continue
                outcome.pictures.append(picture)
                outcome.results += coco_results(found, model, image_id, photo)
        except KeyboardInterrupt:
            outcome.interrupted = True
    outcome.seconds = time.perf_counter() - start
    return outcome


def _detect_one(model, photo, path, title, limits):
    """Returns a photo's detections and where their picture was written."""
    from keras_fpn.preprocessing import read_photo
    from keras_fpn.visualize import draw_detections

    pixels = read_photo(photo)
    found = model.detect([pixels], **limits)[0]
    boxes, labels, scores = found["boxes"], found["labels"], found["scores"]
    picture = draw_detections(pixels, boxes, labels, scores, model.class_names, title)
    if max(picture.size) > _JPEG_SIDE:
        path = path.with_suffix(".png")
    with replacing(path) as partial, open(partial, "wb") as file:
        picture.save(file, **_ENCODING[path.suffix])
    return found, path


def coco_results(found, model, image_id, photo):
    """Returns a photo's detections as COCO's results files hold them.

    Args:
        found: dict of "boxes" (n, 4), "labels" (n,), "scores" (n,), of one photo.
        model: detector with `class_names` and `category_ids`.
        image_id: int.
        photo: Path.

    Returns:
        list of n dict: "image_id", "category_id" int; "bbox" x, y, width, height in
        the photo's pixels; "score"; beyond COCO's, "file_name" and "category_name".
    """
    from keras_fpn.metrics import detections_to_coco

    results = detections_to_coco(found, image_id, model.category_ids)
    names = {"file_name": photo.as_posix()}
    for result, label in zip(results, found["labels"], strict=True):
        result |= names | {"category_name": model.class_names[label]}
    return results


def write_json(results, path):
    """Writes COCO's results to a file, one to a line.

    Raises:
        CommandError: the file cannot be written.
    """
    from keras_fpn.data import write_coco_results

    try:
        write_coco_results(results, path)
    except OSError as error:
        raise CommandError(
            f"The results could not be written: {one_line(error)}", code=1
        ) from error
