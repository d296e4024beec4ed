"""Files of annotated photos: their names and how they are encoded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_fpn.files import write_image

_LONGEST_JPEG_SIDE = 65500  # pixels
_ENCODING: dict[str, dict[str, Any]] = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".png": {"format": "PNG", "compress_level": 3},
}


def picture_paths(photos: Sequence[Path], folder: Path, suffix: str | None = None):
    """Returns where to save the picture of each photo, or the video of each video.

    The picture of a PNG is a PNG, that of any other photo a JPEG. Photos with the same
    name get "_2", "_3", ... appended, and so does a picture that would overwrite one of
    the photos.

    Args:
        photos: the photos' files.
        folder: where the pictures go.
        suffix: of all of them; None for those of pictures.

    Returns:
        list of Path in the folder, all different, one per photo.
    """
    originals = set(filter(None, map(_identity, photos)))
    taken = set()
    paths = []
    for photo in photos:
        own = suffix or (".png" if photo.suffix.lower() == ".png" else ".jpg")
        stem, count = photo.stem, 1
        path = folder / f"{stem}{own}"
        while stem.lower() in taken or _identity(path) in originals:
            count += 1
            stem = f"{photo.stem}_{count}"
            path = folder / f"{stem}{own}"
        taken.add(stem.lower())
        paths.append(path)
    return paths


def _identity(path):
    """Returns what tells a file from others, however it is spelled; None without it."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


def save_picture(picture, path: Path):
    """Saves a picture as JPEG or PNG; the file appears only when it is complete.

    Args:
        picture: PIL.Image, RGB.
        path: a file ending in .jpg or .png. A picture that is too large for JPEG is
            saved as .png instead.

    Returns:
        Path of the file.

    Raises:
        OSError: the file cannot be written.
    """
    if max(picture.size) > _LONGEST_JPEG_SIDE:
        path = path.with_suffix(".png")
    write_image(picture, path, **_ENCODING[path.suffix])
    return path
