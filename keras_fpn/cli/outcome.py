"""What became of the photos and videos that `keras-fpn detect` was given."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from keras_fpn.cli.errors import reported


@dataclasses.dataclass
class Outcome:
    """What became of the photos and videos.

    Attributes:
        write: function that appends a list of COCO results to the file of --json.
        boxes: int, boxes that were found.
        pictures, videos: lists of Path, what was saved.
        frames: int, frames in the saved videos.
        failed_photos, failed_videos: int, those that nothing was saved of.
        damaged: int, saved videos that could not be read whole.
        seconds: float, time taken.
        interrupted: bool, whether Ctrl-C stopped the work.
    """

    write: Callable[[list[dict]], None]
    boxes: int = 0
    pictures: list[Path] = dataclasses.field(default_factory=list)
    videos: list[Path] = dataclasses.field(default_factory=list)
    frames: int = 0
    failed_photos: int = 0
    failed_videos: int = 0
    damaged: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether all photos and videos were read whole."""
        return not (self.failed_photos or self.failed_videos or self.damaged)

    def add(self, found: dict, image_id: int, model, **more):
        """Writes what was found in a photo or a frame as COCO results.

        Args:
            found: as `model.detect` returns it; a map alone has no results.
            image_id: int.
            model: the detector.
            more: further entries of each result, such as `file_name`.

        Raises:
            CommandError: they cannot be written.
        """
        from keras_fpn.metrics import detections_to_coco

        if "boxes" not in found:
            return
        results = detections_to_coco(found, image_id, model.category_ids)
        names = [model.class_names[label] for label in found["labels"]]
        self.boxes += len(results)
        rows = [
            {**result, **more, "category_name": name}
            for result, name in zip(results, names, strict=True)
        ]
        with results_written():
            self.write(rows)


def results_written():
    """Returns a context in which an OSError is one of the file of --json."""
    return reported(OSError, code=1, prefix="The results could not be written: ")


def summary(outcome, photos, json_file):
    """Returns the command's last line, str.

    Args:
        outcome: `Outcome`.
        photos: `InputPhotos`.
        json_file: Path or None.
    """
    done = [_counted(len(outcome.pictures), "photo")]
    if outcome.videos or outcome.failed_videos:
        frames = _counted(outcome.frames, "frame")
        done = done * bool(outcome.pictures or outcome.failed_photos)
        done.append(f"{_counted(len(outcome.videos), 'video')} of {frames}")
    boxes = _counted(outcome.boxes, "box", "es")
    parts = [", ".join([*done, boxes, f"{outcome.seconds:.1f} s"])]
    for number, noun, what in (
        (outcome.failed_photos, "photo", "failed"),
        (outcome.failed_videos, "video", "failed"),
        (outcome.damaged, "video", "damaged"),
    ):
        if number:
            parts.append(f"{_counted(number, noun)} {what}")
    if outcome.interrupted:
        parts.append("interrupted")
    if photos.skipped:
        parts.append(photos.skipped_text())
    parts += _saved(outcome.pictures, "picture") + _saved(outcome.videos, "video")
    if json_file is not None:
        parts.append(f"results: {json_file}")
    return "; ".join(parts)


def _saved(paths, noun):
    """Returns where files were saved, list of at most one str."""
    if len(paths) == 1:
        return [f"{noun}: {paths[0]}"]
    return [f"{noun}s in {paths[0].parent}"] if paths else []


def _counted(number, noun, plural="s"):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{plural}"
