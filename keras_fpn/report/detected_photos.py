"""Detects objects in photos and saves a picture of each with what was found."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_fpn.preprocessing import read_photo
from keras_fpn.report.drawn_results import draw_results
from keras_fpn.report.pictures import picture_paths, save_picture


@dataclasses.dataclass(frozen=True, eq=False)
class DetectedPhoto:
    """What was found in one photo, or why nothing could be.

    Attributes:
        photo: Path.
        found: dict as `model.detect` returns it, boxes in the photo's own pixels; None
            if the photo failed.
        picture: Path of the saved picture; None if the photo failed.
        error: the exception if the photo failed, otherwise None.
    """

    photo: Path
    found: dict | None = None
    picture: Path | None = None
    error: ValueError | OSError | None = None

    def __repr__(self):
        if self.found is None:
            return f"<DetectedPhoto {self.photo}: {type(self.error).__name__}>"
        found = f"{len(self.found['boxes'])} boxes" if "boxes" in self.found else "maps"
        return f"<DetectedPhoto {self.photo}: {found}, picture {self.picture}>"


def detect_photos(
    model,
    photos: Sequence[str | Path],
    folder: str | Path,
    title: str | None = None,
    proposals: Sequence | None = None,
    **limits,
) -> Iterator[DetectedPhoto]:
    """Detects objects in photos one by one and saves a picture of each.

    A photo that cannot be read does not stop the others: it is yielded with its error.

    Args:
        model: detector, such as `keras_fpn.models.FasterRCNN`.
        photos: the photos' files.
        folder: where the pictures go, named like the photos; it is created if needed.
        title: text above every picture, or None.
        proposals: list with the proposals of each photo, as `model.detect` takes them;
            None for a detector that takes none.
        **limits: arguments of `model.detect`: `min_size`, `max_size`,
            `score_threshold`, `max_detections`, `scales`, `flip`, `merge`.

    Yields:
        `DetectedPhoto` for each photo, in order, as soon as its picture is saved.
    """
    files = [Path(photo) for photo in photos]
    pictures = picture_paths(files, Path(folder))
    for number, (photo, path) in enumerate(zip(files, pictures, strict=True)):
        given = {} if proposals is None else {"proposals": [proposals[number]]}
        try:
            pixels = read_photo(photo)
            [found] = model.detect([pixels], **given, **limits)
            picture = draw_results(pixels, found, model, title)
            path = save_picture(picture, path)
        except (ValueError, OSError) as error:
            yield DetectedPhoto(photo, error=error)
        else:
            yield DetectedPhoto(photo, found, path)
